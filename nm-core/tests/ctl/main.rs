//! The device file: each request, each error and its number, and the life of a descriptor.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]
#![allow(unsafe_code, reason = "a descriptor's rings are used through memory")]

#[path = "../common/mod.rs"]
mod common;
mod info;
mod life;
mod requests;
mod sequences;
mod world;
