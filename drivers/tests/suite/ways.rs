//! The ways in which the card is attached: each test of the driver runs over all of them.

use std::sync::Arc;

use millrace_drivers::testing::{ModelTransport, NetDevice};
use millrace_drivers::virtio::mmio::{MmioTransport, Slot, V2};
use millrace_drivers::virtio::transport::Transport;

/// A way in which the card is attached.
pub trait Way {
    /// How its registers are reached.
    type Transport: Transport;
    /// A device that does not stop can be cut off from memory.
    const CUTS_OFF: bool;
    /// The device says whether it takes the size of a queue.
    const CONFIRMS_SIZE: bool;

    /// The driver's way to `device`.
    fn attach(device: &NetDevice) -> Self::Transport;
}

/// Each register by a method of its own: what all ways have in common.
pub enum Plain {}

/// virtio-mmio, version 2.
pub enum Mmio2 {}

impl Way for Plain {
    type Transport = ModelTransport;
    const CUTS_OFF: bool = true;
    const CONFIRMS_SIZE: bool = true;

    fn attach(device: &NetDevice) -> ModelTransport {
        device.transport()
    }
}

impl Way for Mmio2 {
    type Transport = MmioTransport<V2>;
    const CUTS_OFF: bool = false;
    const CONFIRMS_SIZE: bool = false;

    fn attach(device: &NetDevice) -> MmioTransport<V2> {
        let slot = Slot::find(Arc::new(device.mmio_bank())).expect("virtio-mmio registers");
        MmioTransport::new(slot.expect("a device"))
    }
}

/// Turns `fn test<W: Way>()` into a test for each way.
macro_rules! in_every_way {
    ($($test:ident),+ $(,)?) => { $(
        mod $test {
            in_every_way! { @tests $test
                plain Plain,
                mmio_2 Mmio2,
            }
        }
    )+ };
    (@tests $test:ident $($name:ident $way:ident,)+) => { $(
        #[test]
        fn $name() {
            super::$test::<crate::ways::$way>();
        }
    )+ };
}
