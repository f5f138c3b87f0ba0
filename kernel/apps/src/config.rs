//! The kernel command line's words as one typed value.
//!
//! | key | values | default |
//! |---|---|---|
//! | `app` | `bridge` | `bridge` |
//! | `a`, `b` | names of ports (`vtnet0`, `netmap:vtnet0`, `mac-525400000001`) | the first two interfaces |
//! | `wait` | `spin`, `poll`, `adaptive` (see [`worker`](crate::worker)) | `adaptive` |
//! | `queues` | 1 to 64: queue pairs that each card uses at most, of those that it has | the number of processors that run |
//! | `mtu` | 68 to 9000: the MTU of each card; at most what a card reports that reports one | what the card reports, else 1500 |
//! | `packed` | `on`, `off`: whether virtio cards that offer packed queues use them instead of split ones | `off` |
//! | `log` | `off`, `error`, `warn`, `info`, `debug`, `trace` | `info` |
//! | `netmap.NAME` | a number, see [`Tunables`](nm_core::tunables::Tunables) | sizes follow the memory, the rest is fixed |
//! | `virtio_mmio.device` | `SIZE@ADDRESS:IRQ`, as virtual machine monitors append it; once for each device | |
//!
//! A key that is not in the table, a value out of range or a key given twice is an error that names the word and says
//! what is allowed.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU16;

use log::LevelFilter;
use nm_core::name::PortName;
use nm_core::nic::Mtu;
use nm_core::tunables::Overrides;

use crate::mmio_device::MmioDevice;

/// The application to run, with its own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum App {
    /// [`bridge`](crate::bridge) between two ports.
    Bridge {
        /// Name of one port.
        a: Option<String>,
        /// Name of the other.
        b: Option<String>,
    },
}

/// How a worker waits for frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It never waits: it looks again.
    Spin,
    /// It sleeps as soon as there is nothing to do, until an interrupt.
    Poll,
    /// It looks again for a while, and sleeps when nothing has come.
    Adaptive,
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The application.
    pub app: App,
    /// How it waits.
    pub wait: Wait,
    /// The most queue pairs that a card uses, if anybody has said.
    pub queues: Option<NonZeroU16>,
    /// The MTU of each card; `None` for what the card reports, else [`Mtu::ETHERNET`].
    pub mtu: Option<Mtu>,
    /// Packed queues are used where a card offers them.
    pub packed: bool,
    /// The least severe messages that the console shows.
    pub log: LevelFilter,
    /// Sizes of the memory regions, and how the core behaves: the values that are set.
    pub tunables: Overrides,
    /// The devices of `virtio_mmio.device`, by ascending address. No two overlap.
    pub mmio_devices: Vec<MmioDevice>,
}

/// A word that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The word, `key=value`.
    pub word: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such key.
    UnknownKey,
    /// There is no such application.
    UnknownApplication,
    /// The key was there before.
    Duplicate,
    /// The value is not one of the key's values; this says which are.
    BadValue(String),
}

/// The most that `queues` can be. The image uses 32 processors at most; with more pairs than those, a worker has several.
const QUEUES_MAX: NonZeroU16 = NonZeroU16::MIN.saturating_add(63);

/// The keys that there are, for messages.
const KEYS: &str = "app a b wait queues mtu packed log netmap.NAME virtio_mmio.device";

/// A text from outside, fit for a message: control characters escaped, cut where it is long.
struct Shown<'a>(&'a str);

