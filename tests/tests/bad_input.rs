//! Objective: whatever is wrong with configuration or machine is said with the offending word, and status 35.
//!
//! For each wrong command line or set of cards:
//! 1. Boot the image with it.
//! 2. It ends with QEMU's status 35, after an `EXIT code=0x11` line.
//! 3. The console names what is wrong, and where there is a choice, what is allowed.
//!
//! A command line of the greatest length is read to its end. One that is longer ends in a line that names the limit, whether
//! the image can read it or its loader has written it over the rest of what it hands over. (In an ISO the script refuses it, see
//! `script`; what the image answers to GRUB is for the tests of `boot`.)

use anyhow::Result;
use millrace_tests::console::Mark;
use millrace_tests::guest::STATUS_REFUSED;
use millrace_tests::{Card, Machine, Qemu, Wire, image, on_pc_and_q35};

on_pc_and_q35!(
    no_card,
    one_card,
    a_card_without_a_driver,
    unknown_key,
    unknown_application,
    unknown_port,
    absent_mac_address,
    malformed_mac_address,
    same_port_twice,
    bad_value,
    bad_tunable,
    more_buffers_than_memory,
    buffers_too_small_for_the_card,
    mtu_out_of_range,
    mtu_above_the_card_s,
    mtu_for_which_a_card_needs_larger_buffers,
    bad_waiting,
    unclosed_quote,
    long_word,
    word_without_equals_sign,
    duplicate_key,
    longest_command_line,
    command_line_too_long,
);

fn no_card(machine: Machine) -> Result<()> {
    refused(machine, 0, "app=bridge", &["2 network cards", "none"])
}

fn one_card(machine: Machine) -> Result<()> {
    refused(machine, 1, "app=bridge", &["2 network cards", "only vtnet0"])
}

/// 10ec:8139 is the RTL8139.
fn a_card_without_a_driver(machine: Machine) -> Result<()> {
    let wire = Wire::new()?;
    let qemu = Qemu::new(machine, image::appliance()?).command_line("app=bridge");
    let qemu = qemu.device_on("rtl8139,romfile=,addr=0x10", "hubport", "hubid=0").wire(&wire);
    let mut guest = qemu.start()?;
    guest.wait_status(STATUS_REFUSED)?;
    let (line, _) = guest.wait_for(Mark::default(), "no driver")?;
    assert!(line.ends_with(" WARN cards: 00:10.0: no driver for network controller 10ec:8139"), "{line}");
    let (line, _) = guest.wait_for(Mark::default(), "EXIT code=0x11 reason=")?;
    assert!(line.ends_with("there is only vtnet0; without a driver: 00:10.0 10ec:8139"), "{line}");
    Ok(())
}

fn unknown_key(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge colour=blue", &["colour", "app", "wait", "log"])
}

fn unknown_application(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=toaster", &["toaster", "bridge"])
}

fn unknown_port(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge a=vtnet0 b=vtnet7", &["vtnet7", "vtnet0", "vtnet1"])
}

fn absent_mac_address(machine: Machine) -> Result<()> {
    let parts = ["mac-5254000000ff", "vtnet0 (52:54:00:", "vtnet1 (52:54:00:"];
    refused(machine, 2, "app=bridge a=mac-5254000000ff", &parts)
}

fn malformed_mac_address(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge a=mac-5254", &["mac-5254", "malformed", "mac- and 12 hexadecimal digits"])
}

fn same_port_twice(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge a=vtnet1 b=vtnet1", &["vtnet1"])
}

fn bad_value(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge log=loudly", &["loudly", "info"])
}

fn bad_tunable(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge netmap.ring_size=many", &["netmap.ring_size", "many"])
}

fn more_buffers_than_memory(machine: Machine) -> Result<()> {
    let parts =
        ["buf pool", "100000 objects of 2048 bytes need 204800000 bytes", "are left", "netmap.buf_num"];
    refused(machine, 2, "app=bridge netmap.buf_num=100000", &parts)
}

fn buffers_too_small_for_the_card(machine: Machine) -> Result<()> {
    let words = "app=bridge netmap.buf_size=256";
    refused_on(machine, &[Card::E1000, Card::E1000e], words, &["192", "netmap.buf_size", "320", "em0"])
}

fn mtu_out_of_range(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge mtu=9001", &["mtu=9001", "allowed: 68 to 9000"])
}

