//! The card of an interface: what drivers implement (crate `nm-driver`).

pub use nm_driver::buffers::HEADROOM;
pub use nm_driver::nic::*;
