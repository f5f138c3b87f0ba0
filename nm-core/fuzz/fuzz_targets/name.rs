//! Names of ports, and tunables: see `programs::words`.
#![no_main]

#[path = "../../tests/programs/mod.rs"]
mod programs;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let _ = programs::words::run(text);
});
