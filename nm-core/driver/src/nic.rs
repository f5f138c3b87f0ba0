//! A network card, and its queues.
//!
//! In netmap every driver walks the ring itself. Here the burst does: window, wrap-around, slot flags and outstanding ids are
//! its business ([`burst`](crate::burst)). A driver says what its hardware does differently: how a descriptor is written, how
//! completions are found, how the doorbell is rung.
//!
//! ```text
//! Nic::start(StartParams) ──► Queues { tx, rx, receive_len }
//!                               ├─ TxQueue::sync(TxBurst)   reclaim, submit, one doorbell at most
//!                               └─ RxQueue::sync(RxBurst)   import, post free buffers, one doorbell at most
//! Nic::stop                   afterwards the device uses no buffer and no queue
//! ```
#![expect(unsafe_code, reason = "the trait of a card carries a contract about what the device accesses")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::burst::{RxBurst, TxBurst};
use crate::events::Events;

pub use crate::mtu::Mtu;

/// What a card is and can do. `Display` is `mac=… tx=QUEUESxSLOTS rx=QUEUESxSLOTS`, with `mtu=…` behind the address if the card
/// reports an MTU.
///
/// It may change while the card is attached. A port that is opened on an interface without open ports gets the card as it is
/// then; while a port is open, its rings stay as they are.
#[doc(alias = "nm_config_info")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicInfo {
    /// MAC address.
    pub mac: [u8; 6],
    /// Transmit queues that [`Nic::start`] returns.
    pub tx_queues: u16,
    /// Receive queues that [`Nic::start`] returns.
    pub rx_queues: u16,
    /// Frames that one transmit queue can hold: the most slots its ring can have.
    pub tx_slots: u16,
    /// Buffers that one receive queue can hold: the most slots its ring can have.
    pub rx_slots: u16,
    /// The largest MTU that may be used, if the card reports one. It must not be given longer frames than this allows.
    pub mtu: Option<Mtu>,
    /// The shortest receive buffers, in bytes of payload, with which the card spreads a frame that is longer than one of them over
    /// several; `None` if it does not, whatever the length.
    #[doc(alias("NAF_MOREFRAG", "rx_buf_maxsize"))]
    pub scatter_min: Option<u16>,
}

impl NicInfo {
    /// A card without an MTU of its own, with so many transmit and receive queues of `slots` slots each, which spreads a frame over
    /// buffers of any length.
    pub fn scattering(mac: [u8; 6], (tx_queues, rx_queues): (u16, u16), slots: u16) -> Self {
        let (tx_slots, rx_slots, mtu, scatter_min) = (slots, slots, None, Some(1));
        Self { mac, tx_queues, rx_queues, tx_slots, rx_slots, mtu, scatter_min }
    }
}

/// A MAC address as people write it.
#[derive(Debug, Clone, Copy)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Queues and slots of a card, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a>(pub &'a NicInfo);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NicInfo { tx_queues, rx_queues, tx_slots, rx_slots, .. } = self.0;
        write!(f, "tx={tx_queues}x{tx_slots} rx={rx_queues}x{rx_slots}")
    }
}

impl fmt::Display for NicInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mac={}", Mac(self.mac))?;
        if let Some(mtu) = self.mtu {
            write!(f, " mtu={mtu}")?;
        }
        write!(f, " {}", Shape(self))
    }
}

/// State of the link, as the card reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Frames can pass, or the card does not report its link.
    Up,
    /// No carrier.
    Down,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// Whether a queue will interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a completion that is pending already is not announced"]
pub enum Armed {
    /// The next completion interrupts, and there is none now.
    Yes,
    /// There is a completion already, which may come without an interrupt.
    Pending,
    /// The queue has no interrupts.
    Never,
}

/// Whether a card has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a card that has not stopped may go on writing to its buffers"]
pub enum Stopped {
    /// The device uses no buffer and no queue any more.
    Yes,
    /// The device did not confirm it, and nothing else keeps it from memory: it may use every buffer that it was given, for
    /// ever. The card is not used again.
    No,
}

/// What a card is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartParams {
    /// Longest payload of each buffer, in bytes. [`HEADROOM`](crate::buffers::HEADROOM) bytes are in front of it.
    pub buffer_len: u16,
    /// Slots of each transmit ring, at most [`NicInfo::tx_slots`].
    pub tx_slots: u16,
    /// Slots of each receive ring, at most [`NicInfo::rx_slots`].
    pub rx_slots: u16,
    /// MTU of the interface, at most [`NicInfo::mtu`] where the card reports one. Frames of up to [`Mtu::frame_max`] bytes are sent
    /// and received. If these do not fit a buffer, the card was asked for [`NicInfo::scatter_min`] before.
    pub mtu: Mtu,
}

/// The running queues of a card.
pub struct Queues {
    /// Transmit queues, by number.
    pub tx: Vec<Box<dyn TxQueue>>,
    /// Receive queues, by number.
    pub rx: Vec<Box<dyn RxQueue>>,
    /// The longest frame or fragment that the device writes to one buffer: at most [`StartParams::buffer_len`].
    pub receive_len: u16,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues")
            .field("tx", &self.tx.len())
            .field("rx", &self.rx.len())
            .field("receive_len", &self.receive_len)
            .finish()
    }
}