/// Characters of a text that a message repeats.
const SHOWN_MAX: usize = 60;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(SHOWN_MAX).try_for_each(|c| write!(f, "{}", c.escape_debug()))?;
        if self.0.chars().nth(SHOWN_MAX).is_some() {
            write!(f, "… ({} bytes)", self.0.len())
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Shown(&self.word);
        match &self.problem {
            Problem::UnknownKey => write!(f, "unknown key in \"{word}\"; allowed are {KEYS}"),
            Problem::UnknownApplication => write!(f, "unknown application in \"{word}\"; allowed is bridge"),
            Problem::Duplicate => write!(f, "duplicate key in \"{word}\""),
            Problem::BadValue(allowed) => write!(f, "bad value in \"{word}\"; {allowed}"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// The configuration that the words ask for, each a key and its value.
    ///
    /// # Errors
    /// The first word with an unknown key, a key that occurred before, or a value that is not allowed.
    pub fn parse<'a>(words: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ConfigError> {
        let mut config = Self {
            app: App::Bridge { a: None, b: None },
            wait: Wait::Adaptive,
            queues: None,
            mtu: None,
            packed: false,
            log: LevelFilter::Info,
            tunables: Overrides::default(),
            mmio_devices: Vec::new(),
        };
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in words {
            let problem = if key != "virtio_mmio.device" && seen.contains(&key) {
                Err(Problem::Duplicate)
            } else {
                seen.push(key);
                config.apply(key, value)
            };
            problem.map_err(|problem| ConfigError { word: alloc::format!("{key}={value}"), problem })?;
        }
        Ok(config)
    }

    fn apply(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        let App::Bridge { a, b } = &mut self.app;
        match key {
            "app" if value == "bridge" => {}
            "app" => return Err(Problem::UnknownApplication),
            "a" => *a = Some(port(value)?),
            "b" => *b = Some(port(value)?),
            "wait" => self.wait = wait(value)?,
            "queues" => self.queues = Some(queues(value)?),
            "mtu" => self.mtu = Some(mtu(value)?),
            "packed" => self.packed = switch(value)?,
            "log" => self.log = level(value)?,
            "virtio_mmio.device" => self.add_mmio_device(value)?,
            _ => match key.strip_prefix("netmap.") {
                Some(name) => return tunable(&mut self.tunables, name, value),
                None => return Err(Problem::UnknownKey),
            },
        }
        Ok(())
    }
}

impl Config {
    /// Adds devices that the firmware describes, but for those whose registers are a device's that is there already: what a
    /// word says counts.
    pub fn add_described(&mut self, devices: impl IntoIterator<Item = MmioDevice>) {
        for device in devices {
            self.insert_mmio_device(device);
        }
    }

    fn add_mmio_device(&mut self, value: &str) -> Result<(), Problem> {
        let device = value.parse().map_err(|error| Problem::BadValue(shorten(&error)))?;
        let is_free = self.insert_mmio_device(device);
        let taken = || Problem::BadValue("its registers overlap those of another device".to_string());
        if is_free { Ok(()) } else { Err(taken()) }
    }

    /// Keeps the devices in order. Leaves out one whose registers are another's, too, and says so by `false`.
    fn insert_mmio_device(&mut self, device: MmioDevice) -> bool {
        let is_free = !self.mmio_devices.iter().any(|other| other.overlaps(&device));
        if is_free {
            let place = self.mmio_devices.partition_point(|other| other.address < device.address);
            self.mmio_devices.insert(place, device);
        }
        is_free
    }
}

fn port(value: &str) -> Result<String, Problem> {
    PortName::parse(value).map(|_| value.to_owned()).map_err(|error| Problem::BadValue(shorten(&error)))
}

fn wait(value: &str) -> Result<Wait, Problem> {
    match value {
        "spin" => Ok(Wait::Spin),
        "poll" => Ok(Wait::Poll),
        "adaptive" => Ok(Wait::Adaptive),
        _ => Err(Problem::BadValue("allowed are spin poll adaptive".to_string())),
    }
}

fn queues(value: &str) -> Result<NonZeroU16, Problem> {
    let number = value.parse().ok().filter(|&number: &NonZeroU16| number <= QUEUES_MAX);
    number.ok_or_else(|| Problem::BadValue(alloc::format!("it must be a number from 1 to {QUEUES_MAX}")))
}

fn mtu(value: &str) -> Result<Mtu, Problem> {
    let (least, most) = (Mtu::MIN, Mtu::MAX);
    let out_of_range = || Problem::BadValue(alloc::format!("it must be a number from {least} to {most}"));
    value.parse().ok().and_then(Mtu::new).ok_or_else(out_of_range)
}

fn switch(value: &str) -> Result<bool, Problem> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Problem::BadValue("allowed are on off".to_string())),
    }
}

