//! What a network card's driver supplies to the core.
//!
//! In netmap every driver walks the ring itself. Here the core owns that loop (the `engine`): window,
//! wrap-around, slot flags, `hwcur`, `hwtail` and the slot that stays empty are its business. A driver says what
//! its hardware does differently: how one buffer is posted, how completions are found, how the doorbell is rung.
//!
//! ```text
//! Nic::start ──► Queues { tx: [AnyTxQueue], rx: [AnyRxQueue] }   one call of a trait object per sync,
//!                  │                                             the calls below are static inside a batch
//!                  ├─ TxQueue  put(id, buffer, len)* kick   … reclaim() -> id
//!                  └─ RxQueue  give(id, buffer)*     kick   … take()    -> id, len
//! Nic::stop      after it the device touches no buffer and no queue any more
//! ```
//!
//! An `id` names one posted buffer until the queue reports it back. The core chooses it, below
//! [`TxQueue::capacity`], and never posts an id that is outstanding. Completions may come in any order.
#![expect(
    unsafe_code,
    reason = "device headers are written in front of a buffer's payload; queue traits carry a contract"
)]

mod any;

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::events::Events;

pub(crate) use self::any::{AnyNic, erase};
pub use self::any::{AnyRxQueue, AnyTxQueue};

/// Bytes in front of each buffer's payload that belong to the driver, for a device's own packet header.
pub const HEADROOM: usize = 64;

/// What a card is and can do. `Display` is `mac=… tx=QUEUESxSLOTS rx=QUEUESxSLOTS`.
///
/// It may change while the card is attached. Whoever opens an interface that nobody has open gets the card as it is
/// then; while a port is open, its rings stay as they are.
#[doc(alias = "nm_config_info")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicInfo {
    /// Station address.
    pub mac: [u8; 6],
    /// Transmit queues that [`Nic::start`] returns.
    pub tx_queues: u16,
    /// Receive queues that [`Nic::start`] returns.
    pub rx_queues: u16,
    /// Buffers that one transmit queue can hold: the most slots its ring can have.
    pub tx_slots: u16,
    /// Buffers that one receive queue can hold: the most slots its ring can have.
    pub rx_slots: u16,
}

/// Six bytes as people write a station address.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Queues and slots of a card, both ways.
pub(crate) struct Shape<'a>(pub(crate) &'a NicInfo);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NicInfo { tx_queues, rx_queues, tx_slots, rx_slots, .. } = self.0;
        write!(f, "tx={tx_queues}x{tx_slots} rx={rx_queues}x{rx_slots}")
    }
}

impl fmt::Display for NicInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mac={} {}", Mac(self.mac), Shape(self))
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
#[must_use = "a completion that is there already is not announced"]
pub enum Armed {
    /// The next completion interrupts, and there is none now.
    Yes,
    /// There is a completion already, which may come without an interrupt.
    Late,
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

/// The running queues of a card. They may be of several types; after a reset each is of the type that it was before.
#[derive(Debug)]
pub struct Queues {
    /// Transmit queues, by number.
    pub tx: Vec<AnyTxQueue>,
    /// Receive queues, by number.
    pub rx: Vec<AnyRxQueue>,
}

/// The running queues of the card `N`, or why it did not start.
pub type StartResult<N> = Result<Queues, <N as Nic>::Error>;

/// A network card.
///
/// # Safety
/// After [`stop`](Nic::stop) returns [`Stopped::Yes`], the device reads and writes no buffer that was ever given to its
/// queues, until it is started again. The memory of the queues themselves lives until then, even if a queue is dropped
/// before, and for good after [`Stopped::No`]. Dropping the value stops the card as `stop` does.
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

    /// Told once, when the card is attached: where its interrupts go. A driver that hands them to netmap otherwise
    /// ([`Netmap::events`](crate::Netmap::events)) has no use for it.
    fn connect(&mut self, events: Events) {
        let _ = events;
    }

