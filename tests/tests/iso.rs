//! Objective: one ELF boots directly, and from an ISO by GRUB, and behaves the same.
//!
//! 1. Look at the ELF: a Multiboot2 header where GRUB looks for it, and no header of Multiboot1.
//! 2. Make an ISO with `./qemu-run.sh build --iso`, the kernel command line in its menu.
//! 3. Boot the bridge from it: by SeaBIOS and by OVMF, as a CD and as a disk, on pc and on q35, and some of these with Intel's
//!    cards and mixed pairs. It says that Multiboot2 handed over, and shows the command line and the tunable that it sets.
//! 4. Send frames of every length both ways: they arrive byte for byte. `q` stops it with QEMU's status 33 and
//!    every buffer in its place.
//! 5. Boot from Intel's cards first, by BIOS: their option ROMs drive them, get an address, and find nothing. Then the CD's
//!    turn comes, and frames pass as ever.
//! 6. Quote a value with blanks in both ways: the image gets each as one word.
//!
//! Where OVMF, the option ROMs or a tool for making the ISO is missing, this fails and says which: `./qemu-run.sh test` installs them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::console::Mark;
use millrace_tests::frames::{Generator, LONGEST, SHORTEST};
use millrace_tests::guest::STATUS_REFUSED;
use millrace_tests::iso::{Firmware, Iso, Medium};
use millrace_tests::wire::{Interest, wait_any};
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wire, image, on_pc_and_q35, transfer};

/// When nothing has come for so long, all that the firmware has sent is here.
const STILL: Duration = Duration::from_millis(700);

on_pc_and_q35!(bios_boots_the_cd, bios_boots_the_disk, uefi_boots_the_cd, uefi_boots_the_disk);

fn bios_boots_the_cd(machine: Machine) -> Result<()> {
    bridges(machine.into(), Medium::Cd, Firmware::Bios)
}

fn bios_boots_the_disk(machine: Machine) -> Result<()> {
    bridges(machine.into(), Medium::Disk, Firmware::Bios)
}

fn uefi_boots_the_cd(machine: Machine) -> Result<()> {
    bridges(machine.into(), Medium::Cd, Firmware::Uefi)
}

fn uefi_boots_the_disk(machine: Machine) -> Result<()> {
    bridges(machine.into(), Medium::Disk, Firmware::Uefi)
}

#[test]
fn bios_and_e1000_pc() -> Result<()> {
    bridges(Setting::new(Machine::Pc, Card::E1000, Card::E1000Em), Medium::Cd, Firmware::Bios)
}

#[test]
fn bios_and_e1000e_q35() -> Result<()> {
    bridges(Setting::new(Machine::Q35, Card::E1000e, Card::VirtioLegacy), Medium::Disk, Firmware::Bios)
}

#[test]
fn uefi_and_e1000_and_e1000e_q35() -> Result<()> {
    bridges(Setting::new(Machine::Q35, Card::E1000, Card::E1000e), Medium::Cd, Firmware::Uefi)
}

fn bridges(setting: Setting, medium: Medium, firmware: Firmware) -> Result<()> {
    let [left, right] = setting.ports();
    let words = ["app=bridge", "netmap.generic_mit=5000", &format!("b={left}"), &format!("a={right}")];
    let iso = Iso::build(&words)?;
    let mut appliance = Appliance::boot_with(setting, |qemu| qemu.iso(&iso, medium, firmware))?;
    assert_eq!(appliance.ready.ports, [right, left]);
    for said in ["Multiboot2, ", &format!("command line: {}", words.join(" "))] {
        appliance.guest.wait_for(Mark::default(), said)?;
    }
    let mark = appliance.guest.console().mark();
    appliance.guest.type_in("t")?;
    appliance.guest.wait_for(mark, "netmap.generic_mit=5000 default=100000")?;

    let mut generator = Generator::new();
    let mut frames = || (SHORTEST..=LONGEST).map(|length| generator.noise(length)).collect::<Vec<_>>();
    let (rightwards, leftwards) = (frames(), frames());
    let count = rightwards.len() as u64;
    transfer::exchange(&appliance.left, &appliance.right, rightwards, leftwards)?;

    let counters = appliance.stop()?;
    for ring in setting.rings() {
        assert_eq!(counters.get(&ring, "packets")?, count, "packets of {ring}");
    }
    assert_eq!(counters.dropped(), 0);
    Ok(())
}

