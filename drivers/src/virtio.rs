//! virtio devices: what they have in common, and the network card.
//!
//! Three parts, each replaceable on its own:
//!
//! ```text
//! net        what a network card is: header, configuration, queue pairs        (VirtioNet: Nic)
//! queue      the virtqueue, split or packed, in memory that both sides see     (Virtqueue, CommandQueue)
//! transport  how registers and doorbell are reached                            (Transport)
//!              pci: PciTransport · legacy: LegacyPciTransport · mmio: MmioTransport
//! ```
//!
//! Section numbers are those of the OASIS specification "Virtual I/O Device (VIRTIO) Version 1.2".

pub mod features;
pub(crate) mod iommu;
mod isr;
pub mod legacy;
pub mod mmio;
pub mod net;
pub mod pci;
pub mod queue;
pub mod status;
pub mod transport;
