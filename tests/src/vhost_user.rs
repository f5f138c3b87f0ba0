//! A vhost-user back end with two ports, each the device side of one card: it works on the queues in the guest's memory.
//!
//! ```text
//! pair    two ports as a Link: frames go in at the left card and come out at the right one
//! port    one connection with QEMU, until both queues of a card run
//! message the protocol
//! ring    the device side of a queue: split, packed
//! ```
//!
//! It polls, so it asks the driver for no notifications, and it sends no interrupts: the image has to spin. A frame occupies one
//! descriptor, together with its header. The image's drivers put it there for every device of virtio 1.

mod message;
mod packed;
mod pair;
mod port;
mod ring;
mod split;

pub use pair::{Ports, Traffic};
