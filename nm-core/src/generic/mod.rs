//! The generic adapter: an interface whose driver knows no rings becomes a netmap port (netmap's *emulated* mode).
//!
//! A driver that sends and receives one frame at a time implements [`FrameDevice`]. [`GenericNic`] puts a software
//! queue each way in front of it and is then a [`Nic`](crate::nic::Nic) like any other: the same engine runs its
//! rings, the same ports open on it.
//!
//! ```text
//! tx slot ─► TxQueue::put ─copy─► staging ─► FrameDevice::transmit        no room: the slot stays pending, in its turn
//! rx slot ◄─ RxQueue::take ◄─copy─ staging ◄─ FrameDevice::receive
//! ```
//!
//! **Frames are carried whole**, from the first byte of the destination address to the last byte of the payload:
//! nothing is parsed, so a VLAN tag, or two, arrives where it was.
//!
//! **What it costs** over native rings: for each frame a call of the driver and a copy through a staging buffer. That
//! buffer belongs to the queue alone: no driver ever holds a reference into memory that an application
//! may have mapped, and a frame cannot change after its length was looked at.
//!
//! **Completion** is the driver's acceptance. `transmit` has the frame when it returns, so the slot comes back in the same
//! sync. A frame that the driver has no room for is refused to the engine, which keeps it in the ring and offers it
//! again, first of all, in the next sync: nothing is lost and nothing overtakes.
//!
//! **Mitigation** ([`Settings::mitigation_ns`]): a device that had nothing is not looked at again before that time has
//! passed, unless the sync is forced. So a loop over many ports does not pay for a fruitless system call each round.
//!
//! | netmap | here |
//! |---|---|
//! | `generic_netmap_attach` | [`GenericNic::new`] |
//! | `generic_ringsize`, `generic_mit` | [`Settings`] |
//! | `admode` | [`AdapterMode`](crate::tunables::AdapterMode) |
//! | the mbuf destructor's event | the return of [`FrameDevice::transmit`] |

mod device;
mod mode;
mod nic;
#[cfg(feature = "smoltcp")]
mod phy;

pub use device::{FrameDevice, ReceiveError, TransmitError, Watchers};
pub use mode::{Choice, NoAdapter, Present};
pub use nic::{GenericCounters, GenericNic, GenericRx, GenericTx};
#[cfg(feature = "smoltcp")]
pub use phy::PhyFrames;

use alloc::sync::Arc;

use crate::tunables::Tunables;

/// A clock: nanoseconds since any moment, never going back.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Sizes of a generic adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Slots of each ring, from 2 on.
    #[doc(alias = "generic_ringsize")]
    pub ring_size: u16,
    /// The longest frame that is carried, in bytes without CRC. Longer ones are dropped and counted.
    pub frame_max: u16,
    /// How long a device that had nothing is left alone, in nanoseconds.
    #[doc(alias = "generic_mit")]
    pub mitigation_ns: u64,
}

impl Settings {
    /// What `tunables` ask for.
    pub fn new(tunables: &Tunables) -> Self {
        let behaviour = &tunables.behaviour;
        Self {
            ring_size: behaviour.generic_ringsize.min(u16::MAX.into()) as u16,
            frame_max: tunables.shared().frame_max(),
            mitigation_ns: behaviour.generic_mit.into(),
        }
    }
}
