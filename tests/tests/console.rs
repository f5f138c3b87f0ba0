//! Objective: the appliance can be spoken to over its serial port.
//!
//! 1. Boot the bridge without naming the application: two cards are bridged.
//! 2. `?` and `h` print what can be typed; a letter that means nothing is ignored, and frames pass on.
//! 3. `s` prints the counters and since when they count, and again later, with the frames in between and the time since then.
//! 4. `:stats` and Enter print the counters as well; a command line with an unknown command is answered with those that there are.
//! 5. `m` prints the memory region with its users and a line for each pool; `t` prints every tunable, those of the command
//!    line as they were set. No line of `s` and `m` is longer than 132 characters.
//! 6. `q` stops it with QEMU's status 33, after an `EXIT code=0x10` line.
//!
//! Asleep:
//! 1. Boot the bridge with `wait=poll`.
//! 2. Twenty times, each after a pause that is no divisor of the time that a sleep ends after: type a letter. Most are
//!    answered so soon that it was not the end of a sleep that has found them.
//!
//! Unread:
//! 1. Boot the bridge with its serial port at a socket, read until it is ready and answers `s` once, then read no more.
//! 2. Type `s` thousands of times: more answers than the socket and the image can keep. Frames still pass both ways.
//! 3. Type `q`, and read on. Each line is whole; where answers are missing, a line says how many lines were lost. The last
//!    line is that of the exit, and QEMU ends with status 33.
//! 4. The same with a fault of the kernel instead of `q`: its report is complete, and QEMU ends with status 37.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use millrace_tests::console::Mark;
use millrace_tests::counters::stats_message;
use millrace_tests::frames::Generator;
use millrace_tests::guest::{Guest, STATUS_DONE, STATUS_FAULT};
use millrace_tests::serial::{Line, Serial};
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wait, Wire, image, on_pc_and_q35, transfer};

on_pc_and_q35!(
    letters_are_answered,
    a_letter_ends_a_sleep,
    an_unread_console_loses_whole_lines,
    a_fault_is_reported_on_an_unread_console,
);

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
    let lines = appliance.guest.console().lines_after(Mark::default());
    let mut reports = lines.iter().filter(|line| line.contains(" counters since boot; up "));
    let (first, second) = (reports.next(), reports.next());
    let is_first = |line: &String| line.contains(" s, ready for ") && line.ends_with(" s, first report");
    let is_second = |line: &String| line.contains(" s, last report ") && line.ends_with(" s ago");
    assert!(first.is_some_and(is_first), "{first:?}");
    assert!(second.is_some_and(is_second), "{second:?}");

    let mark = appliance.guest.console().mark();
    appliance.guest.type_in(":stats\r")?;
    appliance.guest.wait_for(mark, " stats: vtnet0 rx0 ")?;
    appliance.guest.type_in(":start\r")?;
    let (line, _) = appliance.guest.wait_for(mark, "unknown command \"start\"")?;
    assert!(line.contains("allowed: help stats memory "), "{line}");

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

/// Answers to `s` that are asked for while nothing is read. They are some times as long as all that is kept on the way.
const UNREAD: usize = 3000;

/// A bridge whose serial port is at a socket.
struct Unread {
    guest: Guest,
    line: Line,
    left: Wire,
    right: Wire,
    /// What each line of an answer to `s` is about.
    answer: Vec<String>,
}

impl Unread {
    /// Boots the bridge, and asks for more than can be kept.
    fn boot(machine: Machine, image: PathBuf, change: impl FnOnce(Qemu) -> Qemu) -> Result<Self> {
        let serial = Serial::new()?;
        let (left, right) = (Wire::new()?, Wire::new()?);
        let qemu = Qemu::new(machine, image).command_line("app=bridge").wire(&left).wire(&right);
        let guest = change(qemu.serial(&serial)).start()?;
        let mut line = serial.connect()?;
        line.read_to("READY", |line| line.starts_with("READY "))?;
        left.connect()?;
        right.connect()?;
        line.type_in(b's', 1)?;
        let answer = line.read_to("counters", |line| subject(line) == Some("buffers".to_owned()))?;
        let answer = answer.iter().map(|line| subject(line).context("no counters")).collect::<Result<_>>()?;
        line.type_in(b's', UNREAD)?;
        Ok(Self { guest, line, left, right, answer })
    }

    /// Checks that the lines up to the first that is neither counters nor a note are answers to so many `s`, but for those
    /// that the notes count. Returns the rest.
    fn check<'l>(&self, lines: &'l [String], answers: usize) -> &'l [String] {
        let (mut expected, mut lost) = (0, 0);
        let end = lines.iter().position(|line| {
            if let Some(subject) = subject(line) {
                let due = self.answer.get(expected % self.answer.len());
                assert_eq!(Some(&subject), due, "line {expected}: {line}");
                expected += 1;
            } else if let Some(count) = lost_lines(line) {
                assert!(count > 0);
                expected += count;
                lost += count;
            } else {
                return true;
            }
            false
        });
        assert!(lost > 0, "no line was lost: {lines:#?}");
        assert_eq!(expected, answers * self.answer.len());
        println!("{lost} of {expected} lines were lost");
        end.and_then(|end| lines.get(end..)).unwrap_or(&[])
    }
}

/// What a line of the counters' report is about: `uptime`, a ring's name, or `buffers`.
fn subject(line: &str) -> Option<String> {
    if line.contains(" uptime: ") {
        return Some("uptime".to_owned());
    }
    let text = stats_message(line)?;
    let words: Vec<&str> = text.split_whitespace().take_while(|word| !word.contains('=')).collect();
    Some(words.join(" "))
}

/// How many lines were lost, as a line says that stands in their place.
fn lost_lines(line: &str) -> Option<usize> {
    let (_, note) = line.split_once("] WARN console: ")?;
    note.split_once(" line")?.0.parse().ok()
}

fn an_unread_console_loses_whole_lines(machine: Machine) -> Result<()> {
    let mut unread = Unread::boot(machine, image::appliance()?, |qemu| qemu)?;
    let mut generator = Generator::new();
    let mut frames = || (0..500).map(|number| generator.frame(60 + number)).collect();
    transfer::exchange(&unread.left, &unread.right, frames(), frames())?;
    unread.line.type_in(b'q', 1)?;
    let lines = unread.line.read_all()?;
    let rest = unread.check(&lines, UNREAD + 1);
    assert!(matches!(rest, [exit] if exit.starts_with("EXIT code=0x10 reason=")), "{rest:#?}");
    unread.guest.wait_status(STATUS_DONE)?;
    Ok(())
}

fn a_fault_is_reported_on_an_unread_console(machine: Machine) -> Result<()> {
    let mut unread = Unread::boot(machine, image::fault_injection()?, |qemu| qemu.processors(2))?;
    unread.line.type_in(b'f', 1)?;
    let lines = unread.line.read_all()?;
    let rest = unread.check(&lines, UNREAD);
    assert!(rest.first().is_some_and(|line| line.starts_with("FAULT vector=14 ")), "{rest:#?}");
    assert!(rest.last().is_some_and(|line| line.starts_with("EXIT code=0x12 reason=")), "{rest:#?}");
    for register in ["rip=", "rax=", "r15=", "cr3="] {
        assert!(rest.iter().any(|line| line.contains(register)), "no {register} in {rest:#?}");
    }
    unread.guest.wait_status(STATUS_FAULT)?;
    Ok(())
}
