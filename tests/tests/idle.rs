//! Objective: an appliance without traffic costs its host next to nothing, and forwards when traffic comes.
//!
//! Idle:
//! 1. Boot the bridge with `wait=spin`, on cards that interrupt by message and on cards that do by a line, let a frame cross, and note the processor time that QEMU takes in 2 s in which
//!    nothing is sent. The same with `poll` and `adaptive`.
//! 2. The latter two take less than a twentieth of the first.
//! 3. A frame still crosses, and a letter is answered.
//!
//! Woken:
//! 1. Boot the bridge with each way to wait, on cards that interrupt by message and on cards that do not; also with
//!    `netmap.no_pendintr=0`, where a card is looked at only after it has interrupted; and so once more with lines that are masked,
//!    as one is that interrupts without end.
//! 2. A hundred times, each after a pause in which it falls asleep: send one frame, in turns either way. Each arrives, and
//!    most so soon that it was not the end of a wait that has found them.
//! 3. Stop the image: it has counted the interrupts of the cards that have some.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::{
    Appliance, Card, Machine, Setting, Wait, Wire, on_pc_and_q35, transfer, with_every_wait,
};

on_pc_and_q35!(idleness_costs_next_to_nothing);
with_every_wait!(one_frame_wakes_it);

/// How long nothing is sent.
const WINDOW: Duration = Duration::from_secs(2);
/// How many times more processor time a spinning appliance takes, at least.
const RATIO: u64 = 20;
/// Frames that are sent one at a time.
const FRAMES: usize = 100;
/// Longer than an adaptive appliance stays awake, and no divisor of the time that a wait ends after.
const PAUSE: Duration = Duration::from_millis(7);
/// Waits end after 50 ms. A frame that is only found then takes longer than this more often than not.
const SOON: Duration = Duration::from_millis(20);

fn idleness_costs_next_to_nothing(machine: Machine) -> Result<()> {
    idleness_costs_little(Setting::from(machine))
}

mod with_a_line {
    use super::*;

    #[test]
    fn e1000_and_legacy_virtio() -> Result<()> {
        idleness_costs_little(Setting::new(Machine::Pc, Card::E1000, Card::VirtioLegacy))
    }

    #[test]
    fn virtio_mmio() -> Result<()> {
        idleness_costs_little(Setting::new(Machine::Microvm, Card::VirtioMmio, Card::VirtioMmio))
    }
}

fn idleness_costs_little(setting: Setting) -> Result<()> {
    let time = |wait| idle_time(setting.waiting(wait));
    let (spin, poll, adaptive) = (time(Wait::Spin)?, time(Wait::Poll)?, time(Wait::Adaptive)?);
    println!("in {} s idle: spin {spin}, poll {poll}, adaptive {adaptive} ticks", WINDOW.as_secs());
    assert!(poll * RATIO < spin, "poll takes {poll} ticks, spin {spin}");
    assert!(adaptive * RATIO < spin, "adaptive takes {adaptive} ticks, spin {spin}");
    Ok(())
}

/// Ticks of processor time that an idle appliance takes in the window.
fn idle_time(setting: Setting) -> Result<u64> {
    let mut appliance = Appliance::boot(setting)?;
    let mut generator = Generator::new();
    transfer::carry(&appliance.left, &appliance.right, [generator.frame(60)])?;
    // What the boot has left for QEMU's other threads to do is done by then.
    thread::sleep(Duration::from_millis(200));
    let before = appliance.guest.processor_ticks()?;
    thread::sleep(WINDOW);
    let ticks = appliance.guest.processor_ticks()? - before;
    transfer::carry(&appliance.right, &appliance.left, [generator.frame(60)])?;
    let [.., left_tx] = setting.rings();
    assert_eq!(appliance.counters()?.get(&left_tx, "packets")?, 1);
    appliance.stop()?;
    Ok(ticks)
}

#[test]
fn one_frame_wakes_it_that_looks_at_its_cards_after_interrupts_only() -> Result<()> {
    for wait in [Wait::Poll, Wait::Adaptive] {
        let words = format!("app=bridge netmap.no_pendintr=0 wait={}", wait.value());
        let appliance = Appliance::boot_with(Machine::Q35, |qemu| qemu.command_line(words))?;
        wake_again_and_again(appliance)?;
    }
    Ok(())
}

#[test]
fn one_frame_wakes_it_whose_lines_are_masked() -> Result<()> {
    let cards = [
        (Machine::Pc, [Card::E1000, Card::VirtioLegacy]),
        (Machine::Q35, [Card::VirtioLine, Card::VirtioLine]),
    ];
    for (machine, [left, right]) in cards {
        let setting = Setting::new(machine, left, right).waiting(Wait::Poll);
        let words = format!("{} netmap.no_pendintr=0", setting.words());
        let mut appliance = Appliance::boot_test_build_with(setting, |qemu| qemu.command_line(words))?;
        appliance.guest.type_in("k")?;
        appliance.guest.wait_for(Mark::default(), "is masked: it interrupts continuously")?;
        wake_again_and_again(appliance)?;
    }
    Ok(())
}

fn one_frame_wakes_it(setting: Setting) -> Result<()> {
    wake_again_and_again(Appliance::boot(setting)?)
}

fn wake_again_and_again(appliance: Appliance) -> Result<()> {
    let mut generator = Generator::new();
    // QEMU's e1000 takes nothing in the first second.
    for (from, to) in [(&appliance.left, &appliance.right), (&appliance.right, &appliance.left)] {
        transfer::carry(from, to, [generator.frame(60)])?;
    }
    let mut times = Vec::new();
    for number in 0..FRAMES {
        let wires = [&appliance.left, &appliance.right];
        let [from, to] = if number % 3 == 0 { [wires[1], wires[0]] } else { wires };
        thread::sleep(PAUSE);
        times.push(one_frame(from, to, &mut generator).with_context(|| format!("frame {number}"))?);
    }
    let late = times.iter().filter(|time| **time > SOON).count();
    println!("{late} of {FRAMES} frames took longer than {SOON:?}, the slowest {:?}", times.iter().max());
    assert!(late < FRAMES / 2, "{late} frames took longer than {SOON:?}: they did not wake it");
    let interrupts = appliance.stop()?.sum(|name| name == "interrupts");
    assert!(interrupts > FRAMES as u64 / 4, "{interrupts} interrupts are counted");
    Ok(())
}

/// Sends a frame and returns how long it took to arrive.
fn one_frame(from: &Wire, to: &Wire, generator: &mut Generator) -> Result<Duration> {
    let start = Instant::now();
    transfer::carry(from, to, [generator.frame(60)])?;
    Ok(start.elapsed())
}
