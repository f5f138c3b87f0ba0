//! Host rings: the way between an interface's ports and the stack of the machine that it belongs to.
//!
//! ```text
//! stack ─► HostInterface::transmit ─► queue ─► rxsync ─► host receive ring ─► application
//! stack ◄─ HostStack::deliver      ◄──────────  txsync ◄─ host transmit ring ◄─ application
//! ```
//!
//! An interface has host rings if it was attached with a stack
//! ([`Attachment::with_stack`](crate::Attachment::with_stack)). A port named `netmap:em0^` has them alone, one
//! named `netmap:em0*` has them and the card's; they are rings like all others.
//!
//! # Which frames of the stack come here
//!
//! netmap takes the stack's place at the card ring by ring. A frame that the stack sends on queue *k* comes to host
//! receive ring *k* (modulo their number), but only while a port has the card's transmit ring *k* (likewise); otherwise
//! `transmit` answers [`TransmitError::NotOurs`] and the stack uses the card. So `netmap:em0^` alone sees nothing: the frames of
//! the stack still leave by the card. While a port has the card's ring and none the host ring, the frame has nowhere to
//! go, and is dropped and counted (`drop_unread`).
//!
//! # Offloads
//!
//! Behind a ring no checksum is computed and no segment is cut. A stack that leaves this to its card says so
//! with each frame ([`Offload`]). Such a frame is dropped, counted (`drop_offload`) and, the first time on an interface,
//! reported, so that it is known why connections stall: the stack has to be told to do it itself.
//!
//! # Transparent mode
//!
//! With [`RxRing::set_transparent`](crate::RxRing::set_transparent) a receive ring hands frames on to the other side, as
//! if netmap were not there. The application chooses: it looks at a frame, marks it
//! ([`Slot::set_forward`](crate::Slot::set_forward)) and releases it. With
//! the tunable `fwd` every ring does so with every frame, marked or not.
//!
//! | ring | a released frame goes | when | if it is not taken there |
//! |---|---|---|---|
//! | card's receive ring | to the stack, as a copy | in every sync of the ring: rxsync, or a poll that finds nothing ready before it looks | it is dropped and counted (`drop_refused`) |
//! | host receive ring | to the card's transmit rings, by exchange of buffers | in [`Port::forward`](crate::Port::forward), in [`RawPort::rxsync`](crate::raw::RawPort::rxsync), or in such a poll of the whole [port](crate::Port::poll) | it waits in its slot |
//!
//! The way down takes slots of the transmit rings in the application's name. So it takes a port that has these rings
//! (`netmap:em0*`), and is no part of the sync of a single ring: an rxsync of a host ring drops what is marked, and counts
//! it (`drop_refused`).

pub(crate) mod forward;
mod interface;
mod queue;
mod side;

use core::fmt;

use crate::errno::{self, Errno};

pub use interface::HostInterface;
pub(crate) use side::{Forwarding, HostSide};

/// What a machine's network stack offers to netmap. The kernel implements it.
///
/// [`deliver`](Self::deliver) is called from inside a sync. So it returns soon, and it neither syncs the ring that called
/// it (that answers [`Busy`](crate::SyncError::Busy)) nor attaches, detaches, resets, opens or closes anything (that would
/// wait for the sync to end). Sending by [`HostInterface::transmit`] is fine.
pub trait HostStack: Send + Sync + 'static {
    /// A frame arrives for the stack as if interface `interface` had received it: 14 bytes or more, without CRC, whole
    /// and with all checksums in place as far as its sender put them there. The bytes are a copy.
    #[doc(alias = "netmap_send_up")]
    fn deliver(&self, interface: &str, frame: &[u8]) -> Result<(), StackRefused>;

    /// Answers a request that is not netmap's own and names `interface` (see [`ctl`](crate::ctl)). `code` and `argument` are
    /// the program's; the answer goes into the argument. This one is called outside of syncs, and may do anything.
    #[doc(alias = "ifioctl")]
    fn ioctl(&self, interface: &str, code: u32, argument: &mut [u8]) -> Result<(), Errno> {
        let _ = (interface, code, argument);
        Err(Errno(errno::EOPNOTSUPP))
    }
}

