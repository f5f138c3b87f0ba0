//! The transmit ring of a device that passes frames one at a time.

use alloc::sync::Arc;

use nm_driver::index::RingSize;
use nm_driver::nic::{Armed, StartParams};

use super::shared::Shared;
use crate::backend::frames::{FrameSink, FrameTx, Taken};
use crate::backend::{Forward, RingBackend};
use crate::events::signals::Signal;
use crate::generic::{FrameDevice, TransmitError};
use crate::kring::{Kring, SyncError};
use crate::stats::Direction;
use crate::tunables::Verbose;

/// A transmit ring. A slot comes back in the sync in which the device takes its frame.
pub(crate) struct GenericTx<D> {
    sink: Device<D>,
    frames: FrameTx,
    signal: Arc<Signal>,
}

/// The device, as the other side of the ring.
struct Device<D> {
    shared: Arc<Shared<D>>,
    is_gone: bool,
}

impl<D: FrameDevice> FrameSink for Device<D> {
    fn take(&mut self, frame: &[u8]) -> Taken {
        let Shared { device, counters, .. } = &*self.shared;
        match device.transmit(frame) {
            Ok(()) => Taken::Yes,
            Err(TransmitError::Refused) => {
                counters.refused.add(1);
                Taken::Refused
            }
            Err(TransmitError::NoRoom) => {
                counters.no_room.add(1);
                Taken::NotNow
            }
            Err(TransmitError::Gone) => {
                self.is_gone = true;
                Taken::NotNow
            }
        }
    }
}

impl<D: FrameDevice> GenericTx<D> {
    pub(super) fn new(
        shared: Arc<Shared<D>>,
        signal: Arc<Signal>,
        size: RingSize,
        params: &StartParams,
    ) -> Self {
        let sink = Device { shared, is_gone: false };
        Self { sink, frames: FrameTx::new(size, params.mtu.frame_max(), params), signal }
    }

    fn run(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        kring.prologue()?;
        kring.counters.syncs.add(1);
        if !self.sink.is_gone {
            self.frames.send(kring, &mut self.sink);
        }
        kring.finalize();
        if self.sink.is_gone { Err(SyncError::DeviceFailed) } else { Ok(()) }
    }
}

impl<D: FrameDevice> RingBackend for GenericTx<D> {
    fn direction(&self) -> Direction {
        Direction::Tx
    }

    fn sync(&mut self, kring: &mut Kring, _forward: Forward<'_>) -> Result<(), SyncError> {
        let is_shown = self.signal.shows(Verbose::TXSYNC);
        kring.traced(is_shown, "txsync", |kring| self.run(kring))
    }

    /// Frames are complete as soon as the device takes them; what may be waited for is that it does.
    fn arm(&mut self, _kring: &Kring) -> Armed {
        self.sink.shared.events.armed()
    }
}
