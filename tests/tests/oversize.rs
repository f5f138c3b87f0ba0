//! Objective: a frame passes if the MTU allows its length; a longer frame is dropped, and the frames behind it pass.
//!
//! 1. Boot the bridge between two wires, on cards of each model. A buffer holds 1984 bytes behind its headroom, unless
//!    told otherwise.
//! 2. With the largest MTU whose frames fit a buffer, send a frame of each length from 1515 to 1984 both ways: each arrives
//!    unchanged.
//! 3. With the default MTU, send longer ones than 1522 bytes (Intel cards: 1518), by one byte and by many, each followed by a good one: only the good
//!    ones arrive.
//! 4. Stop the image: it counted the good ones, and the others as dropped as far as it saw them at all.
//!    (QEMU's card drops a frame that does not fit the posted buffer before the image sees it, and has no
//!    counter for that.)

use anyhow::Result;
use millrace_tests::frames::{Generator, LONGEST};
use millrace_tests::transfer::{Fate, carry_fated};
use millrace_tests::{Appliance, Setting, transfer, with_every_card};

with_every_card!(what_fits_a_buffer_passes, what_is_too_long_vanishes, buffers_can_be_made_larger);

/// 2048 bytes a buffer, less the headroom of 64.
const USABLE: usize = 1984;
/// A frame of the default MTU, with a tag.
const STANDARD: usize = 1518;
/// Another tag.
const TAG: usize = 4;

fn what_fits_a_buffer_passes(setting: Setting) -> Result<()> {
    let words = format!("{} mtu={}", setting.words(), USABLE - 22);
    let appliance = Appliance::boot_with(setting, |qemu| qemu.command_line(words))?;
    let mut generator = Generator::new();
    let mut frames = || (LONGEST + 1..=USABLE).map(|length| generator.frame(length)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}

fn what_is_too_long_vanishes(setting: Setting) -> Result<()> {
    let appliance = Appliance::boot(setting)?;
    let mut generator = Generator::new();
    let most = if setting.left.is_virtio() { STANDARD + TAG } else { STANDARD };
    // 1522 with the checksum, says the manual; QEMU up to version 7 leaves the checksum out of account.
    let too_long = if setting.left.is_virtio() { most + 1 } else { most + 5 };
    let lengths = [too_long, too_long + 1, USABLE + 1, USABLE + 2, 2047, 2048, 2049, 2112, 3000, 4000];
    let mut frames = Vec::new();
    for _ in 0..100 {
        for length in lengths {
            frames.push(Fate::Vanishes(generator.frame(length)));
            frames.push(Fate::Arrives(generator.frame(most)));
        }
    }
    let sent = frames.len() as u64;
    let arrived = sent / 2;

    carry_fated(&appliance.left, &appliance.right, frames)?;

    let counters = appliance.stop()?;
    // The card has no counter for what it drops, so that is what remains: never more than what was too long.
    let [into_left, out_of_right, ..] = setting.rings();
    let counted = counters.get(&into_left, "packets")? + counters.dropped();
    assert!((arrived..=sent).contains(&counted), "{sent} sent, {arrived} arrived, {counted} counted");
    assert_eq!(counters.get(&into_left, "packets")?, arrived);
    assert_eq!(counters.get(&out_of_right, "packets")?, arrived);
    Ok(())
}

fn buffers_can_be_made_larger(setting: Setting) -> Result<()> {
    let words = format!("{} netmap.buf_size=4160 mtu=3982", setting.words());
    let appliance = Appliance::boot_with(setting, |qemu| qemu.command_line(words))?;
    let mut generator = Generator::new();
    let frames = (USABLE..4000).step_by(7).map(|length| generator.frame(length));
    transfer::carry(&appliance.left, &appliance.right, frames)?;
    assert_eq!(appliance.stop()?.dropped(), 0);
    Ok(())
}
