//! Tests of the drivers from outside: through the traits that the core and the kernel use, against the fakes of
//! `testing`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is a failure, which is what is wanted"
)]

#[macro_use]
mod ways;

mod assign;
mod bench;
mod control;
mod e1000;
mod enumeration;
mod fragments;
mod handshake;
mod hostile;
mod in_order;
mod iommu;
mod lines;
mod loopback;
mod machine;
mod merged;
mod msix;
mod offsets;
mod packed;
mod pci;
mod rings;
mod rules;
mod rust_vmm;
mod sleeping;
mod virtio_legacy;
mod virtio_mmio;
mod virtio_pci;
mod virtqueue;
