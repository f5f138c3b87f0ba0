//! Safe ports against a naive model: see `programs::safe`.
#![no_main]

#[path = "../../tests/programs/mod.rs"]
mod programs;

use libfuzzer_sys::fuzz_target;
use nm_core::testing::HeapPlatform;

fuzz_target!(|program: &[u8]| {
    let _ = programs::safe::run(&HeapPlatform::new(4 << 20), program);
});
