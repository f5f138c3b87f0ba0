//! Rings of a safe port, as the application holds them.
//!
//! ```text
//!             window()
//!        ├───────────────────┤
//!   … ─ head ─ … ─ cur ─ … ─ tail ─ …         slots() lends each slot of [head, tail) once
//!        ├──────────┼────────┤                advance(n) gives the first n of them to the core
//!         reserved()  avail()                 txsync() or rxsync() carries it out
//! ```
//!
//! A ring is moved, not shared: only its holder touches it, and only between syncs, because a
//! sync needs the ring mutably and so do the slots. It is `Send`: [`Port::split`](crate::Port::split) gives each
//! core its own.

pub(crate) mod cell;
mod copy;
pub(crate) mod memory;
mod slot;

/// Most slots of a frame.
#[doc(alias = "NETMAP_MAX_FRAGS")]
pub const FRAGMENTS_MAX: u32 = nm_driver::burst::FRAGMENTS_MAX;

pub use crate::mem::{DifferentRegion, FrameTooLong};
use slot::Window;
pub use slot::{Slot, Slots};

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;

use nm_driver::index::{Index, RingSize};

use crate::abi::{RingFlags, SlotFlags, TimeVal};
use crate::adapter::BoundRing;
use crate::kring::SyncError;
use crate::mem::Region;
use crate::ring::memory::RingMemory;
use crate::stats::{Direction, RingCounters, RingKind};

/// Marks a transmit ring.
#[derive(Debug)]
pub enum Tx {}

/// Marks a receive ring.
#[derive(Debug)]
pub enum Rx {}

/// A ring from the application to the wire.
pub type TxRing = Ring<Tx>;

/// A ring from the wire to the application.
pub type RxRing = Ring<Rx>;

/// One ring of a bound port.
#[doc(alias = "netmap_ring")]
pub struct Ring<D: Side> {
    bound: BoundRing,
    side: PhantomData<fn(D) -> D>,
}

/// Which way a ring carries, as a type.
pub trait Side: sealed::Sealed {
    /// The same as a value.
    const DIRECTION: Direction;
}

impl Side for Tx {
    const DIRECTION: Direction = Direction::Tx;
}

impl Side for Rx {
    const DIRECTION: Direction = Direction::Rx;
}

mod sealed {
    /// There are no other directions.
    pub trait Sealed {}
}

impl sealed::Sealed for Tx {}
impl sealed::Sealed for Rx {}

impl<D: Side> Ring<D> {
    pub(crate) fn new(bound: BoundRing) -> Self {
        Self { bound, side: PhantomData }
    }

    /// Number of the ring among those of its interface that have the same at the other end.
    pub fn number(&self) -> u16 {
        self.bound.number()
    }

    /// Whether the ring leads to the host stack, not to the card (see [`host`](crate::host)).
    pub fn is_host(&self) -> bool {
        self.bound.kind() == RingKind::Host
    }

    pub(crate) fn bound(&self) -> &BoundRing {
        &self.bound
    }

    /// How many slots the ring has. One of them always stays empty.
    pub fn num_slots(&self) -> u32 {
        self.memory().size().slots()
    }

    /// First slot of the application's window.
    pub fn head(&self) -> u32 {
        self.head_index().get()
    }

    /// The wake-up point: the application has looked at the slots before it.
    pub fn cur(&self) -> u32 {
        self.cur_index().get()
    }

    /// First slot behind the application's window.
    pub fn tail(&self) -> u32 {
        self.tail_index().get()
    }

    /// How many slots are the application's: those of `[head, tail)`.
    #[inline]
    #[doc(alias = "nm_ring_space")]
    pub fn window(&self) -> u32 {
        self.memory().size().distance(self.head_index(), self.tail_index())
    }

    /// Whether the window has no slots.
    #[inline]
    #[doc(alias = "nm_ring_empty")]
    pub fn is_empty(&self) -> bool {
        self.memory().head() == self.memory().tail()
    }

    /// How many slots of the window were not looked at: those of `[cur, tail)`.
    pub fn avail(&self) -> u32 {
        self.memory().size().distance(self.cur_index(), self.tail_index())
    }

