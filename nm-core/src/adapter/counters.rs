//! The counters of an interface's hardware rings. They are there as long as the interface, for as many rings as it can
//! ever have: a ring that goes with one configuration and comes back with another goes on counting.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::users::Rings;
use crate::stats::{Direction, RingCounters, RingKind, RingReport};

/// Counters by direction and number of the ring.
pub(super) struct HardwareCounters {
    tx: Vec<Arc<RingCounters>>,
    rx: Vec<Arc<RingCounters>>,
}

impl HardwareCounters {
    /// Counters for at most so many rings: transmit, receive.
    pub(super) fn new((tx, rx): (u16, u16)) -> Self {
        let counters = |count| (0..count).map(|_| Arc::default()).collect();
        Self { tx: counters(tx), rx: counters(rx) }
    }

    pub(super) fn of(&self, direction: Direction) -> &[Arc<RingCounters>] {
        match direction {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        }
    }

    /// The counters of interface `name`, which has these rings now; with them those of rings that were there before and
    /// have been used. Nothing is counted but in a sync, and each sync is.
    pub(super) fn reports(&self, name: &str, rings: Rings) -> Vec<RingReport> {
        let way = |direction| {
            let now = usize::from(rings.hardware(direction));
            let all = (0..).zip(self.of(direction)).enumerate();
            let reported = all.filter(move |(at, (_, counters))| *at < now || counters.syncs.get() > 0);
            reported
                .map(move |(_, (ring, counters))| report(name, RingKind::Hardware, direction, ring, counters))
        };
        way(Direction::Tx).chain(way(Direction::Rx)).collect()
    }
}

/// The counters of one ring with its name, without its interrupts.
pub(super) fn report(
    name: &str,
    kind: RingKind,
    direction: Direction,
    ring: u16,
    counters: &Arc<RingCounters>,
) -> RingReport {
    let counters = counters.clone();
    RingReport { interface: name.to_string(), kind, direction, ring, counters, interrupts: 0 }
}
