//! The netmap of Millrace: rings, memory, adapters and ports, with no operating system underneath.
//!
//! This crate knows no hardware and has no statics; all of it runs under plain `cargo test`. A machine enters through
//! [`platform::Platform`] (memory that devices can reach), a network card through [`nic::Nic`].
//!
//! # The six steps of a program
//!
//! | netmap | here |
//! |---|---|
//! | open `/dev/netmap` | [`Netmap::new`]: one value that owns memory and interfaces |
//! | `NIOCREGIF` | [`Netmap::open`]: a [`Port`], bound by name |
//! | `mmap` | nothing: rings and buffers are in the same address space |
//! | read and write slots, move `head` and `cur` | [`Ring::slots`](ring::Ring::slots), [`Ring::advance`](ring::Ring::advance) |
//! | `NIOCTXSYNC`, `NIOCRXSYNC` | [`TxRing::txsync`], [`RxRing::rxsync`] |
//! | `poll`, `select`, `kevent` | [`Port::poll`], [`poll_any`](poll::poll_any), or `.await` on [`Port::ready`] |
//! | close | dropping the port, or the last of its rings |
//!
//! ```
//! # use nm_core::{Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
//! # netmap.attach("em0", nic)?;
//! # wire.send(&[0x42; 60]);
//! let mut port = netmap.open("netmap:em0")?;
//! let rx = &mut port.rx_rings()[0];
//! rx.rxsync()?;
//! for slot in rx.slots() {
//!     println!("{} bytes: {:02x?}", slot.len(), slot.frame());
//! }
//! let seen = rx.window();
//! rx.advance(seen);
//! # assert_eq!(seen, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [`manual`] explains a ring by pictures, and has a program each that receives, sends, bridges, gives a ring to each
//! thread, and awaits. [`manual::paths`] tells for everything that happens which functions it passes through.
//!
//! # The shape of the API
//!
//! **A safe port holds its rings exclusively**, and they are mapped nowhere else. netmap's rule is that only the owner
//! touches a ring, and only between two syncs; here the compiler keeps it. [`slots`](ring::Ring::slots) borrows the
//! ring mutably and so does a sync, so no slot outlives the sync that would give it away. The slots lent are those of
//! the window `[head, tail)` and no others, each once.
//!
//! **Each buffer is in exactly one place.** The application never writes the number of a buffer. It exchanges the
//! buffers of two slots ([`Slot::swap`]), which is also how a frame is forwarded without a copy. A port with another
//! memory region refuses the exchange, and then the frame is copied ([`RxRing::copy_to`]).
//!
//! **A frame has one slot or several.** One that is longer than a buffer goes on in the next slot ([`Slot::has_more`]). How long it may
//! be, the MTU of the interface says ([`Attachment::with_mtu`]).
//!
//! **Raw ports** ([`raw`]) are netmap's own contract, for programs that reach rings through memory: several may have one
//! ring, anything may be written to it, and the core believes none of it.
//!
//! **Interfaces come and go.** [`Netmap::detach`] turns every later call of an interface's ports into
//! [`SyncError::Gone`], while views stay valid memory; [`Netmap::reset`] resets a card under its ports. An interface has
//! rings of its own, passes frames one by one, or can do both ([`Attachment`]); a port that opens a closed one
//! gets what `admode` says and the card as it is at that time. What a [`Claim`] gives to an owner opens for no other.
//!
//! **Rings move.** [`Port::split`] takes a port apart into rings that are `Send` and sync on their own: one core, one
//! ring. The last ring to be dropped closes the port.
//!
//! **The indices are netmap's of today**, in the binary layout of API 14 ([`abi`]): `head` and `cur` are the
//! application's, `tail` is the core's. What netmap called `avail` and `reserved` in 2013 are distances between them:
//! [`Ring::avail`](ring::Ring::avail) from `cur` to `tail`, [`Ring::reserved`](ring::Ring::reserved) from `head` to `cur`.
//!
//! **Errors say why**, per operation: [`AttachError`], [`OpenError`], [`SyncError`]. Each knows the errno that netmap gives.
//!
//! # The life of a frame
//!
//! ```text
//! wire ─► card ─► RxQueue::sync ─► rx slot, tail moves ─► application ─► advance ─► rxsync posts the slot's buffer again
//!                                       │ exchange of buffers
//!                                       ▼
//! wire ◄─ card ◄─ TxQueue::sync ◄─ tx slot ◄─ advance, txsync           completed: tail moves
//! ```
//!
//! | step | where |
//! |---|---|
//! | who may be inside a ring, and who stops it | `ring_lock`, `ring::cell` |
//! | who owns which slots, what a sync accepts | `kring` |
//! | what is behind a ring: a card's queue, or the stack | `backend` |
//! | the loop over slots and queue, and what is outstanding | [`nm_driver::burst`] |
//! | waiting until a ring is ready | [`poll`] |
//! | from an interrupt to those who wait | [`events`] |
//! | what a card does differently | [`nic`], from the crate `nm-driver` |
//! | ring memory, atomically and field by field | `ring::memory` |
//! | where a payload begins in its buffer | [`Offsets`], [`nm_driver::offsets`] |
//! | netmap's device file, for programs that expect one | [`ctl`] |
//! | frames of the machine's own network stack | [`host`], `backend` |
//! | what an interface is made of, and whose it is | [`Attachment`], [`Claim`] |
//! | which adapter its ports get, who has which ring, from the first that is bound to the last that is released | `adapter` |
//! | regions, pools, the lookup table | [`mem`] |
//! | positions that wrap around | [`index`] |
//! | every drop and its cause | [`stats`] |
//!
//! # Where unsafe code is
//!
//! In two files. `ring_lock` is the lock of a ring, which holds what is behind the ring. [`ring::Slot`] and its neighbours in `ring::slot`
//! make plain references of shared memory: the borrow of a slot in the window of a safe port, or of a spare buffer, becomes the
//! borrow of its bytes. What they rely on is written there. All other access to shared memory is atomic and safe: the structures
//! and the arrays are in [`nm_driver::shared`]. The contract of cards ([`nic`]) and that of the machine ([`platform`]) are
//! `nm-driver`'s as well. A raw port is opened by safe code; following its addresses is unsafe, under the contract in [`raw`].
//!
//! In tests unsafe code is for the memory and the card of `testing`, and for what
//! loom or a test does to shared state on purpose.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod abi;
mod adapter;
mod attach;
mod backend;
mod claim;
pub mod ctl;
pub mod dump;
pub mod errno;
pub mod events;
pub mod generic;
pub mod host;
mod kring;
pub mod manual;
pub mod mem;
mod mtu_error;
pub mod name;
mod netmap;
pub mod nic;
mod offsets;
mod open_error;
pub mod poll;
mod port;
pub mod raw;
pub mod ring;
mod ring_lock;
pub mod stats;
mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tunables;

pub use nm_driver::{index, platform};

pub use adapter::InterfaceInfo;
pub use attach::{AttachError, Attachment, NullRings};
pub use claim::Claim;
pub use kring::SyncError;
pub use mtu_error::MtuError;
pub use netmap::Netmap;
pub use offsets::{Offsets, OffsetsError};
pub use open_error::{KnownInterface, OpenError};
pub use port::{AllRings, Port};
pub use ring::{RxRing, Slot, TxRing};