    /// How many slots of the window were looked at and kept: those of `[head, cur)`.
    pub fn reserved(&self) -> u32 {
        self.memory().size().distance(self.head_index(), self.cur_index())
    }

    /// The longest frame that one slot holds.
    pub fn frame_max(&self) -> u16 {
        self.memory().region().frame_max()
    }

    /// The memory region that the slots' buffers belong to.
    pub fn region(&self) -> &Region {
        self.memory().region()
    }

    /// What the ring has moved and dropped.
    pub fn counters(&self) -> &Arc<RingCounters> {
        self.bound.cell().counters()
    }

    /// The slots of the window, each lent once. The window itself does not change: [`advance`](Self::advance) does
    /// that.
    #[inline]
    pub fn slots(&mut self) -> Slots<'_> {
        Window::of(&mut self.bound).into_slots()
    }

    /// Gives the first `slots` slots of the window to the core: to be sent, or to be filled again. They are its own
    /// from now on; it looks at them in the next sync. No more than the window are given. Returns how many were.
    #[inline]
    pub fn advance(&mut self, slots: u32) -> u32 {
        Window::of(&mut self.bound).release(slots)
    }

    /// Moves the wake-up point `slots` further without giving slots away: the application has looked at them and
    /// keeps them. Stays within the window. Returns how far it moved.
    pub fn look(&mut self, slots: u32) -> u32 {
        let moved = slots.min(self.avail());
        let cur = self.memory().size().advance(self.cur_index(), moved);
        self.memory().set_cur(cur);
        moved
    }

    #[inline]
    fn memory(&self) -> &RingMemory {
        self.bound.cell().memory()
    }

    // The ring's memory is private to this port and the core, and both write indices of the ring only; 0 stands for
    // what cannot be.

    #[inline]
    fn head_index(&self) -> Index {
        self.index(self.memory().head())
    }

    #[inline]
    fn cur_index(&self) -> Index {
        self.index(self.memory().cur())
    }

    #[inline]
    fn tail_index(&self) -> Index {
        self.index(self.memory().tail())
    }

    #[inline]
    fn index(&self, raw: u32) -> Index {
        let size = self.memory().size();
        size.index(raw).unwrap_or(size.first())
    }
}

impl TxRing {
    /// Sends what [`advance`](Ring::advance) gave, and takes back the slots of frames that have left.
    #[inline]
    #[doc(alias = "NIOCTXSYNC")]
    pub fn txsync(&mut self) -> Result<(), SyncError> {
        self.bound.cell().sync()
    }

    /// How many slots are on their way: given, and not come back. As long as there are some, a
    /// [`txsync`](Self::txsync) can bring them back.
    #[inline]
    #[doc(alias = "nm_tx_pending")]
    pub fn pending(&self) -> u32 {
        self.num_slots() - 1 - self.window()
    }
}

impl RxRing {
    /// Puts the ring into transparent mode or out of it: released frames that are marked
    /// ([`Slot::set_forward`]) go to the other side, as [`host`](crate::host#transparent-mode) describes. A ring that was
    /// just opened is not in it.
    #[doc(alias = "NR_FORWARD")]
    pub fn set_transparent(&mut self, is_transparent: bool) {
        let mut flags = self.memory().flags();
        flags.set(RingFlags::FORWARD, is_transparent);
        self.memory().set_flags(flags);
    }

    /// Whether each frame that arrives is marked, as if the application had done it
    /// ([`Slot::set_forward`]). So it takes the mark from the frames that it keeps, and all others go on when they are
    /// released. A ring that was just opened marks none.
    #[doc(alias = "nkr_slot_flags")]
    pub fn mark_arrivals(&mut self, are_marked: bool) -> Result<(), SyncError> {
        let flags = if are_marked { SlotFlags::FORWARD } else { SlotFlags::empty() };
        self.bound.cell().with(|inside| inside.kring.slot_flags = flags)
    }

