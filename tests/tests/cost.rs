//! Objective: a packet, a batch and a loop that finds nothing stay cheap, in guest instructions.
//!
//! 1. Boot the bridge with virtio cards of split queues, on a vhost-user back end that counts nothing on the host's clock.
//! 2. Send nothing, closed loops of bursts, and as fast as it can, while QEMU's plugin counts executions. Every frame comes back
//!    unchanged and in order.
//! 3. Fit what a packet, a batch and an idle loop cost. The phases add up, or the measurement is repeated.
//! 4. Each is below a bound that leaves room for the spread of a busy machine, but not for a return to one call a frame.

use std::time::Duration;

use anyhow::Result;
use millrace_tests::cost::{Cost, SUBJECTS, measure};

/// How long each phase lasts.
const PHASE: Duration = Duration::from_millis(500);
/// The bounds: about a third above what is measured on an idle machine, and the packet's far below the 216 that it once cost.
const MOST: Cost = Cost { packet: 100.0, batch: 1500.0, idle: 400.0 };

#[test]
fn a_packet_a_batch_and_an_idle_loop_stay_cheap() -> Result<()> {
    let [split, ..] = &SUBJECTS;
    let cost = measure(split, PHASE)?.cost;
    println!("{cost:?}");
    assert!(cost.packet <= MOST.packet, "{cost:?}, and at most {MOST:?}");
    assert!(cost.batch <= MOST.batch, "{cost:?}, and at most {MOST:?}");
    assert!(cost.idle <= MOST.idle, "{cost:?}, and at most {MOST:?}");
    // A fit that attributes instructions to nothing would pass the bounds.
    assert!(
        cost.packet >= MOST.packet / 4.0 && cost.batch >= MOST.batch / 4.0 && cost.idle >= MOST.idle / 4.0,
        "{cost:?}"
    );
    Ok(())
}
