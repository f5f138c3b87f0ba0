//! The card of an interface: what drivers implement ([`nm_driver::nic`]), and a card whose type is erased.
#![expect(unsafe_code, reason = "a card whose type is erased keeps the contract of the card inside")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::error::Error;

pub use nm_driver::buffers::HEADROOM;
pub use nm_driver::nic::*;

use crate::events::Events;

/// A card of any type.
pub(crate) type AnyNic = Box<dyn Nic<Error = Arc<dyn Error + Send + Sync>>>;

/// The card, without its type.
pub(crate) fn erase(nic: impl Nic) -> AnyNic {
    Box::new(Erased(nic))
}

/// A card whose errors have lost their type.
struct Erased<N>(N);

// SAFETY: each call goes to the card inside, which keeps the contract.
unsafe impl<N: Nic> Nic for Erased<N> {
    type Error = Arc<dyn Error + Send + Sync>;

    fn info(&self) -> NicInfo {
        self.0.info()
    }

    fn queues_max(&self) -> (u16, u16) {
        self.0.queues_max()
    }

    fn connect(&mut self, events: Events) {
        self.0.connect(events);
    }

    fn link(&self) -> Link {
        self.0.link()
    }

    fn start(&mut self, params: &StartParams) -> Result<Queues, Self::Error> {
        self.0.start(params).map_err(|cause| Arc::new(cause) as Self::Error)
    }

    fn stop(&mut self) -> Stopped {
        self.0.stop()
    }
}
