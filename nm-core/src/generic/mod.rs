//! The generic adapter: an interface whose driver knows no rings becomes a netmap port (netmap's *emulated* mode).
//!
//! A driver that sends and receives one frame at a time implements [`FrameDevice`], and is made known by
//! [`Netmap::attach_frames`](crate::Netmap::attach_frames), or beside rings of its own as an
//! [`Attachment`](crate::Attachment). The back end (`backend::generic`) has one ring each way, and the same ports open on it.
//!
//! ```text
//! tx slots ─copy─► staging ─► FrameDevice::transmit        no room: the slots stay pending, in their turn
//! rx slot  ◄─copy─ staging ◄─ FrameDevice::receive
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
//! sync. A frame that the driver has no room for stays in the ring, and is offered
//! again, first of all, in the next sync: nothing is lost and nothing overtakes.
//!
//! **Waiting**: a device that tells of arrivals and of room ([`FrameDevice::watch`]) is waited for as a card that
//! interrupts. One that does not is looked at again and again.
//!
//! **Mitigation** (`generic_mit`, as it is at the time): a device that had nothing and told of nothing is not looked at
//! again before that time has passed, unless the sync is forced. So a loop over many ports does not pay for a fruitless
//! system call each round. What it tells wakes at most once in that time (see
//! [`events`](crate::events#mitigation)).
//!
//! | netmap | here |
//! |---|---|
//! | `generic_netmap_attach` | [`Attachment::frames`](crate::Attachment::frames) |
//! | `generic_ringsize`, `generic_mit` | [`Knobs`](crate::tunables::Knobs) |
//! | `admode` | [`AdapterMode`](crate::tunables::AdapterMode), asked when a port is opened |
//! | the mbuf destructor's event | the return of [`FrameDevice::transmit`] |

mod counters;
mod device;
mod mode;
#[cfg(feature = "smoltcp")]
mod phy;

pub use counters::GenericCounters;
pub use device::{FrameDevice, ReceiveError, TransmitError, Watchers};
pub use mode::{Choice, NoAdapter, Present};
#[cfg(feature = "smoltcp")]
pub use phy::PhyFrames;

use alloc::sync::Arc;

/// A clock: nanoseconds since any moment, never going back.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
