//! What a network driver for Millrace implements, and what it uses.
//!
//! A driver depends on this crate alone; the core (`nm-core`) implements the other side. Both agree on four things:
//!
//! ```text
//! Nic          the card: start, stop, link                                   ([`nic`])
//!  ├─ TxQueue  sync(TxBurst): reclaim completed frames, submit pending ones   ([`burst::TxBurst`])
//!  └─ RxQueue  sync(RxBurst): import received frames, post free buffers       ([`burst::RxBurst`])
//! Platform     DMA memory, the time                                          ([`platform`])
//! Events       where a card's interrupts go                                  ([`events`])
//! ```
//!
//! One sync is one call of a trait object. Bursts are concrete types with inline methods, so the loop of a driver over a
//! batch is compiled as one piece.
//!
//! | check | where |
//! |---|---|
//! | index, offset, length and fragment chain of a transmit slot; number of a receive buffer | the burst, once |
//! | an id that the device reports is outstanding, and is reported once | the burst |
//! | lengths that the device reports fit the buffer; no frame is longer than the MTU allows | the burst |
//! | indices of the device's own rings, descriptor status | the driver |
//! | when a frame is published to the application | the core |
//!
//! Modules in reading order, each depends on earlier ones only: [`abi`], [`index`], [`offsets`], [`platform`], [`shared`],
//! [`slots`], [`buffers`], [`events`], [`burst`], [`nic`], `testing`.
//!
//! # Where unsafe code is
//!
//! - [`platform`]: the contract of the machine, and memory that is released with its owner.
//! - [`shared`]: parts of such memory become atomics. Slots, buffers and descriptors are safe code over these.
//! - [`nic`]: the contract of a card. Queues and bursts are safe code.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod abi;
pub mod buffers;
pub mod burst;
pub mod events;
pub mod index;
mod mtu;
pub mod nic;
pub mod offsets;
pub mod platform;
pub mod shared;
pub mod slots;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// The direction of a ring or queue, as the application sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the application to the wire.
    Tx,
    /// From the wire to the application.
    Rx,
}

impl core::fmt::Display for Direction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Tx => "tx",
            Self::Rx => "rx",
        })
    }
}
