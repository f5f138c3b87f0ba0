//! The kernel command line as a checked configuration: the keys of the machine ([`machine`](crate::machine)) and those of the
//! application that `app` picks ([`apps`](crate::apps)).
//!
//! A key that is in neither table, a value that is not allowed, and a key that is given twice are errors. The message has the
//! word and what is allowed.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;

use nm_core::Netmap;

use crate::apps::{AppEntry, ErasedConfig};
use crate::keys::{Escaped, KeyHelp, Keys, list};
use crate::machine::MachineConfig;
use crate::{AppError, Application};

/// The key that picks the application.
const APP: &str = "app";

/// What the command line asks for.
#[derive(Debug)]
pub struct Config {
    /// The machine.
    pub machine: MachineConfig,
    app: Box<dyn ErasedConfig>,
}

/// An invalid word of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The word, `key=value`.
    pub word: String,
    /// What is wrong with it.
    pub problem: InvalidArgument,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidArgument {
    /// The key is in no table.
    UnknownKey {
        /// The keys that there are, with blanks between them.
        allowed: String,
    },
    /// There is no such application.
    UnknownApplication {
        /// The applications that there are, with blanks between them.
        allowed: String,
    },
    /// The key was given before.
    Duplicate,
    /// The value is not allowed, for this reason.
    BadValue(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Escaped(&self.word);
        match &self.problem {
            InvalidArgument::UnknownKey { allowed } => {
                write!(f, "unknown key in \"{word}\"; allowed: {allowed}")
            }
            InvalidArgument::UnknownApplication { allowed } => {
                write!(f, "unknown application in \"{word}\"; allowed: {allowed}")
            }
            InvalidArgument::Duplicate => write!(f, "duplicate key in \"{word}\""),
            InvalidArgument::BadValue(reason) => write!(f, "invalid value in \"{word}\"; {reason}"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// The configuration that the words ask for, each a key and its value, with one of `apps`: the first of them unless `app`
    /// says otherwise.
    ///
    /// # Errors
    /// The application is unknown; else the first word with an unknown key, a key that was given before, or a value that is
    /// not allowed.
    pub fn parse(words: &[(&str, &str)], apps: &[AppEntry]) -> Result<Self, ConfigError> {
        let app = pick(words, apps)?;
        let mut config = Self { machine: MachineConfig::default(), app: app.configure() };
        let mut seen: Vec<&str> = Vec::new();
        for &(key, value) in words {
            let is_duplicate = seen.contains(&key) && MachineConfig::repeats(key) != Some(true);
            let set =
                if is_duplicate { Err(InvalidArgument::Duplicate) } else { config.set(key, value, app) };
            set.map_err(|problem| error(key, value, problem))?;
            seen.push(key);
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str, app: &AppEntry) -> Result<(), InvalidArgument> {
        if key == APP {
            return Ok(());
        }
        let set = self.machine.set(key, value).or_else(|| self.app.set(key, value));
        set.ok_or_else(|| unknown_key(app))?.map_err(InvalidArgument::BadValue)
    }

    /// Opens the application's ports and starts it, divided into parts for at most `workers` workers: at least one, each with
    /// rings of its own. All have the same name and the same ports.
    ///
    /// # Errors
    /// A port does not exist or cannot be opened, or there are too few of them.
    pub fn start(
        &self,
        netmap: &Netmap,
        workers: NonZeroUsize,
    ) -> Result<Vec<Box<dyn Application>>, AppError> {
        self.app.start(netmap, workers)
    }
}

/// The application that the words pick.
fn pick<'a>(words: &[(&str, &str)], apps: &'a [AppEntry]) -> Result<&'a AppEntry, ConfigError> {
    let word = words.iter().find(|(key, _)| *key == APP);
    let entry = match word {
        Some((_, name)) => apps.iter().find(|app| app.name == *name),
        None => apps.first(),
    };
    let unknown = || {
        let (key, value) = word.copied().unwrap_or((APP, ""));
        let allowed = list(&mut apps.iter().map(|app| app.name));
        error(key, value, InvalidArgument::UnknownApplication { allowed })
    };
    entry.ok_or_else(unknown)
}

fn unknown_key(app: &AppEntry) -> InvalidArgument {
    let names = |keys: Vec<KeyHelp>| list(&mut keys.into_iter().map(|key| key.name));
    let (machine, own) = (names(MachineConfig::describe()), names(app.keys()));
    InvalidArgument::UnknownKey { allowed: alloc::format!("{APP} {machine}; with {APP}={}: {own}", app.name) }
}

fn error(key: &str, value: &str, problem: InvalidArgument) -> ConfigError {
    ConfigError { word: alloc::format!("{key}={value}"), problem }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use log::LevelFilter;
    use nm_core::nic::Mtu;
    use nm_core::tunables::Tunables;
    use proptest::prelude::*;

    use super::*;
    use crate::APPS;
    use crate::machine::{LogLevel, Wait};

    fn parse(words: &[(&str, &str)]) -> Result<Config, String> {
        Config::parse(words, APPS).map_err(|error| error.to_string())
    }

    #[test]
    fn each_key_of_the_machine_sets_its_value() {
        let words = [
            ("app", "bridge"),
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
        ];
        let machine = parse(&words).unwrap().machine;
        assert_eq!((machine.wait, machine.packed), (Wait::Spin, true));
        assert_eq!(machine.queues.map(|queues| queues.get()), Some(64));
        assert_eq!((machine.mtu, machine.log), (Mtu::new(9000), LogLevel(LevelFilter::Debug)));
        assert_eq!(machine.mmio_devices.list().len(), 2);
        let set = ["buf_num", "priv_buf_num", "admode", "mmap_unreg", "buf_size"];
        let expected = [Some(4096), Some(1024), Some(1), Some(1), None];
        assert_eq!(set.map(|name| machine.tunables.get(name)), expected);

        assert_eq!(parse(&[]).unwrap().machine, MachineConfig::default());
        let machine = MachineConfig::default();
        assert_eq!((machine.wait, machine.packed), (Wait::Adaptive, false));
        assert_eq!((machine.queues, machine.mtu, machine.log), (None, None, LogLevel(LevelFilter::Info)));
    }

    #[test]
    fn each_word_of_a_choice_is_its_value() {
        let wait = |word| parse(&[("wait", word)]).unwrap().machine.wait;
        assert_eq!(["spin", "poll", "adaptive"].map(wait), [Wait::Spin, Wait::Poll, Wait::Adaptive]);
        let packed = |word| parse(&[("packed", word)]).unwrap().machine.packed;
        assert_eq!(["on", "off"].map(packed), [true, false]);
        let log = |word| parse(&[("log", word)]).unwrap().machine.log.0;
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        assert_eq!(levels.map(log).to_vec(), LevelFilter::iter().collect::<Vec<_>>());
    }

    /// The keys of an application may come before the word that picks it.
    #[test]
    fn the_order_of_words_does_not_matter() {
        assert!(parse(&[("a", "vtnet1"), ("app", "bridge"), ("b", "vtnet0")]).is_ok());
        let error = parse(&[("wait", "never"), ("app", "router")]).unwrap_err();
        assert_eq!(error, "unknown application in \"app=router\"; allowed: bridge", "its keys are not known");
    }

    #[test]
    fn every_error_has_the_word_and_what_is_allowed() {
        const KEYS: &str =
            "app wait queues mtu packed log netmap.NAME virtio_mmio.device; with app=bridge: a b";
        let long = "x".repeat(3000);
        let names: Vec<_> = Tunables::names().collect();
        let cases = [
            (("color", "red"), std::format!("unknown key in \"color=red\"; allowed: {KEYS}")),
            (("app", "router"), "unknown application in \"app=router\"; allowed: bridge".into()),
            (("wait", "never"), "invalid value in \"wait=never\"; allowed: spin, poll, adaptive".into()),
            (("queues", "0"), "invalid value in \"queues=0\"; allowed: 1 to 64".into()),
            (("queues", "65"), "invalid value in \"queues=65\"; allowed: 1 to 64".into()),
            (("queues", "all"), "invalid value in \"queues=all\"; allowed: 1 to 64".into()),
            (("mtu", "67"), "invalid value in \"mtu=67\"; allowed: 68 to 9000".into()),
            (("mtu", "9001"), "invalid value in \"mtu=9001\"; allowed: 68 to 9000".into()),
            (("mtu", "1k"), "invalid value in \"mtu=1k\"; allowed: 68 to 9000".into()),
            (("packed", "1"), "invalid value in \"packed=1\"; allowed: on, off".into()),
            (("log", "loud"), "invalid value in \"log=loud\"; allowed: off, error, warn, info, debug, trace".into()),
            (("netmap.buf_num", "1"), "invalid value in \"netmap.buf_num=1\"; must be between 18 and 4194304".into()),
            (("netmap.admode", "3"), "invalid value in \"netmap.admode=3\"; must be between 0 and 2".into()),
            (
                ("netmap.fwd", "yes"),
                "invalid value in \"netmap.fwd=yes\"; allowed: a number within the tunable's range".into(),
            ),
            (
                ("netmap.buf_num", "-1"),
                "invalid value in \"netmap.buf_num=-1\"; allowed: a number within the tunable's range".into(),
            ),
            (
                ("netmap.bufs", "1"),
                std::format!("invalid value in \"netmap.bufs=1\"; no such tunable; there are {}", names.join(" ")),
            ),
            (
                ("virtio_mmio.device", "4K@d0000000:5"),
                "invalid value in \"virtio_mmio.device=4K@d0000000:5\"; ADDRESS in SIZE@ADDRESS:IRQ is not a number; examples are 5, 0xd0000000, and for SIZE 4K".into(),
            ),
            (("a", "em0{1"), "invalid value in \"a=em0{1\"; \"em0{1\" asks for a pipe, which is not supported; use IF, IF-N, IF^, IF^N or IF*".into()),
            (("b", "mac-5254"), "invalid value in \"b=mac-5254\"; \"mac-5254\" has a malformed MAC address; the form is mac- and 12 hexadecimal digits, such as mac-525400000001".into()),
            ((long.as_str(), "1"), std::format!("unknown key in \"{}… (3002 bytes)\"; allowed: {KEYS}", "x".repeat(60))),
            (("a\u{1b}[2J", ""), std::format!("unknown key in \"a\\u{{1b}}[2J=\"; allowed: {KEYS}")),
            (("netmap.", "1"), std::format!("invalid value in \"netmap.=1\"; no such tunable; there are {}", names.join(" "))),
        ];
        for ((key, value), message) in cases {
            assert_eq!(parse(&[(key, value)]).unwrap_err(), message);
        }
        assert_eq!(parse(&[("log", "info"), ("log", "info")]).unwrap_err(), "duplicate key in \"log=info\"");
        assert_eq!(
            parse(&[("app", "bridge"), ("app", "bridge")]).unwrap_err(),
            "duplicate key in \"app=bridge\""
        );
    }

    /// What help says of a default is the default: the text that it shows is a value that changes nothing.
    #[test]
    fn help_shows_the_defaults() {
        for key in MachineConfig::KEYS.iter().filter(|key| ["wait", "packed", "log"].contains(&key.name)) {
            let mut config = MachineConfig::default();
            assert_eq!((key.set)(&mut config, "", key.default), Ok(()));
            assert_eq!(config, MachineConfig::default(), "{}", key.name);
        }
    }

    proptest! {
        /// Any words give a configuration, or a message of bounded length.
        #[test]
        fn any_words_are_accepted_or_reported(words in prop::collection::vec(("[a-z._]{0,12}|netmap\\.buf_num|a|log|\\PC*", "\\PC*"), 0..6)) {
            let words: Vec<_> = words.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            if let Err(error) = Config::parse(&words, APPS) {
                prop_assert!(error.to_string().len() < 2000);
            }
        }
    }
}
