//! Boots what is to be measured, and counts executions phase by phase.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::fit::{Cost, Fit, Samples, Unexplained, fit};
use super::phase::{PHASES, Phase, run_burst};
use super::plugin::{Executed, Plugin};
use super::symbols::Symbols;
use crate::appliance::Ready;
use crate::flood::Flow;
use crate::guest::Guest;
use crate::link::Link;
use crate::pattern::Pattern;
use crate::vhost_user::Ports;
use crate::{Appliance, Card, Machine, Qemu, Setting, image};

/// Bytes of a frame, without its checksum.
pub const FRAME: usize = 60;
/// Frames before it is counted: QEMU's e1000 takes none in its first second, and code that runs for the first time is translated.
const WARM_UP: u64 = 1000;
/// A measurement whose phases do not add up is repeated, so often in all.
const ATTEMPTS: usize = 3;
/// The functions whose executions are the loops and the transmit syncs, by parts of their names.
const STEP: [&str; 2] = ["Bridge as nm_apps", "Application>::step"];
const TX_SYNC: [&str; 2] = ["CardTx", "RingBackend>::sync"];

/// Where functions begin.
#[derive(Debug, Clone, Copy)]
struct Functions {
    step: u64,
    tx_sync: u64,
}

/// Two cards alike, which the bridge joins.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// What it is called in the table.
    pub name: &'static str,
    card: Card,
    /// Fed over vhost-user, else over `dgram`.
    is_vhost_user: bool,
}

/// All that the table shows.
pub const SUBJECTS: [Subject; 3] = [
    Subject { name: "virtio, split queues, vhost-user", card: Card::Virtio, is_vhost_user: true },
    Subject { name: "virtio, packed queues, vhost-user", card: Card::VirtioPacked, is_vhost_user: true },
    Subject { name: "e1000, `dgram`", card: Card::E1000, is_vhost_user: false },
];

/// What was found.
#[derive(Debug)]
pub struct Measured {
    /// The costs.
    pub cost: Cost,
    /// Where they come from.
    pub fit: Fit,
    /// The image's functions.
    pub symbols: Symbols,
}

/// Measures a subject with phases of this length each.
///
/// # Errors
/// The image or QEMU does not do what it should, or the phases do not add up however often it is repeated.
pub fn measure(subject: &Subject, time: Duration) -> Result<Measured> {
    let symbols = Symbols::read(&image::symbols()?)?;
    let functions = Functions { step: symbols.address(&STEP)?, tx_sync: symbols.address(&TX_SYNC)? };
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match fit(&subject.count(functions, time)?) {
            Ok(fit) => return Ok(Measured { cost: fit.cost, fit, symbols }),
            Err(unexplained) => last = Some(unexplained),
        }
    }
    match last {
        Some(unexplained) => Err::<Measured, Unexplained>(unexplained).context(subject.name),
        None => bail!("nothing was measured"),
    }
}

impl Subject {
    /// Whether it is fed over vhost-user, which unlike `dgram` costs no system call for a frame.
    pub fn is_vhost_user(&self) -> bool {
        self.is_vhost_user
    }

    /// Boots it in a QEMU that `change` has the last word on, warms it up, and stops it after `work`, which gets the way through it.
    pub fn boot<T>(
        &self,
        change: impl FnOnce(Qemu) -> Qemu,
        work: impl FnOnce(&mut dyn Link, &Guest) -> Result<T>,
    ) -> Result<T> {
        let pattern = Pattern::new(fastrand::u64(..), FRAME..=FRAME);
        let setting = Setting::new(Machine::Q35, self.card, self.card);
        let warmed_up = |link: &mut dyn Link, guest: &Guest| {
            run_burst(link, WARM_UP)?;
            work(link, guest)
        };
        if !self.is_vhost_user {
            let appliance = Appliance::boot_with(setting, change)?;
            let mut link = Flow::new(&appliance.left, &appliance.right, &pattern);
            let done = warmed_up(&mut link, &appliance.guest)?;
            appliance.stop()?;
            return Ok(done);
        }
        let ports = Ports::listen()?;
        // QEMU 7.2 crashes when a vhost-user card has vectors and no accelerator.
        let device = format!("{},vectors=0", self.card.device());
        let qemu = Qemu::new(Machine::Q35, image::appliance()?).command_line(setting.words());
        let qemu = ports.sockets().into_iter().fold(qemu, |qemu, socket| qemu.vhost_user(&device, socket, 1));
        let mut guest = change(qemu).start()?;
        Ready::wait(&guest)?;
        setting.check(&guest)?;
        let done = warmed_up(&mut ports.connect(pattern)?, &guest)?;
        guest.stop()?;
        Ok(done)
    }

    /// Boots it and counts.
    fn count(&self, functions: Functions, time: Duration) -> Result<Samples> {
        let plugin = Plugin::build()?;
        let counted =
            self.boot(|qemu| plugin.attach(qemu), |link, guest| count(link, guest, &plugin, time))?;
        Ok(samples(counted, functions))
    }
}

/// Packets of a phase, and the executions before and after it.
type Counted = (u64, Executed, Executed);

/// Runs all phases.
fn count(link: &mut dyn Link, guest: &Guest, plugin: &Plugin, time: Duration) -> Result<Vec<Counted>> {
    // All counts of one moment: reading them takes as long as thousands of loops.
    let executed = || {
        guest.suspend()?;
        let executed = plugin.executed();
        guest.resume()?;
        executed
    };
    let run = |phase: Phase| {
        let before = executed()?;
        let packets = phase.run(link, time).with_context(|| phase.to_string())?;
        Ok((packets, before, executed()?))
    };
    PHASES.into_iter().map(run).collect()
}

/// What was counted, as the fit takes it.
fn samples(counted: Vec<Counted>, functions: Functions) -> Samples {
    let mut samples = Samples { phases: PHASES.to_vec(), ..Samples::default() };
    samples.loops = vec![0.0; counted.len()];
    samples.tx_syncs = vec![0.0; counted.len()];
    let Some((.., last)) = counted.last() else { return samples };
    for block in last.keys() {
        let count = |executed: &Executed| executed.get(block).copied().unwrap_or_default();
        let since = counted.iter().map(|(_, before, after)| (count(after) - count(before)) as f64);
        let since: Vec<f64> = since.collect();
        for (function, calls) in
            [(functions.step, &mut samples.loops), (functions.tx_sync, &mut samples.tx_syncs)]
        {
            if block.address == function {
                calls.iter_mut().zip(&since).for_each(|(calls, since)| *calls += since);
            }
        }
        if since.iter().any(|executed| *executed > 0.0) {
            samples.blocks.push((*block, since));
        }
    }
    samples.packets = counted.iter().map(|(packets, ..)| *packets as f64).collect();
    samples
}
