//! The appliance between two wires, from READY to the proof that every buffer is accounted for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::console::Mark;
use crate::counters::Counters;
use crate::guest::Guest;
use crate::qemu::Qemu;
use crate::{Setting, Wire, image};

/// How long it may take until the image is ready: UEFI, of which a guest without an accelerator translates every
/// instruction, comes before it on some media.
const BOOT_PATIENCE: Duration = Duration::from_secs(150);

/// An image that forwards between `left` and `right`: where nothing else is said, its first card and its second.
#[derive(Debug)]
pub struct Appliance {
    /// Where it runs.
    pub guest: Guest,
    /// The far end of one card.
    pub left: Wire,
    /// The far end of the other.
    pub right: Wire,
    /// What it said when it was ready.
    pub ready: Ready,
}

impl Appliance {
    /// Boots the bridge with 64 MiB.
    pub fn boot(setting: impl Into<Setting>) -> Result<Self> {
        Self::boot_with(setting, |qemu| qemu)
    }

    /// Boots the bridge in a QEMU that `change` has the last word on.
    pub fn boot_with(setting: impl Into<Setting>, change: impl FnOnce(Qemu) -> Qemu) -> Result<Self> {
        Self::boot_image(image::appliance()?, setting.into(), change)
    }

    /// Boots the bridge in the test build, which resets its cards and breaks down on request.
    pub fn boot_test_build(setting: impl Into<Setting>) -> Result<Self> {
        Self::boot_test_build_with(setting, |qemu| qemu)
    }

    /// The same, in a QEMU that `change` has the last word on.
    pub fn boot_test_build_with(
        setting: impl Into<Setting>,
        change: impl FnOnce(Qemu) -> Qemu,
    ) -> Result<Self> {
        Self::boot_image(image::fault_injection()?, setting.into(), change)
    }

    fn boot_image(image: PathBuf, setting: Setting, change: impl FnOnce(Qemu) -> Qemu) -> Result<Self> {
        let (left, right) = (Wire::new()?, Wire::new()?);
        let qemu = Qemu::new(setting.machine, image).command_line(setting.words());
        let qemu = qemu.wire_to(setting.left, &left).wire_to(setting.right, &right);
        let appliance = Self::start(change(qemu), left, right)?;
        setting.check(&appliance.guest)?;
        Ok(appliance)
    }

    /// Boots what `qemu` is, which forwards between the cards at the ends of `left` and `right`.
    pub fn start(qemu: Qemu, left: Wire, right: Wire) -> Result<Self> {
        Self::connect(qemu.start()?, left, right)
    }

    /// Waits until `guest`, which forwards between the cards at the ends of `left` and `right`, is ready.
    pub fn connect(guest: Guest, left: Wire, right: Wire) -> Result<Self> {
        let ready = Ready::wait(&guest)?;
        left.connect()?;
        right.connect()?;
        Ok(Self { guest, left, right, ready })
    }

    /// The counters as they stand.
    pub fn counters(&mut self) -> Result<Counters> {
        self.guest.counters()
    }

    /// Stops it, see [`Guest::stop`]. Returns the last counters.
    pub fn stop(mut self) -> Result<Counters> {
        self.guest.stop()
    }
}

/// `READY app=NAME ports=A,B boot_us=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The application.
    pub app: String,
    /// Its ports.
    pub ports: Vec<String>,
    /// Microseconds from the image's entry, by its own clock.
    pub boot_us: u64,
    /// From QEMU's start to here, by the host's clock.
    pub since_start: Duration,
}

impl Ready {
    /// Waits until `guest` is ready.
    pub fn wait(guest: &Guest) -> Result<Self> {
        let is_answer = |line: &str| line.starts_with("READY ") || line.starts_with("EXIT ");
        let (line, _) = guest.wait_line_within(BOOT_PATIENCE, Mark::default(), "READY line", is_answer)?;
        let seen = Instant::now();
        ensure!(line.starts_with("READY "), "the image gave up{}", guest.console().quoted());
        Self::parse(&line, seen.duration_since(guest.started()))
    }

    fn parse(line: &str, since_start: Duration) -> Result<Self> {
        let value = |key: &str| {
            let mut words = line.split_whitespace().filter_map(|word| word.split_once('='));
            let found = words.find(|(name, _)| *name == key);
            found.map(|(_, value)| value).with_context(|| format!("no {key}= in {line:?}"))
        };
        Ok(Self {
            app: value("app")?.to_owned(),
            ports: value("ports")?.split(',').map(str::to_owned).collect(),
            boot_us: value("boot_us")?
                .parse()
                .with_context(|| format!("boot_us is no number in {line:?}"))?,
            since_start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_is_read() {
        let line = "READY app=bridge ports=vtnet0,vtnet1 boot_us=12345";
        let ready = Ready::parse(line, Duration::from_millis(200)).unwrap();
        assert_eq!((ready.app.as_str(), ready.boot_us), ("bridge", 12345));
        assert_eq!(ready.ports, ["vtnet0", "vtnet1"]);
        let error = Ready::parse("READY app=bridge boot_us=1", Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("ports="), "{error}");
    }
}
