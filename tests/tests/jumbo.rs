//! Objective: frames of up to 9022 bytes (MTU 9000, Ethernet header, two VLAN tags) pass the bridge on every kind of card, in as
//! many buffers as they need; a longer one is dropped and counted.
//!
//! 1. Boot the bridge between two wires with `mtu=9000`, on cards of each model, with buffers of the default size (1984 bytes) and
//!    of others. The console shows the MTU of each card.
//! 2. Send frames both ways whose lengths lie around each number of full buffers, and the longest, tagged and untagged: each
//!    arrives unchanged.
//! 3. Send frames that are too long, by one byte and by many, each followed by a good one: only the good ones arrive, and the others
//!    are counted.
//! 4. Without a key, the MTU is what the device reports. A frame that is too long for the other card is dropped there, and
//!    counted.
//! 5. Stop the image: no buffer is missing.

use anyhow::{Result, ensure};
use millrace_tests::console::Mark;
use millrace_tests::frames::{Generator, VLAN};
use millrace_tests::transfer::{Fate, carry_fated, exchange};
use millrace_tests::{Appliance, Card, Machine, Qemu, Setting, Wire, image};

/// The longest frame: MTU, header, two tags.
const LONGEST: usize = 9022;

/// The part of a frame that lies in one buffer, of virtio's cards and of Intel's, by the size of a buffer. The first part on a
/// virtio card is shorter by its header.
const PARTS: [(u32, usize, usize); 3] = [(2048, 1984, 1024), (512, 448, 256), (4160, 4096, 4096)];
const VIRTIO_HEADER: usize = 12;

/// Frames of all lengths around the ends of buffers, the shortest and the longest.
fn frames(generator: &mut Generator, parts: [usize; 2]) -> Vec<Vec<u8>> {
    let [virtio, intel] = parts;
    let ends = (1..).map(|n| n * virtio - VIRTIO_HEADER).take_while(|end| *end < LONGEST);
    let ends = ends.chain((1..).map(|n| n * virtio).take_while(|end| *end < LONGEST));
    let ends = ends.chain((1..).map(|n| n * intel).take_while(|end| *end < LONGEST));
    let around = ends.flat_map(|end| end - 3..=end + 3).filter(|length| (60..=LONGEST).contains(length));
    let lengths: Vec<usize> =
        [60, 1514, 1518, 9000, 9014].into_iter().chain(around).chain([LONGEST]).collect();
    let tagged = |generator: &mut Generator, length| {
        let destination = [0x02, 0, 0, 0, 0, 9];
        generator.frame_to(destination, &[(VLAN, 0x602a)], length)
    };
    let plain = lengths.into_iter().map(|length| generator.frame(length)).collect::<Vec<_>>();
    plain.into_iter().chain([tagged(generator, 1518), tagged(generator, LONGEST)]).collect()
}

/// Frames that are on the way at once. QEMU's e1000 takes a frame from its wire when it has one buffer, and drops it if it has fewer
/// than the frame needs, as hardware does: of 256 bytes 36.
const IN_FLIGHT: usize = 4;

/// Sends as many frames each way, a few at a time.
fn exchange_few(appliance: &Appliance, there: &[Vec<u8>], back: &[Vec<u8>]) -> Result<()> {
    for (there, back) in there.chunks(IN_FLIGHT).zip(back.chunks(IN_FLIGHT)) {
        exchange(&appliance.left, &appliance.right, there.to_vec(), back.to_vec())?;
    }
    Ok(())
}

/// The console has told the MTU of both cards.
fn check_shown(appliance: &Appliance, mtu: [&str; 2]) -> Result<()> {
    let lines = appliance.guest.console().lines_after(Mark::default());
    for (port, mtu) in appliance.ready.ports.iter().zip(mtu) {
        let line = |line: &&String| line.contains(&format!(" {port} mac="));
        let shown = lines.iter().find(line).is_some_and(|line| line.contains(&format!(" mtu={mtu} ")));
        ensure!(shown, "no mtu={mtu} of {port} in {lines:?}");
    }
    Ok(())
}

fn frames_pass(setting: Setting) -> Result<()> {
    let mut generator = Generator::new();
    for (buf_size, virtio, intel) in PARTS {
        let words = format!("{} mtu=9000 netmap.buf_size={buf_size}", setting.words());
        let mut appliance = Appliance::boot_with(setting, |qemu| qemu.command_line(words))?;
        check_shown(&appliance, ["9000"; 2])?;
        let [there, back] = [(); 2].map(|()| frames(&mut generator, [virtio, intel]));
        let sent = there.len() as u64;
        exchange_few(&appliance, &there, &back)?;
        let counters = appliance.counters()?;
        for ring in setting.rings() {
            assert_eq!(counters.get(&ring, "packets")?, sent, "{ring}");
            assert_eq!(counters.get(&ring, "refused")?, 0, "{ring}");
        }
        assert_eq!(appliance.stop()?.dropped(), 0);
    }
    Ok(())
}

