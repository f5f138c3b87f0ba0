//! What a driver without rings supplies.

use alloc::sync::Arc;
use core::fmt;
use core::task::Waker;

use crate::nic::Link;

/// An interface that sends and receives one frame at a time.
///
/// Frames are Ethernet frames with all their tags and without CRC. The generic adapter never calls
/// [`transmit`](Self::transmit) from two threads at once, nor [`receive`](Self::receive); but the two may overlap, and
/// the others may be called at any time.
pub trait FrameDevice: Send + Sync + 'static {
    /// Station address.
    fn mac(&self) -> [u8; 6];

    /// State of the link now.
    fn link(&self) -> Link;

    /// Takes one frame to be sent. On return the device has its own copy, or has sent it.
    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError>;

    /// Puts the next frame that has arrived into `into` and tells its length, at most `into.len()`. Does not wait:
    /// `None` when there is none. A frame that is longer is dropped and reported, never cut.
    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>>;

    /// From now on notifies `watchers` of what happens, instead of those before. Returns whether it does: a device
    /// that cannot tell has to be looked at.
    fn watch(&self, watchers: Watchers) -> bool {
        let _ = watchers;
        false
    }
}

/// What a device notifies when something has happened. Wakers are called by reference and as often as the device likes,
/// from any thread.
#[derive(Debug, Clone)]
pub struct Watchers {
    /// A frame has arrived.
    pub arrival: Waker,
    /// There is room again for a frame that was refused with [`TransmitError::NoRoom`].
    pub room: Waker,
}

/// Why a device did not take a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransmitError {
    /// Not now; the frame is to be offered again.
    NoRoom,
    /// Not at all: too long, or the interface is down. The frame is dropped and counted.
    Refused,
    /// The device has ceased to exist.
    Gone,
}

impl fmt::Display for TransmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "the device has no room for the frame now",
            Self::Refused => "the device does not take this frame",
            Self::Gone => "the device is gone",
        })
    }
}

impl core::error::Error for TransmitError {}

/// What came from a device instead of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveError {
    /// A frame that is longer than the buffer; it is dropped.
    TooLong,
    /// A damaged frame; it is dropped.
    Damaged,
    /// The device has ceased to exist.
    Gone,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "a frame too long for the buffer was dropped",
            Self::Damaged => "a damaged frame was dropped",
            Self::Gone => "the device is gone",
        })
    }
}

impl core::error::Error for ReceiveError {}

impl<D: FrameDevice + ?Sized> FrameDevice for Arc<D> {
    fn mac(&self) -> [u8; 6] {
        D::mac(self)
    }

    fn link(&self) -> Link {
        D::link(self)
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        D::transmit(self, frame)
    }

    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        D::receive(self, into)
    }

    fn watch(&self, watchers: Watchers) -> bool {
        D::watch(self, watchers)
    }
}
