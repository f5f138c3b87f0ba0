//! What a device tells, as the interrupts of its interface.
//!
//! [`Backend::connect`](super::Backend::connect) → [`DeviceEvents::watchers`] → [`FrameDevice::watch`](super::FrameDevice::watch) → … →
//! [`Arrival::wake_by_ref`] → [`DeviceEvents::take_arrival`].

use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::task::Waker;

use nm_driver::events::Events;
use nm_driver::nic::Armed;

use crate::generic::Watchers;

/// What the device has told.
#[derive(Default)]
pub(super) struct DeviceEvents {
    /// Whether it tells at all.
    pub(super) is_told: AtomicBool,
    /// A frame has arrived since the last look.
    has_arrived: AtomicBool,
}

impl DeviceEvents {
    /// What asking for an interrupt comes to.
    pub(super) fn armed(&self) -> Armed {
        if self.is_told.load(Relaxed) { Armed::Yes } else { Armed::Never }
    }

    /// Whether a frame has arrived since this was last asked.
    pub(super) fn take_arrival(&self) -> bool {
        // Acquire: as in `Arrival::wake_by_ref`. Taken before the look, so that a frame which comes later counts anew.
        self.has_arrived.swap(false, Acquire)
    }

    /// What the device notifies. The other ends are the interrupts of an interface.
    pub(super) fn watchers(self: &Arc<Self>, events: &Events) -> Watchers {
        let arrival = Arrival { events: self.clone(), interrupt: events.rx_waker(0) };
        Watchers { arrival: Arc::new(arrival).into(), room: events.tx_waker(0) }
    }
}

/// What the device tells of an arrival.
struct Arrival {
    events: Arc<DeviceEvents>,
    interrupt: Waker,
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: who finds it set sees the frame in the device. Before the interrupt, so that who is woken finds it.
        self.events.has_arrived.store(true, Release);
        self.interrupt.wake_by_ref();
    }
}