    /// Link state now.
    fn link(&self) -> Link;

    /// Resets the card and starts its queues, empty. Called on a stopped card only.
    fn start(&mut self) -> Result<Queues, Self::Error>;

    /// Stops the card: no further access of the device to any buffer or queue. Says whether that is so. A card that is stopped
    /// already, or could not be stopped before, says the same again.
    fn stop(&mut self) -> Stopped;
}

/// The queue has no room for another buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// What a queue thinks of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueHealth {
    /// Completions that made no sense (an id that is not outstanding, …) and were ignored, since the start.
    pub refused: u64,
    /// The device broke the queue beyond repair; it needs a restart, and until then reports nothing more.
    pub is_broken: bool,
}

/// One transmit queue.
///
/// # Safety
/// [`reclaim`](TxQueue::reclaim) returns an id only if it was put, once for each put, and only after the device has
/// finished reading the buffer.
pub unsafe trait TxQueue: Send + 'static {
    /// Buffers that can be outstanding at once; ids are below it.
    fn capacity(&self) -> u16;

    /// Posts `len` bytes of `buffer` as one frame under `id`. The device may not know of it before
    /// [`kick`](TxQueue::kick).
    fn put(&mut self, id: u16, buffer: DmaBuffer<'_>, len: u16) -> Result<(), QueueFull>;

    /// Publishes what was put and rings the doorbell if the device wants it. Once per sync. Returns whether it rang.
    fn kick(&mut self) -> bool;

    /// The next frame that the device has finished with.
    fn reclaim(&mut self) -> Option<u16>;

    /// What the queue has seen go wrong.
    fn health(&self) -> QueueHealth;

    /// Asks for an interrupt when `frames` more are finished with than were reported, from 1 to those outstanding, and looks
    /// whether they are already. One request is for one interrupt; what comes until [`disarm`](TxQueue::disarm) beyond it,
    /// or earlier, does no harm. So a queue that cannot count asks for one at the next frame.
    fn arm(&mut self, frames: u16) -> Armed {
        let _ = frames;
        Armed::Never
    }

    /// Asks for no more interrupts.
    fn disarm(&mut self) {}
}

/// A buffer that came back from the receive side of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The id it was given under.
    pub id: u16,
    /// What is in it.
    pub content: Content,
}

/// What a received buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// One frame of this length, without the device's header.
    Frame(u16),
    /// Nothing usable: the device reported an error or an impossible length.
    Damaged,
}

/// One receive queue.
///
/// # Safety
/// [`take`](RxQueue::take) returns an id only if it was given, once for each give, and only after the device has
/// finished writing the buffer; a frame's length is at most the buffer's capacity.
pub unsafe trait RxQueue: Send + 'static {
    /// Buffers that can be outstanding at once; ids are below it.
    fn capacity(&self) -> u16;

    /// Posts `buffer` to be filled, under `id`. The device may not know of it before [`kick`](RxQueue::kick).
    fn give(&mut self, id: u16, buffer: DmaBuffer<'_>) -> Result<(), QueueFull>;

    /// Publishes what was given and rings the doorbell if the device wants it. Once per sync. Returns whether it rang.
    fn kick(&mut self) -> bool;

    /// The next buffer that the device has finished with.
    fn take(&mut self) -> Option<Received>;

    /// Whether a sync that is not forced should look at the queue now. A device that is costly to look at spares
    /// itself some looks here; whoever calls `rxsync` forces, and is not asked.
    #[doc(alias = "NAF_FORCE_READ")]
    fn is_due(&mut self) -> bool {
        true
    }

    /// What the queue has seen go wrong.
    fn health(&self) -> QueueHealth;

    /// Asks for an interrupt at the next completion, and looks whether there is one already. One request is for one
    /// interrupt; what comes until [`disarm`](RxQueue::disarm) beyond it does no harm.
    fn arm(&mut self) -> Armed {
        Armed::Never
    }

    /// Asks for no more interrupts.
    fn disarm(&mut self) {}
}