    /// Takes in the frames that have arrived, and gives the slots of [`advance`](Ring::advance) to the card.
    #[inline]
    #[doc(alias = "NIOCRXSYNC")]
    pub fn rxsync(&mut self) -> Result<(), SyncError> {
        self.bound.cell().sync()?;
        if self.bound.is_stamped() {
            self.bound.stamp_now();
        }
        Ok(())
    }
}

/// Forwarding.
impl RxRing {
    /// Forwards as many frames as `tx` has room for, without a copy: exchanges the buffers of the slots of both windows, one by
    /// one, and advances both rings. Returns how many slots. Rings of different memory regions have to copy
    /// ([`copy_to`](Self::copy_to)).
    ///
    /// A frame of several slots goes as a whole: one that finds no room for all of them stays in this ring. One that has more slots
    /// than `tx` ever has free goes in parts, and `tx` drops and counts it.
    ///
    /// ```
    /// # use nm_core::{Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
    /// # use std::sync::Arc;
    /// # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
    /// # let netmap = Netmap::new(&platform, Tunables::default())?;
    /// # let [(a, wire), (b, far)] = [1, 2].map(|n| card(CardSpec::new(n, 256, Order::Posted)));
    /// # (netmap.attach("em0", a)?, netmap.attach("em1", b)?);
    /// # let (mut from, mut to) = (netmap.open("em0")?, netmap.open("em1")?);
    /// # let (rx, tx) = (&mut from.rx_rings()[0], &mut to.tx_rings()[0]);
    /// # wire.send(&[0x42; 60]);
    /// rx.rxsync()?;
    /// assert_eq!(rx.forward_to(tx)?, 1);
    /// tx.txsync()?;
    /// # assert_eq!(far.sent(), [[0x42; 60]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn forward_to(&mut self, tx: &mut TxRing) -> Result<u32, DifferentRegion> {
        let (mut rx, mut tx) = (Window::of(&mut self.bound), Window::of(&mut tx.bound));
        if !core::ptr::eq(rx.region(), tx.region()) {
            return Err(DifferentRegion);
        }
        let mut count = rx.len();
        if count > tx.len() {
            // A receive window ends with the last slot of a frame; a part of it may not.
            let (ring, head) = rx.position();
            count = whole_frames(ring, head, tx.len(), tx.size());
        }
        let mut done = 0;
        while done < count {
            let (received, free) = (rx.run(done, count), tx.run(done, count));
            let run = received.len().min(free.len());
            for (received, free) in received.iter_mut().zip(free) {
                received.exchange(free);
            }
            done += run as u32;
        }
        rx.release(count);
        Ok(tx.release(count))
    }
}

/// How many of the first `room` slots from `head` on are those of whole frames. If there is never more room than this for the first
/// frame, because the other ring has `size` slots: all of them.
#[cold]
fn whole_frames(ring: &RingMemory, head: Index, room: u32, size: RingSize) -> u32 {
    let has_more = |ahead| ring.slot(ring.size().advance(head, ahead)).has(SlotFlags::MOREFRAG);
    let whole = (0..room).rev().find(|ahead| !has_more(*ahead)).map_or(0, |last| last + 1);
    if whole == 0 && room + 1 == size.slots() { room } else { whole }
}

/// When frames were taken in.
impl RxRing {
    /// Whether each rxsync writes its time to the ring. At first it does not: reading the clock costs more than looking at
    /// an empty queue. Polls write it in any case, unless the tunable `no_timestamp` is set.
    #[doc(alias = "NR_TIMESTAMP")]
    pub fn set_timestamped(&mut self, is_timestamped: bool) {
        let mut flags = self.memory().flags();
        flags.set(RingFlags::TIMESTAMP, is_timestamped);
        self.memory().set_flags(flags);
    }

    /// The time of the last sync that wrote it, zero before: microseconds of the machine's own clock
    /// ([`Platform::now_ns`](crate::platform::Platform::now_ns)).
    pub fn timestamp(&self) -> TimeVal {
        self.memory().time()
    }
}

impl<D: Side> fmt::Debug for Ring<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("direction", &D::DIRECTION).field("bound", &self.bound).finish()
    }
}
