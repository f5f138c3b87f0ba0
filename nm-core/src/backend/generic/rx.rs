//! The receive ring of a device that passes frames one at a time.

use alloc::boxed::Box;
use alloc::sync::Arc;

use nm_driver::nic::{Armed, StartParams};

use super::shared::Shared;
use crate::backend::frames::{FrameSource, Given, import};
use crate::backend::host::HostTxPath;
use crate::backend::{Forward, RingBackend};
use crate::events::signals::Signal;
use crate::generic::{FrameDevice, ReceiveError};
use crate::kring::{Kring, SyncError};
use crate::stats::Direction;
use crate::tunables::Verbose;

/// A receive ring.
pub(crate) struct GenericRx<D> {
    source: Device<D>,
    signal: Arc<Signal>,
    /// Where released frames go in transparent mode, if the interface has a stack.
    up: Option<HostTxPath>,
}

/// The device, as the other side of the ring.
struct Device<D> {
    shared: Arc<Shared<D>>,
    /// As long as the longest frame that the MTU allows.
    staging: Box<[u8]>,
    /// Length of the frame in `staging`, until it is taken.
    held: Option<usize>,
    /// When the device last had nothing, if it had nothing when it was last asked.
    dry_at: Option<u64>,
    is_gone: bool,
}

impl<D: FrameDevice> FrameSource for Device<D> {
    fn has_frame(&self) -> bool {
        !self.is_gone
    }

    fn next(&mut self) -> Given<'_> {
        let Shared { device, counters, hub, .. } = &*self.shared;
        if let Some(len) = self.held {
            return self.staging.get(..len).map_or(Given::Nothing, Given::Frame);
        }
        if self.is_gone {
            return Given::Nothing;
        }
        counters.looks.add(1);
        let received = device.receive(&mut self.staging);
        self.dry_at = received.is_none().then(|| hub.now_ns());
        match received {
            None => Given::Nothing,
            Some(Ok(len)) => {
                self.held = Some(len).filter(|len| *len <= self.staging.len());
                self.staging.get(..len).map_or(Given::Damaged, Given::Frame)
            }
            Some(Err(ReceiveError::Damaged)) => {
                counters.damaged.add(1);
                Given::Damaged
            }
            Some(Err(ReceiveError::TooLong)) => {
                counters.too_long.add(1);
                Given::Damaged
            }
            Some(Err(ReceiveError::Gone)) => {
                self.is_gone = true;
                Given::Nothing
            }
        }
    }

    fn take(&mut self) {
        self.held = None;
    }
}

impl<D: FrameDevice> GenericRx<D> {
    pub(super) fn new(
        shared: Arc<Shared<D>>,
        signal: Arc<Signal>,
        up: Option<HostTxPath>,
        params: &StartParams,
    ) -> Self {
        let staging = alloc::vec![0; params.mtu.frame_max().into()].into();
        Self { source: Device { shared, staging, held: None, dry_at: None, is_gone: false }, signal, up }
    }

    fn run(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        // No device has the buffers of free slots.
        kring.hwcur = kring.rhead();
        let outcome =
            if self.signal.looks_always() || self.signal.take_look() { self.import(kring) } else { Ok(()) };
        kring.finalize();
        outcome.and(if self.source.is_gone { Err(SyncError::DeviceFailed) } else { Ok(()) })
    }

    /// Imports what the device has. What is left behind unannounced is looked for in the next sync.
    fn import(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let outcome = import(kring, &mut self.source);
        let is_full = kring.size().next(kring.hwtail) == kring.hwcur;
        if is_full || self.source.shared.events.armed() != Armed::Yes {
            self.signal.look_again();
        }
        outcome
    }
}

impl<D: FrameDevice> RingBackend for GenericRx<D> {
    fn direction(&self) -> Direction {
        Direction::Rx
    }

    fn sync(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError> {
        if let Some(up) = &mut self.up {
            up.forward(kring, &forward)?;
        }
        let is_shown = self.signal.shows(Verbose::RXSYNC);
        kring.traced(is_shown, "rxsync", |kring| self.run(kring))
    }

    fn is_due(&mut self) -> bool {
        let Shared { hub, events, .. } = &*self.source.shared;
        if events.take_arrival() {
            return true;
        }
        let Some(dry_at) = self.source.dry_at else { return true };
        let passed = hub.now_ns().checked_sub(dry_at);
        passed.is_none_or(|passed| passed >= u64::from(hub.knobs().generic_mit()))
    }

    fn arm(&mut self, _kring: &Kring) -> Armed {
        self.source.shared.events.armed()
    }

    fn disarm(&mut self) {
        // What comes from here on is not announced.
        self.signal.look_again();
    }
}