fn longer_frames_are_counted(setting: Setting) -> Result<()> {
    let words = format!("{} mtu=9000", setting.words());
    let appliance = Appliance::boot_with(setting, |qemu| qemu.command_line(words))?;
    let mut generator = Generator::new();
    let mut sent = Vec::new();
    for _ in 0..20 {
        for length in [LONGEST + 1, LONGEST + 2, 9500, 10_000] {
            sent.push(Fate::Vanishes(generator.frame(length)));
            sent.push(Fate::Arrives(generator.frame(LONGEST)));
        }
    }
    let arrived = sent.len() as u64 / 2;
    while !sent.is_empty() {
        let few = sent.drain(..sent.len().min(IN_FLIGHT)).collect::<Vec<_>>();
        carry_fated(&appliance.left, &appliance.right, few)?;
    }
    let counters = appliance.stop()?;
    let [into_left, out_of_right, ..] = setting.rings();
    assert_eq!(counters.get(&into_left, "packets")?, arrived);
    assert_eq!(counters.get(&out_of_right, "packets")?, arrived);
    assert_eq!(counters.get(&into_left, "drop_long")?, arrived);
    assert_eq!(counters.dropped(), arrived);
    Ok(())
}

/// A test for each kind of card.
macro_rules! with_cards {
    ($($scenario:ident)+) => { $(
        mod $scenario {
            with_cards! { @tests $scenario
                virtio_pc Pc Virtio Virtio,
                virtio_packed_q35 Q35 VirtioPacked VirtioPacked,
                virtio_mmio_microvm Microvm VirtioMmio VirtioMmio,
                virtio_mmio_packed_microvm Microvm VirtioMmioPacked VirtioMmio,
                virtio_legacy_pc Pc VirtioLegacy VirtioLegacy,
                e1000_pc Pc E1000 E1000,
                e1000e_q35 Q35 E1000e E1000e,
                virtio_and_e1000_pc Pc Virtio E1000,
                e1000e_and_virtio_packed_q35 Q35 E1000e VirtioPacked,
            }
        }
    )+ };
    (@tests $scenario:ident $($test:ident $machine:ident $left:ident $right:ident,)+) => { $(
        #[test]
        fn $test() -> anyhow::Result<()> {
            use millrace_tests::{Card, Machine, Setting};
            super::$scenario(Setting::new(Machine::$machine, Card::$left, Card::$right))
        }
    )+ };
}

with_cards!(frames_pass longer_frames_are_counted);

/// Boots the bridge between virtio cards that report these MTUs, without a key.
fn boot_with_host_mtu(mtu: [u16; 2]) -> Result<Appliance> {
    let (left, right) = (Wire::new()?, Wire::new()?);
    let mut qemu = Qemu::new(Machine::Pc, image::appliance()?).command_line("app=bridge wait=spin");
    for (wire, mtu) in [&left, &right].into_iter().zip(mtu) {
        let device = format!("{},host_mtu={mtu}", Card::Virtio.device());
        qemu = qemu.device_on(&device, "dgram", &wire.backend());
    }
    Appliance::start(qemu, left, right)
}

#[test]
fn the_mtu_is_what_the_device_reports() -> Result<()> {
    let appliance = boot_with_host_mtu([9000; 2])?;
    check_shown(&appliance, ["9000"; 2])?;
    let mut generator = Generator::new();
    let [there, back] = [(); 2].map(|()| frames(&mut generator, [1984, 1024]));
    exchange_few(&appliance, &there, &back)?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}

#[test]
fn a_frame_too_long_for_the_other_card_is_counted_there() -> Result<()> {
    let appliance = boot_with_host_mtu([9000, 1280])?;
    check_shown(&appliance, ["9000", "1280"])?;
    let mut generator = Generator::new();
    let lengths = [1303, 1500, 2500, LONGEST].into_iter().cycle().take(40);
    let frames = lengths
        .flat_map(|length| [Fate::Vanishes(generator.frame(length)), Fate::Arrives(generator.frame(1302))]);
    let frames: Vec<_> = frames.collect();
    carry_fated(&appliance.left, &appliance.right, frames)?;
    let counters = appliance.stop()?;
    assert_eq!((counters.get("vtnet1 tx0", "drop_long")?, counters.dropped()), (40, 40));
    Ok(())
}