/// A packet buffer on its way to a device: its addresses, its capacity, and the headroom in front of the payload.
///
/// The core lends it for the call; from `put` or `give` until the queue reports the id back, the memory is the
/// device's and nobody else reads or writes it.
#[derive(Debug)]
pub struct DmaBuffer<'a> {
    payload: NonNull<u8>,
    phys: u64,
    capacity: u16,
    lent: PhantomData<&'a mut [u8]>,
}

impl DmaBuffer<'_> {
    /// Describes the buffer whose payload is at `payload` and, for devices, at `phys`.
    ///
    /// # Safety
    /// `HEADROOM` bytes in front of `payload` and `capacity` bytes from it on are valid for reads and writes, at
    /// `phys` for devices, and nobody else uses them while the value lives.
    pub unsafe fn new(payload: NonNull<u8>, phys: u64, capacity: u16) -> Self {
        Self { payload, phys, capacity, lent: PhantomData }
    }

    /// Where the device finds the payload.
    #[inline]
    pub fn phys(&self) -> u64 {
        self.phys
    }

    /// The longest payload that fits, in bytes.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.capacity
    }

    /// Where the device finds the last `N` bytes of headroom, with the payload right behind them.
    #[inline]
    pub fn header_phys<const N: usize>(&self) -> u64 {
        const { assert!(N <= HEADROOM) };
        self.phys.wrapping_sub(N as u64)
    }

    /// Writes a device header right in front of the payload and tells where the device finds it.
    #[inline]
    pub fn write_header<const N: usize>(&mut self, header: [u8; N]) -> u64 {
        let at = self.header_phys::<N>();
        // SAFETY: `N` is at most `HEADROOM`, so the bytes lie in the headroom that `new` was promised.
        unsafe { self.payload.as_ptr().sub(N).cast::<[u8; N]>().write(header) };
        at
    }

    /// Copies the payload out for a device that is software: as much as `to` holds, `capacity` at most. Returns how
    /// many bytes.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let len = to.len().min(usize::from(self.capacity));
        // SAFETY: `capacity` bytes from `payload` on are valid (promised to `new`), and `to` is other memory.
        unsafe { self.payload.as_ptr().copy_to_nonoverlapping(to.as_mut_ptr(), len) };
        len
    }

    /// Keeps hold of the buffer beyond this call, for a device that is software and fills it later.
    ///
    /// # Safety
    /// The result is used only until the queue reports the buffer back or its card is stopped, whichever is first.
    pub unsafe fn hold(self) -> HeldBuffer {
        HeldBuffer { payload: self.payload, capacity: self.capacity }
    }
}

/// A posted buffer in the hands of a device that is software. The bytes are only ever copied, never referred to, so
/// that whoever maps the memory sees a frame late or torn, but can do the device no harm.
#[derive(Debug)]
pub struct HeldBuffer {
    payload: NonNull<u8>,
    capacity: u16,
}

// SAFETY: until it is reported back the buffer belongs to the holder alone (promised to `hold`), on any thread.
unsafe impl Send for HeldBuffer {}

impl HeldBuffer {
    /// The longest payload that fits, in bytes.
    pub fn capacity(&self) -> u16 {
        self.capacity
    }

    /// Copies `frame` in, if it fits. Returns its length.
    pub fn copy_from(&mut self, frame: &[u8]) -> Option<u16> {
        let len = u16::try_from(frame.len()).ok().filter(|len| *len <= self.capacity)?;
        // SAFETY: `capacity` bytes from `payload` on are valid while the value may be used, and `frame` is other
        // memory: nobody has a reference into a posted buffer.
        unsafe { self.payload.as_ptr().copy_from_nonoverlapping(frame.as_ptr(), frame.len()) };
        Some(len)
    }
}
