//! Nothing behind the rings: a null port, which has rings and buffers, and moves no frame.

use alloc::boxed::Box;

use nm_driver::nic::{Armed, NicInfo};

use super::{Backend, Cause, Forward, RingBackend, RingBackends, Start};
use crate::kring::{Kring, SyncError};
use crate::stats::Direction;

/// Rings of a null port (see [`Attachment::null`](crate::Attachment::null)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("NR_REG_NULL", "netmap_null_adapter"))]
pub struct NullRings {
    /// Transmit rings, at least 1.
    pub tx: u16,
    /// Receive rings, at least 1.
    pub rx: u16,
    /// Slots of each, at least 2.
    pub slots: u16,
}

impl Default for NullRings {
    /// One ring each way, of 1024 slots.
    fn default() -> Self {
        Self { tx: 1, rx: 1, slots: 1024 }
    }
}

impl Backend for NullRings {
    fn info(&self) -> NicInfo {
        let Self { tx, rx, slots } = *self;
        NicInfo::scattering([0; 6], (tx, rx), slots)
    }

    fn start(&mut self, _start: &Start<'_>) -> Result<RingBackends, Cause> {
        let rings = |count, direction| {
            let ring = move |_| Box::new(NullRing(direction)) as Box<dyn RingBackend>;
            (0..count).map(ring).collect()
        };
        Ok(RingBackends { tx: rings(self.tx, Direction::Tx), rx: rings(self.rx, Direction::Rx) })
    }
}

/// A ring that moves nothing: submitted slots stay pending, released ones stay empty.
struct NullRing(Direction);

impl RingBackend for NullRing {
    fn direction(&self) -> Direction {
        self.0
    }

    #[doc(alias = "netmap_null_sync")]
    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        if self.0 == Direction::Rx {
            kring.hwcur = kring.rhead();
        }
        kring.finalize();
        Ok(())
    }

    /// Nothing ever happens that a waiter could be woken for.
    fn arm(&mut self, _kring: &Kring) -> Armed {
        Armed::Yes
    }
}
