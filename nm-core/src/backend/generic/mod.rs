//! A device that passes frames one at a time: the generic adapter (see [`generic`](crate::generic)).

mod events;
pub(crate) mod rx;
mod shared;
pub(crate) mod tx;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;

use nm_driver::events::Events;
use nm_driver::index::RingSize;
use nm_driver::nic::{Link, NicInfo};

use super::host::HostTxPath;
use super::{Backend, Cause, RingBackends, Start};
use crate::events::hub::Hub;
use crate::events::mitigation::Mitigation;
use crate::generic::{FrameDevice, GenericCounters};
use crate::stats::{Direction, RingKind};

use rx::GenericRx;
use shared::Shared;
use tx::GenericTx;

/// Most slots of a ring.
const SLOTS_MAX: u32 = 32768;

/// The back end of a device without queues: one ring each way.
#[doc(alias = "netmap_generic_adapter")]
pub(crate) struct Generic<D>(Arc<Shared<D>>);

impl<D: FrameDevice> Generic<D> {
    /// A back end over `device`, which counts here what its rings do not. The number of slots is what the tunables of `hub` say
    /// when a ring is opened, mitigation what they say at any time.
    #[doc(alias = "generic_netmap_attach")]
    pub(crate) fn new(device: D, counters: Arc<GenericCounters>, hub: &Arc<Hub>) -> Self {
        Self(Arc::new(Shared { device, counters, hub: hub.clone(), events: Arc::default() }))
    }

    /// Slots of a ring that is opened now.
    #[doc(alias = "generic_ringsize")]
    fn ring_size(&self) -> u16 {
        self.0.hub.knobs().generic_ringsize().clamp(2, SLOTS_MAX) as u16
    }
}

impl<D: FrameDevice> Backend for Generic<D> {
    fn info(&self) -> NicInfo {
        NicInfo::scattering(self.0.device.mac(), (1, 1), self.ring_size())
    }

    fn link(&self) -> Link {
        self.0.device.link()
    }

    fn connect(&mut self, interrupts: Events) {
        let Shared { device, events, .. } = &*self.0;
        events.is_told.store(device.watch(events.watchers(&interrupts)), Relaxed);
    }

    fn mitigation(&self) -> Mitigation {
        Mitigation::Generic
    }

    fn start(&mut self, start: &Start<'_>) -> Result<RingBackends, Cause> {
        let params = &start.params;
        let signal = |direction| start.signals.ring(RingKind::Hardware, direction, 0).cloned();
        let up = start.host.map(|host| HostTxPath::new(host.clone(), params));
        let tx = RingSize::new(params.tx_slots.into()).zip(signal(Direction::Tx));
        let tx = tx.map(|(size, signal)| GenericTx::new(self.0.clone(), signal, size, params));
        let rx = signal(Direction::Rx).map(|signal| GenericRx::new(self.0.clone(), signal, up, params));
        Ok(RingBackends {
            tx: tx.into_iter().map(|ring| Box::new(ring) as _).collect(),
            rx: rx.into_iter().map(|ring| Box::new(ring) as _).collect(),
        })
    }
}
