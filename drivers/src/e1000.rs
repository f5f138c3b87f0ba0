//! Intel's gigabit cards of the 8254x family and the 82574L, one queue each way.
//!
//! ```text
//! nic         what a card is: reset, rings, transmitter, address, link           (E1000: Nic)
//! tx, rx      the two queues, as the core uses them                              (Transmit, Receive)
//! ring        descriptors, in memory that both sides see
//! attachment  registers, interrupts and bus of a card                            (Attachment)
//! registers   which registers there are, and what is in them                     (Offset)
//! ```
//!
//! A ring is first in, first out: the card finishes descriptors in the order in which they were written, from its head
//! to the tail that the driver writes. So a queue needs no ids. What the card writes back is the status of a descriptor, and that is all that is
//! ever read; neither head register is.
//!
//! Frames go through as they are: no checksums, no segmentation, no tags inserted or removed, every address accepted.
//! What the card does change is what Ethernet asks for. It adds and removes the checksum at the end, and a frame of less
//! than 60 bytes leaves with zeros behind it.
//!
//! Sections are those of Intel's "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual", whose
//! registers the 82574L has too; where it differs, its datasheet is named.

mod address;
mod attachment;
mod error;
mod model;
mod nic;
mod registers;
mod reset;
mod ring;
mod rx;
mod tx;

pub use self::attachment::Attachment;
pub use self::error::{MapError, StartError};
pub use self::model::Model;
pub use self::nic::{E1000, SLOTS};
pub use self::registers::{Interrupts, Offset};
