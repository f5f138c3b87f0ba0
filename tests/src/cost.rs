//! What forwarding costs the image in guest instructions: a packet, a batch of packets, and a loop of the application.
//!
//! ```text
//! table      the costs of several subjects, as the README shows them
//! measure    boots a subject, and counts executions while the generator runs each phase
//! fit        splits the counts over packets, batches and loops
//! symbols    where the application's step is, and which function a block belongs to
//! phase      what the generator does: nothing, closed loops of bursts, as fast as it can
//! plugin     executions of each translation block, counted by a plugin of QEMU's
//! ```
//!
//! The method does not depend on the machine's speed or load. A spinning image executes as many loops that find nothing as there is
//! time for, so instructions divided by packets says as much of the machine as of the image. Here the loops are counted like the
//! packets, and the cost of a packet is what is left of them.
//!
//! What a block costs is its executions times its instructions. Its executions in a phase are taken to be a sum of four quantities,
//! with the same four coefficients, none negative, in all phases:
//!
//! | quantity | known from |
//! |---|---|
//! | packets | the generator |
//! | batches: loops that move packets | what most of the blocks agree on that run once for every burst of one frame, never while there are no frames, and for bursts of 32 far more seldom than once a frame |
//! | loops that find nothing | executions of the first block of the application's step, less the batches |
//! | transmit syncs outside of batches | executions of the first block of the transmit sync, less the batches |
//!
//! The bridge has one transmit sync in each batch, which the batch's cost includes. It has others now and then while it finds nothing
//! and frames are still on their way to the device. What those cost depends on the generator, and is left out.

mod fit;
mod measure;
mod phase;
mod plugin;
mod symbols;
mod table;

pub use fit::{Coefficients, Cost, Fit, Samples, Unexplained, fit};
pub use measure::{FRAME, Measured, SUBJECTS, Subject, measure};
pub use phase::{PHASES, Phase};
pub use plugin::{Block, Executed, Plugin};
pub use symbols::Symbols;
pub use table::Table;
