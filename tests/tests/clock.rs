//! Objective: the image finds the frequency of the time stamp counter by whatever clock the machine has, and says which.
//!
//! Calibrated:
//! 1. Boot the bridge on a machine with an 8254, and note the frequency on its console.
//! 2. Boot it on the same machine without an 8254, with an HPET, an ACPI PM timer or only a real-time clock. The console names
//!    that clock, has no warning, and marks nothing as uncalibrated. The frequency is that of step 1, to 5 %: one host counts for
//!    both.
//! 3. Frames cross both ways, each after a pause in which the image falls asleep: interrupts are counted. All buffers are back.
//!
//! Uncalibrated:
//! 1. The same on a machine without any clock. There is one warning, READY says that its time is uncalibrated, and so does each
//!    rate.
//!
//! Counted instructions:
//! 1. Boot the bridge where QEMU derives time from the number of instructions, with an 8254 and without. There is no warning, and
//!    a frame crosses.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, on_pc_and_q35, transfer};

on_pc_and_q35!(by_the_hpet, by_the_pm_timer, no_warning_where_instructions_are_counted);

/// Frames sent each way, and the pause before each: longer than the image stays awake.
const FRAMES: usize = 10;
const PAUSE: Duration = Duration::from_millis(7);
/// Two frequencies of one host differ by no more than this part.
const TOLERANCE: u64 = 20;

fn by_the_hpet(machine: Machine) -> Result<()> {
    finds_the_same_frequency(machine, "pit=off,hpet=on", "measured against the HPET")
}

fn by_the_pm_timer(machine: Machine) -> Result<()> {
    finds_the_same_frequency(machine, "pit=off,hpet=off", "measured against the ACPI PM timer")
}

#[test]
fn by_the_real_time_clock_of_pc() -> Result<()> {
    finds_the_same_frequency(Machine::Pc, "pit=off,acpi=off", "measured against the real-time clock")
}

#[test]
fn by_the_real_time_clock_of_microvm() -> Result<()> {
    finds_the_same_frequency(Machine::Microvm, "pit=off,rtc=on", "measured against the real-time clock")
}

#[test]
fn without_any_clock() -> Result<()> {
    let appliance = boot(Machine::Microvm, &["-machine", "pit=off,rtc=off"])?;
    let lines = appliance.guest.console().lines_after(Mark::default());
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains(" WARN ")).collect();
    ensure!(warnings.len() == 1 && warnings.iter().all(|line| line.contains("uncalibrated")), "{lines:#?}");
    let rates = lines.iter().filter(|line| line.contains("kHz") || line.starts_with("READY "));
    let unmarked: Vec<_> = rates.filter(|line| !line.contains("uncalibrated")).collect();
    ensure!(unmarked.is_empty(), "not marked as uncalibrated: {unmarked:#?}");
    forwards_and_sleeps(appliance)
}

fn no_warning_where_instructions_are_counted(machine: Machine) -> Result<()> {
    for count in ["shift=0,sleep=off", "shift=auto"] {
        for properties in ["pit=on", "pit=off"] {
            let appliance = boot(machine, &["-icount", count, "-machine", properties])?;
            is_calibrated(&appliance).with_context(|| format!("-icount {count} -machine {properties}"))?;
            transfer::carry(&appliance.left, &appliance.right, [Generator::new().frame(60)])?;
            appliance.stop()?;
        }
    }
    Ok(())
}

fn finds_the_same_frequency(machine: Machine, properties: &str, source: &str) -> Result<()> {
    let with_8254 = boot(machine, &["-machine", "pit=on"])?;
    let expected = khz(&with_8254, "measured against the 8254 timer")?;
    with_8254.stop()?;
    let appliance = boot(machine, &["-machine", properties])?;
    is_calibrated(&appliance)?;
    let found = khz(&appliance, source)?;
    ensure!(
        found.abs_diff(expected) <= expected / TOLERANCE,
        "{found} kHz {source}, and {expected} kHz by the 8254"
    );
    forwards_and_sleeps(appliance)
}

/// The bridge on virtio cards that interrupt, with these further words for QEMU.
fn boot(machine: Machine, arguments: &[&str]) -> Result<Appliance> {
    let card = if machine == Machine::Microvm { Card::VirtioMmioAcpi } else { Card::Virtio };
    let setting = Setting::new(machine, card, card).waiting(Wait::Poll);
    Appliance::boot_with(setting, |qemu| arguments.iter().fold(qemu, |qemu, word| qemu.argument(word)))
}

/// The frequency on the console, which was found by `source`.
fn khz(appliance: &Appliance, source: &str) -> Result<u64> {
    let (line, _) = appliance.guest.wait_for(Mark::default(), " clock: ")?;
    ensure!(line.ends_with(source), "the clock is not {source}: {line}");
    let (_, text) = line.split_once(" clock: ").context("no clock")?;
    let (number, _) = text.split_once(" kHz").with_context(|| format!("no frequency in {line}"))?;
    number.parse().with_context(|| format!("no frequency in {line}"))
}

/// Nothing on the console is a warning or marked as uncalibrated.
fn is_calibrated(appliance: &Appliance) -> Result<()> {
    let lines = appliance.guest.console().lines_after(Mark::default());
    let told = lines.iter().filter(|line| line.contains(" WARN ") || line.contains("uncalibrated"));
    let told: Vec<_> = told.collect();
    ensure!(told.is_empty(), "{told:#?}");
    Ok(())
}

fn forwards_and_sleeps(appliance: Appliance) -> Result<()> {
    let mut generator = Generator::new();
    for number in 0..FRAMES {
        for (from, to) in [(&appliance.left, &appliance.right), (&appliance.right, &appliance.left)] {
            thread::sleep(PAUSE);
            let frame = generator.frame(60);
            transfer::carry(from, to, [frame]).with_context(|| format!("frame {number}"))?;
        }
    }
    let counters = appliance.stop()?;
    ensure!(counters.sum(|name| name == "interrupts") > 0, "no interrupt has woken it: {counters:?}");
    ensure!(counters.dropped() == 0, "frames were dropped: {counters:?}");
    Ok(())
}
