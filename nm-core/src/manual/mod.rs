//! The manual: what a ring is, five programs, and which way everything goes ([`paths`]).
//!
//! It is text alone. The programs are complete but for a few lines that make a netmap with a card or two; `cargo test
//! --doc` runs them.
//!
//! # A ring
//!
//! A ring is a circle of slots, and each slot has a packet buffer. Three positions cut the circle:
//!
//! | position | moved by | meaning |
//! |---|---|---|
//! | `head` | the application | all slots before it are given to the core: to be sent, or to be filled again |
//! | `cur` | the application | all slots before it were looked at: a wait ends when there are slots from here on |
//! | `tail` | a sync of this ring | all slots from here on are the core's |
//!
//! The slots of `[head, tail)` are the application's. One slot always stays empty: when `head` and `tail` are the same,
//! the application has no slot, and a ring of 8 slots never has more than 7 on either side.
//!
//! netmap's rule is that an application touches only its slots, and only between two syncs. Nothing that it does
//! takes effect before the next sync. In the pictures `h`, `c` and `t` stand where `head`, `cur` and `tail` are.
//!
//! **Transmit**, in a ring of 8 slots. At first they are all the application's, but for the one that stays empty. What
//! [`advance`](Ring::advance) gives, [`txsync`](TxRing::txsync) posts to the card, and `tail` follows what the card
//! has finished with:
//!
//! ```text
//!                                           0    1    2    3    4    5    6    7
//! opened                                   hc    .    .    .    .    .    .    t    . the application's
//! advance(3)                                +    +    +   hc    .    .    .    t    + given
//! txsync, the card has sent nothing yet     *    *    *   hc    .    .    .    t    * posted
//! txsync, two have left                     .    t    *   hc    .    .    .    .    one is pending
//! ```
//!
//! **Receive**, likewise. At first no slot is the application's, and the card has 7 empty buffers.
//! [`rxsync`](RxRing::rxsync) moves `tail` over those that were filled, and posts those that
//! [`advance`](Ring::advance) gave:
//!
//! ```text
//!                                           0    1    2    3    4    5    6    7
//! opened                                  hct    *    *    *    *    *    *         * posted
//! rxsync, three frames have arrived        hc    .    .    t    *    *    *         . a frame
//! look(2)                                   h    .    c    t    *    *    *         one not seen
//! advance(2)                                +    +   hc    t    *    *    *         + given back
//! rxsync, nothing has arrived               *        hc    t    *    *    *    *    0, 7 posted
//! ```
//!
//! The distances have names: [`window`](Ring::window) from `head` to `tail`, [`avail`](Ring::avail) from `cur` to
//! `tail`, [`reserved`](Ring::reserved) from `head` to `cur`. What the core remembers beside these positions is told in
//! `kring`.
//!
//! ```
//! # use nm_core::{Netmap, ring::{Ring, Side}, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted));
//! # netmap.attach("em0", nic)?;
//! # wire.hold_completions();
//! fn positions<D: Side>(ring: &Ring<D>) -> (u32, u32, u32) {
//!     (ring.head(), ring.cur(), ring.tail())
//! }
//!
//! let mut port = netmap.open("netmap:em0")?;
//! let (tx, rx) = port.rings();
//! let (tx, rx) = (&mut tx[0], &mut rx[0]);
//! assert_eq!(positions(tx), (0, 0, 7));
//! for mut slot in tx.slots().take(3) {
//!     slot.copy_from(&[0x42; 60])?;
//! }
//! tx.advance(3);
//! assert_eq!(positions(tx), (3, 3, 7));
//! tx.txsync()?;
//! assert_eq!(positions(tx), (3, 3, 7));
//! # wire.complete(2);
//! tx.txsync()?; // Two have left.
//! assert_eq!(positions(tx), (3, 3, 1));
//! assert_eq!((tx.window(), tx.pending()), (6, 1));
//!
//! assert_eq!(positions(rx), (0, 0, 0));
//! # (0..3).for_each(|_| wire.send(&[0x42; 60]));
//! rx.rxsync()?; // Three have arrived.
//! assert_eq!(positions(rx), (0, 0, 3));
//! rx.look(2);
//! assert_eq!((positions(rx), rx.reserved(), rx.avail()), ((0, 2, 3), 2, 1));
//! rx.advance(2);
//! assert_eq!(positions(rx), (2, 2, 3));
//! rx.rxsync()?;
//! assert_eq!(positions(rx), (2, 2, 3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Receive
//!
//! A poll waits for frames and takes them in; it syncs on its own.
//!
//! ```
//! # use nm_core::{Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
//! # netmap.attach("em0", nic)?;
//! # (0..100).for_each(|_| wire.send(&[0x42; 60]));
//! use nm_core::poll::{Interest, Timeout};
//! use std::time::Duration;
//!
//! let mut port = netmap.open("netmap:em0")?;
//! let mut frames = 0;
//! while !port.poll(Interest::READABLE, Timeout::After(Duration::from_millis(10)))?.is_none() {
//!     for rx in port.rx_rings() {
//!         frames += rx.slots().filter(|slot| slot.frame().len() == 60).count();
//!         rx.advance(rx.window());
//!     }
//! }
//! assert_eq!(frames, 100);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Send
//!
//! The ring's own poll waits for room, and sends what was given meanwhile. What was given last is still on its way
//! when the loop ends: closing the port would stop the card under it.
//!
//! ```
//! # use nm_core::{Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
//! # netmap.attach("em0", nic)?;
//! use nm_core::poll::Timeout;
//!
//! let mut port = netmap.open("netmap:em0")?;
//! let tx = &mut port.tx_rings()[0];
//! let mut left = 1000;
//! while left > 0 {
//!     let room = tx.poll(Timeout::Never)?.min(left);
//!     for mut slot in tx.slots().take(room as usize) {
//!         slot.copy_from(&[0x42; 60])?;
//!     }
//!     left -= tx.advance(room);
//! }
//! while tx.pending() > 0 {
//!     tx.txsync()?;
//! }
//! # assert_eq!(wire.sent(), vec![vec![0x42; 60]; 1000]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Frames of several slots
//!
//! A frame that is longer than a buffer takes several slots, each but the last marked ([`Slot::has_more`](crate::Slot::has_more)). The card takes and
//! publishes whole frames only.
//!
//! ```
//! # use nm_core::{Attachment, Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
//! use nm_core::nic::Mtu;
//!
//! netmap.attach_as("em0", Attachment::rings(nic).with_mtu(Mtu::MAX))?;
//! let mut port = netmap.open("netmap:em0")?;
//! let (tx, rx) = port.rings();
//! let frame = [0x42; 5000];
//! let parts = frame.chunks(tx[0].frame_max().into());
//! let slots = parts.len();
//! for (n, (mut slot, part)) in tx[0].slots().zip(parts).enumerate() {
//!     slot.copy_from(part)?;
//!     slot.set_more(n + 1 < slots);
//! }
//! tx[0].advance(slots as u32);
//! tx[0].txsync()?;
//! # assert_eq!(wire.sent(), [frame]);
//! # wire.send(&frame);
//! rx[0].rxsync()?;
//! let mut received = Vec::new();
//! for slot in rx[0].slots() {
//!     received.extend_from_slice(slot.frame());
//!     if !slot.has_more() {
//!         assert_eq!(core::mem::take(&mut received), frame);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Bridge
//!
//! Two slots exchange their buffers, and the frame goes with its buffer: nothing is copied. A port with another memory
//! region refuses the exchange ([`DifferentRegion`]), since its card cannot reach the buffer. Then the frame is copied. Both ways move
//! whole frames; what finds no room stays where it is.
//!
//! ```
//! # use nm_core::{Attachment, Netmap, tunables::{Sizes, Tunables}};
//! # use nm_core::testing::{card, CardSpec, HeapPlatform, Order};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let [(em0, wire0), (em1, wire1), (em2, wire2)] = [0, 1, 2].map(|n| card(CardSpec::new(n, 256, Order::Posted)));
//! # netmap.attach("em0", em0)?;
//! # netmap.attach("em1", em1)?;
//! # let private = netmap.regions().create("em2", Sizes { buf_num: 1024, ..Sizes::default() })?;
//! # netmap.attach_as("em2", Attachment::rings(em2).in_region(&private))?;
//! use nm_core::{RxRing, SyncError, TxRing};
//!
//! /// Moves what has arrived and has room to the other side. What has none stays where it is. Returns how many slots.
//! fn forward(rx: &mut RxRing, tx: &mut TxRing) -> Result<u32, SyncError> {
//!     rx.rxsync()?;
//!     let count = rx.forward_to(tx).unwrap_or_else(|_| rx.copy_to(tx));
//!     tx.txsync()?;
//!     Ok(count)
//! }
//!
//! let mut em0 = netmap.open("netmap:em0")?;
//! let mut em1 = netmap.open("netmap:em1")?;
//! let mut em2 = netmap.open("netmap:em2")?; // It has a region of its own.
//! # wire0.send(&[0x42; 60]);
//! assert_eq!(forward(&mut em0.rx_rings()[0], &mut em1.tx_rings()[0])?, 1);
//! # assert_eq!(wire1.sent(), [[0x42; 60]]);
//! # wire1.send(&[0x43; 61]);
//! assert_eq!(forward(&mut em1.rx_rings()[0], &mut em2.tx_rings()[0])?, 1);
//! # assert_eq!(wire2.sent(), [[0x43; 61]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One ring per thread
//!
//! [`Port::split`] takes a port apart. Each ring is waited for and synced on its own, and on the way of a frame the
//! threads share nothing. The last ring to be dropped closes the port.
//!
//! ```
//! # use nm_core::{Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted).with_queues(2, 2));
//! # netmap.attach("em0", nic)?;
//! # (0..200).for_each(|n| wire.send_to(n % 2, &[0x42; 60]));
//! use nm_core::{RxRing, TxRing, poll::Timeout};
//! use std::{error::Error, thread};
//!
//! /// Sends `left` frames back where they came from.
//! fn echo(mut rx: RxRing, mut tx: TxRing, mut left: u32) -> Result<(), Box<dyn Error + Send + Sync>> {
//!     while left > 0 {
//!         rx.poll(Timeout::Never)?;
//!         let count = rx.window().min(tx.window());
//!         for (mut from, mut to) in rx.slots().zip(tx.slots()) {
//!             from.swap(&mut to)?;
//!         }
//!         left -= rx.advance(count).min(left);
//!         tx.advance(count);
//!         tx.txsync()?;
//!     }
//!     Ok(())
//! }
//!
//! let (tx, rx) = netmap.open("netmap:em0")?.split();
//! thread::scope(|scope| {
//!     let start = |(rx, tx)| scope.spawn(move || echo(rx, tx, 100));
//!     let threads: Vec<_> = rx.into_iter().zip(tx).map(start).collect();
//!     threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
//! })?;
//! # let queues: Vec<u16> = wire.sent_with_queue().into_iter().map(|(queue, _)| queue).collect();
//! # assert_eq!([0, 1].map(|of| queues.iter().filter(|queue| **queue == of).count()), [100, 100]);
//! # assert!(!wire.is_running());
//! # Ok::<(), Box<dyn Error + Send + Sync>>(())
//! ```
//!
//! # Async
//!
//! Every wait is also a future. It is woken by [`Netmap::run_pending`], which the machine calls after interrupts.
//!
//! ```
//! # use nm_core::{Netmap, RxRing, poll::PollError, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::{pin::pin, sync::Arc, task::{Context, Poll, Waker}};
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
//! # netmap.attach("em0", nic)?;
//! # wire.connect(netmap.events("em0")?);
//! /// Receives until something is wrong with the ring.
//! async fn receive(rx: &mut RxRing) -> PollError {
//!     loop {
//!         match rx.ready().await {
//!             Ok(ready) => println!("{} frames", ready.readable),
//!             Err(error) => return error,
//!         }
//!         rx.advance(rx.window());
//!     }
//! }
//! # let mut port = netmap.open("netmap:em0")?;
//! # let mut task = pin!(receive(&mut port.rx_rings()[0]));
//! # let mut context = Context::from_waker(Waker::noop());
//! # assert!(task.as_mut().poll(&mut context).is_pending());
//! # wire.send(&[0x42; 60]);
//! # assert_eq!(netmap.run_pending(), 1);
//! # assert!(task.as_mut().poll(&mut context).is_pending());
//! # netmap.detach("em0")?;
//! # let Poll::Ready(error) = task.as_mut().poll(&mut context) else { panic!("it ends") };
//! # assert_eq!(error.cause, nm_core::SyncError::Gone);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod paths;

#[cfg(doc)]
use crate::{
    Netmap, Port, RxRing, TxRing,
    ring::{DifferentRegion, Ring},
};
