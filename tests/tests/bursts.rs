//! Objective: more frames than all rings can hold, while the far side does not read: each is accounted for.
//!
//! 1. Boot the bridge between two wires, on cards of each model, and with each way to wait. One frame crosses it: QEMU's e1000 takes nothing in the
//!    first second.
//! 2. Offer frames to one card until it has taken none for a while, with no reader at the other: rings,
//!    queues and sockets are all full. Count what was taken and what was refused.
//! 3. Read at the other side until nothing comes any more: what arrives is in order and unchanged.
//! 4. Ask for the counters: what arrived and what the image says that it dropped are what was taken.
//! 5. The bridge still forwards, both ways, and stops with all buffers in their place.

use std::time::Duration;

use anyhow::Result;
use millrace_tests::frames::Generator;
use millrace_tests::wire::{Interest, wait_any};
use millrace_tests::{Appliance, Setting, Wire, transfer, with_every_card, with_every_wait};

with_every_card!(a_burst_larger_than_all_rings);
with_every_wait!(a_burst_larger_than_all_rings);

/// More than both cards' rings and all sockets hold together.
const BURST: usize = 20_000;
/// The same for a card that is not virtio's: QEMU has no way to make it wait. It queues what the far side does not read,
/// and beyond 10 000 frames drops them without a word.
const QUEUED_BURST: usize = 9_000;
/// A card that takes nothing for so long is full; a side where nothing comes for so long is empty.
const STILL: Duration = Duration::from_millis(700);

fn a_burst_larger_than_all_rings(setting: Setting) -> Result<()> {
    let mut appliance = Appliance::boot(setting)?;
    let mut generator = Generator::new();
    transfer::carry(&appliance.left, &appliance.right, [generator.frame(60)])?;
    let burst = if setting.right.is_virtio() { BURST } else { QUEUED_BURST };

    let (taken, refused) = offer(&appliance.left, &mut generator, burst)?;
    println!("{} frames were taken, {refused} refused", taken.len());
    assert!(taken.len() > 512, "a burst of {} fills no rings", taken.len());

    let mut arrived = 0;
    let mut sent = taken.iter();
    while wait_any(&[(&appliance.right, Interest::Receive)], Some(STILL))? {
        while let Some(frame) = appliance.right.try_receive()? {
            assert!(sent.any(|candidate| *candidate == frame), "frame {arrived} is changed or out of order");
            arrived += 1;
        }
    }

    let counters = appliance.counters()?;
    let dropped = usize::try_from(counters.dropped())?;
    assert_eq!(
        arrived + dropped,
        taken.len(),
        "frames that arrived and frames counted as dropped: {counters:?}"
    );
    assert_eq!(arrived + dropped + refused, burst);

    let mut frames = || (0..1000).map(|_| generator.frame(200)).collect();
    transfer::exchange(&appliance.left, &appliance.right, frames(), frames())?;
    appliance.stop()?;
    Ok(())
}

/// Offers `burst` frames: those that were taken, and the number of those that were refused.
fn offer(wire: &Wire, generator: &mut Generator, burst: usize) -> Result<(Vec<Vec<u8>>, usize)> {
    let mut taken = Vec::new();
    while taken.len() < burst {
        let frame = generator.frame(60 + taken.len() % 1000);
        if wire.try_send(&frame)? {
            taken.push(frame);
        } else if !wait_any(&[(wire, Interest::Send)], Some(STILL))? {
            break;
        }
    }
    let refused = burst - taken.len();
    Ok((taken, refused))
}
