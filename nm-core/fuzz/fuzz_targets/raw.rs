//! Raw ports, written with anything: see `programs::hostile`.
#![no_main]

#[path = "../../tests/programs/mod.rs"]
mod programs;

use libfuzzer_sys::fuzz_target;
use nm_core::testing::HeapPlatform;

// Without fences: the address sanitizer sees what misses a block.
fuzz_target!(|program: &[u8]| {
    let _ = programs::hostile::run(&HeapPlatform::new(4 << 20), program);
});
