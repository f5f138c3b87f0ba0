//! Drivers for the network cards of Millrace, and the parts that cards share.
//!
//! ```text
//! probe      which driver a PCI function or a virtio-mmio device gets
//!   ├─ iommu                           whether an IOMMU keeps cards from memory
//!   └─ virtio::net, e1000              a card: implements `nm_driver::nic::Nic`
//!        ├─ pci        configuration space: functions, BARs, capabilities
//!        ├─ claims     which devices have a driver
//!        ├─ bus        what a bus supplies for a device: interrupts, and taking its DMA away
//!        ├─ hal        what the machine has to supply: device memory, register mappings, interrupt lines
//!        └─ registers  access to a device's registers, in memory, I/O ports or a device model
//! ```
//!
//! The core calls a card through [`nm_driver::nic`]; the kernel supplies a [`hal::Hal`] and a [`pci::ConfigSpace`] and
//! calls [`probe::probe`] for each of [`pci::functions`]. Nothing here is global, and nothing here knows the core's
//! rings.
//!
//! A device is not trusted: what it writes (indices, ids, lengths, status, capabilities) is read once, checked, and then used.
//! `unsafe` is confined to register access ([`registers`]), the contract of [`hal`], and what [`nm_driver::nic::Nic`] asks of a
//! card (`virtio::net`, `e1000::nic`). Queues are safe code, and their memory consists of atomics ([`nm_driver::shared`]).
//!
//! With the feature `testing` there is a fake machine, and models of the cards that check what a driver does.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod bus;
pub mod claims;
mod dma_guard;
pub mod e1000;
pub mod hal;
mod handlers;
pub mod iommu;
mod line;
mod options;
pub mod pci;
pub mod probe;
pub mod registers;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod virtio;
mod wait;

pub use options::Options;
pub use probe::{Card, ProbeError, probe, probe_mmio};