fn mtu_above_the_card_s(machine: Machine) -> Result<()> {
    let wires = [Wire::new()?, Wire::new()?];
    let qemu = Qemu::new(machine, image::appliance()?).command_line("app=bridge mtu=9000");
    let device = format!("{},host_mtu=4000", Card::Virtio.device());
    let with_card = |qemu: Qemu, wire: &Wire| qemu.device_on(&device, "dgram", &wire.backend());
    refuses(wires.iter().fold(qemu, with_card), &["vtnet0", "mtu=9000", "use mtu=4000 or less"])
}

/// A device that wants the header of a packet apart does not spread a frame over several buffers.
fn mtu_for_which_a_card_needs_larger_buffers(machine: Machine) -> Result<()> {
    let parts = ["vtnet0", "mtu=9000", "netmap.buf_size=2048", "netmap.buf_size=9088", "mtu=1962"];
    refused_on(machine, &[Card::VirtioLegacyApart; 2], "app=bridge mtu=9000", &parts)
}

fn bad_waiting(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge wait=never", &["wait=never", "spin, poll, adaptive"])
}

fn unclosed_quote(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge a=\"vtnet0 b=vtnet1", &["`a=\"vtnet0 b=vtnet1`", "quote"])
}

fn long_word(machine: Machine) -> Result<()> {
    let word = "x".repeat(3000);
    refused(machine, 2, &format!("app=bridge {word}"), &["xxxxxxxx", "3000"])
}

fn word_without_equals_sign(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge quiet", &["quiet"])
}

fn duplicate_key(machine: Machine) -> Result<()> {
    refused(machine, 2, "app=bridge wait=spin app=bridge", &["app"])
}

/// The greatest length of a command line, in bytes.
const LONGEST_COMMAND_LINE: usize = 4096;

#[test]
fn longest_command_line_on_microvm() -> Result<()> {
    longest_command_line(Machine::Microvm)
}

/// Its last word is what is wrong.
fn longest_command_line(machine: Machine) -> Result<()> {
    let (first, last) = ("app=bridge", "colour=blue");
    let blanks = " ".repeat(LONGEST_COMMAND_LINE - first.len() - last.len());
    refused(machine, 0, &format!("{first}{blanks}{last}"), &["colour"])
}

#[test]
fn command_line_too_long_on_microvm() -> Result<()> {
    command_line_too_long(Machine::Microvm)
}

fn command_line_too_long(machine: Machine) -> Result<()> {
    for length in [5000, 8000, 20_000] {
        let line = format!("app=bridge{}", " ".repeat(length));
        refused(machine, 0, &line, &["command line longer than 4096 bytes", "shorten it"])?;
    }
    Ok(())
}

/// The image is given so many virtio cards and `words`, and refuses with a complaint that has all `parts`.
fn refused(machine: Machine, cards: usize, words: &str, parts: &[&str]) -> Result<()> {
    refused_on(machine, &vec![Card::Virtio; cards], words, parts)
}

/// The same with these cards.
fn refused_on(machine: Machine, cards: &[Card], words: &str, parts: &[&str]) -> Result<()> {
    let wires = cards.iter().map(|_| Wire::new()).collect::<Result<Vec<_>>>()?;
    let qemu = Qemu::new(machine, image::appliance()?).command_line(words);
    refuses(cards.iter().zip(&wires).fold(qemu, |qemu, (card, wire)| qemu.wire_to(*card, wire)), parts)
}

/// The same for what `qemu` is.
fn refuses(qemu: Qemu, parts: &[&str]) -> Result<()> {
    let mut guest = qemu.start()?;

    let is_decided = |line: &str| line.starts_with("EXIT ") || line.starts_with("READY ");
    let (decision, _) = guest.wait_line(Mark::default(), "decision", is_decided)?;
    assert!(decision.starts_with("EXIT code=0x11 reason="), "{decision}");
    guest.wait_status(STATUS_REFUSED)?;

    let lines = guest.console().lines_after(Mark::default());
    let complaint: Vec<&String> = lines.iter().filter(|line| is_complaint(line)).collect();
    for part in parts {
        assert!(complaint.iter().any(|line| line.contains(part)), "no word of {part:?} in {complaint:#?}");
    }
    Ok(())
}

/// Errors and the last line, as opposed to lines that repeat the command line or list the cards.
fn is_complaint(line: &str) -> bool {
    line.starts_with("EXIT ") || line.split_whitespace().any(|word| word == "ERROR")
}