fn level(value: &str) -> Result<LevelFilter, Problem> {
    let allowed = || Problem::BadValue("allowed are off error warn info debug trace".to_string());
    value.parse().map_err(|_| allowed())
}

fn tunable(tunables: &mut Overrides, name: &str, value: &str) -> Result<(), Problem> {
    let number =
        value.parse().map_err(|_| Problem::BadValue("it must be a number below 4294967296".to_string()))?;
    tunables.set(name, number).map_err(|error| Problem::BadValue(error.to_string()))
}

/// A message that repeats a value from outside, kept short.
fn shorten(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    if text.chars().count() <= 2 * SHOWN_MAX { text } else { alloc::format!("{}", Shown(&text)) }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use nm_core::tunables::Tunables;
    use proptest::prelude::*;

    use super::*;

    fn parse(words: &[(&str, &str)]) -> Result<Config, String> {
        Config::parse(words.iter().copied()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_followed() {
        let config = parse(&[
            ("app", "bridge"),
            ("b", "vtnet1"),
            ("a", "netmap:vtnet0"),
            ("wait", "spin"),
            ("queues", "64"),
            ("mtu", "9000"),
            ("packed", "on"),
            ("log", "debug"),
            ("netmap.buf_num", "4096"),
            ("netmap.priv_buf_num", "1024"),
            ("netmap.admode", "1"),
            ("netmap.mmap_unreg", "1"),
            ("virtio_mmio.device", "4K@0xd0000000:5"),
            ("virtio_mmio.device", "4K@0xd0001000:6"),
        ])
        .unwrap();
        assert_eq!(config.app, App::Bridge { a: Some("netmap:vtnet0".into()), b: Some("vtnet1".into()) });
        assert_eq!((config.log, config.mmio_devices.len()), (LevelFilter::Debug, 2));
        assert_eq!((config.queues.map(NonZeroU16::get), parse(&[]).unwrap().queues), (Some(64), None));
        assert_eq!((config.mtu, parse(&[]).unwrap().mtu), (Mtu::new(9000), None));
        assert_eq!((config.packed, parse(&[]).unwrap().packed), (true, false));
        assert!(!parse(&[("packed", "off")]).unwrap().packed);
        let set = ["buf_num", "priv_buf_num", "admode", "mmap_unreg", "buf_size"];
        let expected = [Some(4096), Some(1024), Some(1), Some(1), None];
        assert_eq!(set.map(|name| config.tunables.get(name)), expected);
        assert_eq!(parse(&[]).unwrap().app, App::Bridge { a: None, b: None });
        assert_eq!(parse(&[]).unwrap().wait, Wait::Adaptive);
        for (word, wait) in [("spin", Wait::Spin), ("poll", Wait::Poll), ("adaptive", Wait::Adaptive)] {
            assert_eq!(parse(&[("wait", word)]).unwrap().wait, wait);
        }
    }

    #[test]
    fn every_mistake_names_the_word_and_what_is_allowed() {
        let long = "x".repeat(3000);
        let names: Vec<_> = Tunables::names().collect();
        let cases = [
            (("color", "red"), "unknown key in \"color=red\"; allowed are app a b wait queues mtu packed log netmap.NAME virtio_mmio.device".into()),
            (("app", "router"), "unknown application in \"app=router\"; allowed is bridge".into()),
            (("wait", "never"), "bad value in \"wait=never\"; allowed are spin poll adaptive".into()),
            (("queues", "0"), "bad value in \"queues=0\"; it must be a number from 1 to 64".into()),
            (("queues", "65"), "bad value in \"queues=65\"; it must be a number from 1 to 64".into()),
            (("queues", "all"), "bad value in \"queues=all\"; it must be a number from 1 to 64".into()),
            (("mtu", "67"), "bad value in \"mtu=67\"; it must be a number from 68 to 9000".into()),
            (("mtu", "9001"), "bad value in \"mtu=9001\"; it must be a number from 68 to 9000".into()),
            (("mtu", "1k"), "bad value in \"mtu=1k\"; it must be a number from 68 to 9000".into()),
            (("packed", "1"), "bad value in \"packed=1\"; allowed are on off".into()),
            (("log", "loud"), "bad value in \"log=loud\"; allowed are off error warn info debug trace".into()),
            (("netmap.buf_num", "1"), "bad value in \"netmap.buf_num=1\"; must be between 18 and 4194304".into()),
            (("netmap.admode", "3"), "bad value in \"netmap.admode=3\"; must be between 0 and 2".into()),
            (("netmap.fwd", "yes"), "bad value in \"netmap.fwd=yes\"; it must be a number below 4294967296".into()),
            (("netmap.buf_num", "-1"), "bad value in \"netmap.buf_num=-1\"; it must be a number below 4294967296".into()),
            (
                ("netmap.bufs", "1"),
                std::format!("bad value in \"netmap.bufs=1\"; no such tunable; there are {}", names.join(" ")),
            ),
            (
                ("virtio_mmio.device", "4K@d0000000:5"),
                "bad value in \"virtio_mmio.device=4K@d0000000:5\"; ADDRESS in SIZE@ADDRESS:IRQ is not a number; examples are 5, 0xd0000000, and for SIZE 4K".into(),
            ),
            (("a", "em0{1"), "bad value in \"a=em0{1\"; \"em0{1\" asks for a pipe, which is not supported; use IF, IF-N, IF^, IF^N or IF*".into()),
            (("b", "mac-5254"), "bad value in \"b=mac-5254\"; \"mac-5254\" has a malformed MAC address; the form is mac- and 12 hexadecimal digits, such as mac-525400000001".into()),
            ((long.as_str(), "1"), std::format!("unknown key in \"{}… (3002 bytes)\"; allowed are {KEYS}", "x".repeat(60))),
            (("a\u{1b}[2J", ""), "unknown key in \"a\\u{1b}[2J=\"; allowed are app a b wait queues mtu packed log netmap.NAME virtio_mmio.device".into()),
        ];
        for ((key, value), message) in cases {
            assert_eq!(parse(&[(key, value)]).unwrap_err(), message);
        }
        assert_eq!(parse(&[("log", "info"), ("log", "info")]).unwrap_err(), "duplicate key in \"log=info\"");
    }

    /// A monitor appends them in an order of its own.
    #[test]
    fn virtio_mmio_devices_are_in_the_order_of_their_addresses() {
        let words = ["512@0xfeb02e00:23", "512@0xfeb02c00:22", "4K@0xd0000000:5", "512@0xfeb02a00:21"];
        let config = parse(&words.map(|word| ("virtio_mmio.device", word))).unwrap();
        let addresses: Vec<_> = config.mmio_devices.iter().map(|device| device.address).collect();
        assert_eq!(addresses, [0xd000_0000, 0xfeb0_2a00, 0xfeb0_2c00, 0xfeb0_2e00]);
        assert_eq!(
            parse(&[("virtio_mmio.device", "4K@0xd0000000:5"), ("virtio_mmio.device", "1@0xd0000fff:6")])
                .unwrap_err(),
            "bad value in \"virtio_mmio.device=1@0xd0000fff:6\"; its registers overlap those of another device"
        );
    }

    #[test]
    fn devices_that_the_firmware_describes_come_between_those_of_words() {
        let device = |address, irq| MmioDevice { address, bytes: 512, irq };
        let mut config = parse(&[("virtio_mmio.device", "512@0xfeb02c00:22")]).unwrap();
        config.add_described([
            device(0xfeb0_2e00, 47),
            device(0xfeb0_2c00, 46),
            device(0xfeb0_2a00, 45),
            device(0xfeb0_2e10, 48),
        ]);
        let expected = [device(0xfeb0_2a00, 45), device(0xfeb0_2c00, 22), device(0xfeb0_2e00, 47)];
        assert_eq!(config.mmio_devices, expected, "ascending, and a word counts");
    }

    proptest! {
        /// Whatever the words: a configuration, or a message of bounded length.
        #[test]
        fn any_words_are_followed_or_named(words in prop::collection::vec(("[a-z._]{0,12}|netmap\\.buf_num|a|log|\\PC*", "\\PC*"), 0..6)) {
            let result = Config::parse(words.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            if let Err(error) = result {
                prop_assert!(error.to_string().len() < 2000);
            }
        }
    }
}
