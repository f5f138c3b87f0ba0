//! Bursts and tracks from outside, as a driver and the core use them.
//!
//! ```text
//! buffers     the bytes of a buffer
//! memory      slots and buffers of a ring, and the core's side of a sync
//! tx, rx      one test for each rule
//! offsets     the same for rings whose slots have offsets
//! tx_model    random operations against a naive oracle
//! rx_model
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is a failure, which is what is wanted"
)]

use proptest::prelude::ProptestConfig;

mod buffers;
mod memory;
mod offsets;
mod rx;
mod rx_model;
mod tx;
mod tx_model;

/// How many random cases there are of each property: 200 operations on average in each.
fn config() -> ProptestConfig {
    let cases = if cfg!(miri) {
        1
    } else if cfg!(debug_assertions) {
        100
    } else {
        2000
    };
    let config = ProptestConfig::with_cases(cases);
    // Miri has no files.
    if cfg!(miri) { ProptestConfig { failure_persistence: None, ..config } } else { config }
}

/// The number of ids of a track.
fn ids_of(slots: u32, capacity: u16) -> u32 {
    slots.max(capacity.into()).next_power_of_two()
}