/// The stack has no room for a frame. It is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackRefused;

/// What a stack leaves to its card in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offload {
    /// Nothing: the frame can leave as it is.
    #[default]
    None,
    /// To compute a checksum.
    Checksum,
    /// To cut it into several frames, and to compute their checksums.
    #[doc(alias("GSO", "TSO"))]
    Segmentation,
}

/// A frame that the stack sends.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The frame, without CRC.
    pub frame: &'a [u8],
    /// The queue that the stack has chosen: any number, taken modulo that of the rings.
    pub queue: u16,
    /// What is not done yet.
    pub offload: Offload,
}

impl<'a> Outgoing<'a> {
    /// A complete frame on queue 0.
    pub fn new(frame: &'a [u8]) -> Self {
        Self { frame, queue: 0, offload: Offload::None }
    }
}

/// How many host rings an interface has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRings {
    /// Host transmit rings, 1 to [`RINGS_MAX`](Self::RINGS_MAX).
    pub tx: u16,
    /// Host receive rings, likewise.
    pub rx: u16,
    /// Slots of each, 2 to [`SLOTS_MAX`](Self::SLOTS_MAX); fewer where memory is short.
    pub slots: u16,
}

impl HostRings {
    /// Most host rings each way.
    pub const RINGS_MAX: u16 = 64;
    /// Most slots of a host ring.
    pub const SLOTS_MAX: u16 = 1024;

    /// Whether all numbers are in their ranges.
    pub(crate) fn is_valid(&self) -> bool {
        let rings = 1..=Self::RINGS_MAX;
        rings.contains(&self.tx) && rings.contains(&self.rx) && (2..=Self::SLOTS_MAX).contains(&self.slots)
    }
}

impl Default for HostRings {
    /// One ring each way, of 1024 slots.
    fn default() -> Self {
        Self { tx: 1, rx: 1, slots: Self::SLOTS_MAX }
    }
}

/// Why a frame of the stack did not go to a host ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransmitError {
    /// The transmit ring of this queue is not in netmap mode: the stack uses the card itself.
    NotOurs,
    /// The interface has disappeared.
    Gone,
    /// No port has the host ring.
    Unread,
    /// Ring and queue have no room.
    Full,
    /// The frame has no whole Ethernet header.
    TooShort,
    /// The frame does not fit into a buffer.
    TooLong,
    /// Something is left to the card that a ring does not do.
    Offload(Offload),
}

impl TransmitError {
    /// The number that netmap gives for it; none if the frame is the stack's to send.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NotOurs => None,
            Self::Gone => Some(errno::ENXIO),
            Self::Unread | Self::Full | Self::TooShort | Self::TooLong | Self::Offload(_) => {
                Some(errno::EBUSY)
            }
        }
    }
}

impl fmt::Display for TransmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOurs => "the queue is not in netmap mode: the card sends the frame",
            Self::Gone => "the interface has disappeared",
            Self::Unread => "no port has the host ring",
            Self::Full => "the host ring and its queue are full",
            Self::TooShort => "the frame is shorter than an Ethernet header",
            Self::TooLong => "the frame does not fit into a buffer",
            Self::Offload(Offload::None) => "the frame needs no offload",
            Self::Offload(Offload::Checksum) => {
                "the frame requests checksum offload, which host rings do not support"
            }
            Self::Offload(Offload::Segmentation) => {
                "the frame requests segmentation offload, which host rings do not support"
            }
        })
    }
}

impl core::error::Error for TransmitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rings_have_their_ranges() {
        assert!(HostRings::default().is_valid());
        for (tx, rx, slots) in [(0, 1, 8), (1, 0, 8), (65, 1, 8), (1, 65, 8), (1, 1, 1), (1, 1, 1025)] {
            assert!(!HostRings { tx, rx, slots }.is_valid(), "{tx} {rx} {slots}");
        }
        assert!(HostRings { tx: 64, rx: 64, slots: 2 }.is_valid());
    }
}
