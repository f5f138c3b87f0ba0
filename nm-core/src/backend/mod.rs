//! Back ends: what is behind an adapter, and behind each of its rings.
//!
//! | back end | behind the adapter | behind its rings |
//! |---|---|---|
//! | [`card`] | a network card with queues | one queue each |
//! | [`generic`] | a device that passes frames one at a time | the device |
//! | [`null`] | nothing | nothing: no ring moves anything |
//! | [`host`] | | the stack of the interface, whatever the other rings have |
//!
//! A [`Backend`] makes a [`RingBackend`] for each ring when an adapter enters netmap mode, and again after a reset:
//!
//! ```text
//! Backend::start ─► RingBackend::begin ─► sync, arm, disarm … ─► Backend::stop ─► RingBackend::end
//!       ▲                                                                              │
//!       └────────────────────────────────── reset ─────────────────────────────────────┘
//! ```
//!
//! A sync is one call of a ring's back end, with the ring's kring. Its work is bounded by the number of slots:
//!
//! ```text
//! RingCell::sync → RingBackend::sync → Kring::prologue → what is behind the ring → Kring::finalize
//! ```
//!
//! A back end reads and writes the slots that are the core's, and moves `hwcur` and `hwtail`. Krings, users, memory and the
//! life cycle are the adapter's.

pub(crate) mod card;
pub(crate) mod frames;
pub(crate) mod generic;
pub(crate) mod host;
pub(crate) mod null;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;

use nm_driver::events::Events;
use nm_driver::index::Index;
use nm_driver::nic::{Armed, Link, NicInfo, StartParams, Stopped};
use nm_driver::offsets::SlotOffsets;

use crate::events::mitigation::Mitigation;
use crate::events::signals::Signals;
use crate::host::HostSide;
use crate::kring::{Kring, SyncError};
use crate::ring::memory::MovedSlot;
use crate::stats::Direction;

/// Why what is behind an adapter does not run.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// What is behind an adapter.
pub(crate) trait Backend: Send {
    /// What it is now: the rings that [`start`](Self::start) makes back ends for, and the most slots of each.
    fn info(&self) -> NicInfo;

    /// The most transmit and receive rings that [`info`](Self::info) will ever tell, and not fewer than it tells now.
    fn queues_max(&self) -> (u16, u16) {
        let NicInfo { tx_queues, rx_queues, .. } = self.info();
        (tx_queues, rx_queues)
    }

    /// State of the link now.
    fn link(&self) -> Link {
        Link::Up
    }

    /// Whether slots of its rings may have offsets.
    #[doc(alias = "NAF_OFFSETS")]
    fn has_offsets(&self) -> bool {
        true
    }

    /// Told once, when the interface is attached: where its interrupts go.
    fn connect(&mut self, events: Events) {
        let _ = events;
    }

    /// How the wake-ups of its receive rings are spaced.
    fn mitigation(&self) -> Mitigation {
        Mitigation::Off
    }

    /// Starts, and makes a back end for each ring. Called on a stopped back end only.
    fn start(&mut self, start: &Start<'_>) -> Result<RingBackends, Cause>;

    /// Stops: nothing accesses any buffer of the rings afterwards, if the answer is [`Stopped::Yes`]. One that is stopped already
    /// says the same again.
    fn stop(&mut self) -> Stopped {
        Stopped::Yes
    }
}

/// What a back end starts with.
pub(crate) struct Start<'a> {
    /// Sizes of rings and buffers.
    pub(crate) params: StartParams,
    /// Where payloads begin in their buffers.
    pub(crate) offsets: SlotOffsets,
    /// Where interrupts of the rings are noted.
    pub(crate) signals: &'a Arc<Signals>,
    /// The host side of the interface, if it has a stack.
    pub(crate) host: Option<&'a Arc<HostSide>>,
}

/// The back ends of an adapter's rings, by number.
pub(crate) struct RingBackends {
    pub(crate) tx: Vec<Box<dyn RingBackend>>,
    pub(crate) rx: Vec<Box<dyn RingBackend>>,
}

/// Takes a frame that is forwarded to the card, and gives a slot's content in exchange; `None` if it cannot take it now.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(MovedSlot) -> Option<MovedSlot>;

/// What a sync does with released frames that are marked to be forwarded.
pub(crate) enum Forward<'a> {
    /// What the ring does by itself.
    Own,
    /// Frames for the card go to this sink.
    To(Sink<'a>),
    /// Nothing is forwarded.
    Nothing,
}

/// Why a back end ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// What is behind the adapter is reset. Another back end takes over the ring as it is.
    Reset,
    /// The ring is closed, or the interface has disappeared.
    Close,
}

/// What moves frames between a ring and what is behind it.
pub(crate) trait RingBackend: Send {
    /// The direction of the ring.
    fn direction(&self) -> Direction;

    /// The first call, with the ring that the back end gets: a new one, or after a reset one whose slots are as they were.
    fn begin(&mut self, kring: &mut Kring) -> Result<(), SyncError> {
        let _ = kring;
        Ok(())
    }

    /// Moves frames between the ring and what is behind it.
    fn sync(&mut self, kring: &mut Kring, forward: Forward<'_>) -> Result<(), SyncError>;

    /// Whether a sync that is not forced should look now (see [`RxQueue::is_due`](nm_driver::nic::RxQueue::is_due)).
    fn is_due(&mut self) -> bool {
        true
    }

    /// Asks for an interrupt when there is something for the application.
    fn arm(&mut self, kring: &Kring) -> Armed;

    /// Asks for no more interrupts.
    fn disarm(&mut self) {}

    /// Slots whose buffers the device does not have: from one up to another that is not among them; all slots if these are the
    /// same. `None` if that is not known.
    fn idle_slots(&self, kring: &Kring) -> Option<(Index, Index)> {
        Some((kring.rhead(), kring.rhead()))
    }

    /// Makes the slots of the ring name all of its buffers, also those that are posted. The device goes on.
    fn restore_slots(&self, kring: &Kring) {
        let _ = kring;
    }

    /// The last call, after [`Backend::stop`]: the slots of the ring name all of its buffers afterwards, and nothing of the
    /// back end leads to them any more. May be called again.
    fn end(&mut self, kring: &mut Kring, end: End) {
        let _ = end;
        self.restore_slots(kring);
    }
}