/// The running queues of the card `N`, or why it did not start.
pub type StartResult<N> = Result<Queues, <N as Nic>::Error>;

/// A network card.
///
/// # Safety
/// The contract is about memory that the device accesses. It covers the queues that [`start`](Nic::start) returns, which are
/// safe code themselves: their author answers for them here.
///
/// - *Queues.* A queue makes the device access a buffer only after it has committed the buffer to a burst. It reports the
///   buffer back (as complete, as a fragment, or as damaged) only after the device has ended its use of it.
/// - *Buffers.* Of a buffer that was posted to transmit, the device writes nothing. Of one that was posted to receive, it
///   writes at most [`Queues::receive_len`] bytes of payload, and its header in front of them.
/// - *Stop.* After [`stop`](Nic::stop) returns [`Stopped::Yes`], the device accesses no buffer that was ever posted to its
///   queues, until it is started again. Dropping the value stops the card as `stop` does.
/// - *Memory of the queues.* It lives until then, even if a queue is dropped before, and for good after [`Stopped::No`].
pub unsafe trait Nic: Send + 'static {
    /// Why it does not start.
    type Error: core::error::Error + Send + Sync + 'static;

    /// What the card is now. It is asked when a port is opened, before [`start`](Nic::start), which returns the queues
    /// that were told last.
    #[doc(alias = "nm_config")]
    fn info(&self) -> NicInfo;

    /// The most transmit and receive queues that [`info`](Nic::info) will ever tell. A card that tells more cannot be
    /// opened.
    fn queues_max(&self) -> (u16, u16) {
        let NicInfo { tx_queues, rx_queues, .. } = self.info();
        (tx_queues, rx_queues)
    }

    /// Told once, when the card is attached: where its interrupts go.
    fn connect(&mut self, events: Events) {
        let _ = events;
    }

    /// Link state now.
    fn link(&self) -> Link;

    /// Resets the card and starts its queues, empty. Called on a stopped card only. Refuses buffers that the card cannot be
    /// kept from overrunning.
    fn start(&mut self, params: &StartParams) -> Result<Queues, Self::Error>;

    /// Stops the card: no further access of the device to any buffer or queue. Says whether that is so. A card that is stopped
    /// already, or could not be stopped before, says the same again.
    fn stop(&mut self) -> Stopped;
}

/// What a sync found out about the queue and its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStatus {
    /// Completions that made no sense (an id that is not outstanding, …) and were ignored, since the start.
    pub refused: u32,
    /// The device broke the queue beyond repair; it needs a restart, and until then reports nothing more.
    pub is_broken: bool,
    /// The doorbell was rung.
    pub has_kicked: bool,
}

/// One transmit queue.
pub trait TxQueue: Send {
    /// Descriptors that can be outstanding at once, at least [`StartParams::tx_slots`]: the number of ids, rounded up to a
    /// power of two.
    fn capacity(&self) -> u16;

    /// Reclaims what the device has completed and submits what is pending, with one doorbell at most. The work is bounded by the
    /// capacity, whatever the device does.
    fn sync(&mut self, burst: &mut TxBurst<'_>) -> QueueStatus;

    /// Asks for an interrupt when `frames` more complete than were reported, from 1 to those outstanding, and looks
    /// whether they are complete already. One request is for one interrupt; further or earlier ones until
    /// [`disarm`](TxQueue::disarm) do no harm. A queue that cannot count asks for one at the next frame.
    fn arm(&mut self, frames: u16) -> Armed {
        let _ = frames;
        Armed::Never
    }

    /// Asks for no more interrupts.
    fn disarm(&mut self) {}
}

/// One receive queue.
pub trait RxQueue: Send {
    /// Buffers that can be outstanding at once, at least [`StartParams::rx_slots`]: the number of ids, rounded up to a power
    /// of two.
    fn capacity(&self) -> u16;

    /// Imports what the device has received and posts what is free, with one doorbell at most. The work is bounded by the
    /// capacity, whatever the device does.
    fn sync(&mut self, burst: &mut RxBurst<'_>) -> QueueStatus;

    /// Whether the device has received nothing that a sync would import, as far as a quick look shows. `false` is always right.
    fn is_idle(&self) -> bool {
        false
    }

    /// Whether a sync that is not forced should look at the queue now. A device that is costly to look at says no for a
    /// while; an application's `rxsync` is forced, and does not ask.
    #[doc(alias = "NAF_FORCE_READ")]
    fn is_due(&mut self) -> bool {
        true
    }

    /// Asks for an interrupt at the next completion, and looks whether there is one already. One request is for one
    /// interrupt; further ones until [`disarm`](RxQueue::disarm) do no harm.
    fn arm(&mut self) -> Armed {
        Armed::Never
    }

    /// Asks for no more interrupts.
    fn disarm(&mut self) {}
}