#[test]
fn bios_that_has_used_the_cards_before() -> Result<()> {
    let iso = Iso::build(&["app=bridge"])?;
    let (left, right) = (Wire::new()?, Wire::new()?);
    let qemu = Qemu::new(Machine::Pc, image::appliance()?).iso(&iso, Medium::Cd, Firmware::Bios);
    let qemu = booted_from_first(qemu, "e1000,bootindex=1", 0, &left);
    let qemu = booted_from_first(qemu, "e1000e,bootindex=2", 1, &right);
    let appliance = Appliance::start(qemu, left, right)?;
    for wire in [&appliance.left, &appliance.right] {
        let mut asked = 0;
        while wait_any(&[(wire, Interest::Receive)], Some(STILL))? {
            asked += usize::from(wire.try_receive()?.is_some());
        }
        println!("the firmware has sent {asked} frames");
        assert!(asked > 1, "the firmware has not used a card");
    }
    let mut generator = Generator::new();
    let mut frames = || (SHORTEST..=LONGEST).map(|length| generator.frame(length)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}

/// Adds `device`, whose option ROM gets an address by DHCP and finds nothing to boot, on one cable with `wire`.
fn booted_from_first(qemu: Qemu, device: &str, hub: u8, wire: &Wire) -> Qemu {
    let qemu = qemu.device_on(device, "hubport", &format!("hubid={hub}"));
    // A network without one of the two would be asked for it for half a minute.
    let others = [("dgram", wire.backend()), ("user", "ipv4=on,ipv6=on".to_owned())];
    others.into_iter().fold(qemu, |qemu, (kind, properties)| {
        let id = format!("{kind}{hub}");
        let qemu = qemu.argument("-netdev").argument(format!("{kind},id={id},{properties}"));
        qemu.argument("-netdev").argument(format!("hubport,id=hub-{id},hubid={hub},netdev={id}"))
    })
}

#[test]
fn a_quoted_value_stays_one_word() -> Result<()> {
    for word in ["a=\"no such card\"", "\"a=no such card\""] {
        let iso = Iso::build(&["app=bridge", word])?;
        let qemu = Qemu::new(Machine::Q35, image::appliance()?).iso(&iso, Medium::Cd, Firmware::Bios);
        let mut guest = qemu.start()?;
        guest.wait_status(STATUS_REFUSED)?;
        guest.wait_for(Mark::default(), "command line: app=bridge \\\"a=no such card\\\"")?;
        let (reason, _) = guest.wait_for(Mark::default(), "EXIT code=0x11 reason=")?;
        assert!(reason.contains("no such card"), "{reason}");
    }
    Ok(())
}

#[test]
fn the_elf_has_a_header_for_grub_and_none_that_qemu_prefers() -> Result<()> {
    let elf = fs::read(image::appliance()?)?;
    let word = |at: usize| Some(u32::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    let header = (0..32 * 1024).step_by(8).find(|at| word(*at) == Some(0xe852_50d6));
    let header = header.context("no Multiboot2 header in the first 32 KiB, at a multiple of 8 bytes")?;
    let sum = (0..4).filter_map(|number| word(header + 4 * number)).fold(0, u32::wrapping_add);
    assert_eq!((word(header + 4), sum), (Some(0), 0), "architecture and checksum");
    let other = (0..8 * 1024).step_by(4).find(|at| word(*at) == Some(0x1bad_b002));
    assert_eq!(other, None, "a Multiboot1 header");
    Ok(())
}
