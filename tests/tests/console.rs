//! Objective: the appliance can be spoken to over its serial port.
//!
//! 1. Boot the bridge without naming the application: two cards are bridged.
//! 2. `?` and `h` print what can be typed; a letter that means nothing is ignored, and frames pass on.
//! 3. `s` prints the counters and since when they count, and again later, with the frames in between and the time since then.
//! 4. `m` prints the memory region with its users and a line for each pool; `t` prints every tunable, those of the command
//!    line as they were set. No line of `s` and `m` is longer than 132 characters.
//! 5. `q` stops it with QEMU's status 33, after an `EXIT code=0x10` line.
//!
//! Asleep:
//! 1. Boot the bridge with `wait=poll`.
//! 2. Twenty times, each after a pause that is no divisor of the time that a sleep ends after: type a letter. Most are
//!    answered so soon that it was not the end of a sleep that has found them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::frames::Generator;
use millrace_tests::guest::STATUS_DONE;
use millrace_tests::{Appliance, Card, Machine, Setting, Wait, on_pc_and_q35, transfer};

on_pc_and_q35!(letters_are_answered, a_letter_ends_a_sleep);

fn letters_are_answered(machine: Machine) -> Result<()> {
    let mut appliance = Appliance::boot_with(machine, |qemu| {
        qemu.command_line("netmap.generic_mit=5000 netmap.buf_size=4096")
    })?;
    assert_eq!(appliance.ready.app, "bridge");
    assert_eq!(appliance.ready.ports, ["vtnet0", "vtnet1"]);

    for letter in ["?", "h"] {
        let mark = appliance.guest.console().mark();
        appliance.guest.type_in("xyz\n")?;
        appliance.guest.type_in(letter)?;
        appliance.guest.wait_for(mark, "counters")?;
    }

    let before = appliance.counters()?.get("vtnet0 rx0", "packets")?;
    let mut generator = Generator::new();
    transfer::carry(&appliance.left, &appliance.right, (0..100).map(|_| generator.frame(100)))?;
    let after = appliance.counters()?.get("vtnet0 rx0", "packets")?;
    assert_eq!((before, after), (0, 100));
    let reports = appliance.guest.console().lines_after(Mark::default());
    let reports =
        reports.iter().filter(|line| line.contains(" counters since boot; up ")).collect::<Vec<_>>();
    assert!(reports[0].contains(" s, ready for ") && reports[0].ends_with(" s, first report"), "{reports:?}");
    assert!(reports[1].contains(" s, last report ") && reports[1].ends_with(" s ago"), "{reports:?}");

    let mark = appliance.guest.console().mark();
    appliance.guest.type_in("m")?;
    let (region, _) = appliance.guest.wait_for(mark, "region 1 shared bytes=")?;
    assert!(region.contains(" ports=2 "), "{region}");
    appliance.guest.wait_for(mark, "  buf  size=4096 ")?;
    let lines = appliance.guest.console().lines_after(mark);
    let lines = lines.iter().filter(|line| line.contains(" memory: ")).collect::<Vec<_>>();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    let reports = appliance.guest.console().lines_after(Mark::default());
    let is_report =
        |line: &&String| [" uptime: ", " stats: ", " memory: "].iter().any(|part| line.contains(part));
    let longest = reports.iter().filter(is_report).max_by_key(|line| line.len());
    assert!(longest.is_some_and(|line| line.len() <= 132), "{longest:?}");
    appliance.guest.type_in("t")?;
    for tunable in [
        "netmap.buf_size=4096 default=2048 range=256..32768 step=64",
        "netmap.generic_mit=5000 default=100000",
        "netmap.admode=0 default=0",
    ] {
        appliance.guest.wait_for(mark, tunable)?;
    }

    appliance.guest.type_in("q")?;
    appliance.guest.wait_status(STATUS_DONE)?;
    appliance.guest.wait_for(Mark::default(), "EXIT code=0x10 reason=")?;
    Ok(())
}

/// Sleeps end after 50 ms. A letter that is only found then takes longer than this more often than not.
const SOON: Duration = Duration::from_millis(15);

fn a_letter_ends_a_sleep(machine: Machine) -> Result<()> {
    answer_at_once(Setting::from(machine))
}

#[test]
fn a_letter_ends_a_sleep_on_microvm() -> Result<()> {
    answer_at_once(Setting::new(Machine::Microvm, Card::VirtioMmio, Card::VirtioMmio))
}

fn answer_at_once(setting: Setting) -> Result<()> {
    let mut appliance = Appliance::boot(setting.waiting(Wait::Poll))?;
    let mut times = Vec::new();
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(37));
        let mark = appliance.guest.console().mark();
        let start = Instant::now();
        appliance.guest.type_in("h")?;
        appliance.guest.wait_for(mark, "counters")?;
        times.push(start.elapsed());
    }
    let late = times.iter().filter(|time| **time > SOON).count();
    println!("{late} of 20 letters took longer than {SOON:?}, the slowest {:?}", times.iter().max());
    assert!(late < 10, "{late} letters took longer than {SOON:?}: they did not end a sleep");
    appliance.stop()?;
    Ok(())
}
