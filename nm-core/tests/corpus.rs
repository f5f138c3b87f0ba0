//! The inputs that the fuzz targets begin with (`fuzz/corpus`), replayed, so that they stay programs that say something.
#![cfg(not(miri))]
#![allow(clippy::unwrap_used, reason = "a test ends here when it fails")]

mod programs;

use std::fs;
use std::path::Path;

use nm_core::testing::HeapPlatform;
use programs::hostile::{self, Done};
use programs::{safe as safe_ports, words};

/// Longer ones say no more.
const LENGTH_MAX: usize = 1024;

/// The inputs of a target with their names.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let input = |path: std::path::PathBuf| (path.display().to_string(), fs::read(path).unwrap());
    let mut inputs = files.map(input).collect::<Vec<_>>();
    assert!(inputs.len() >= 24, "{target}: {} inputs", inputs.len());
    for (name, bytes) in &inputs {
        assert!(bytes.len() <= LENGTH_MAX, "{name} is too long");
    }
    inputs.sort();
    inputs
}

#[test]
fn raw() {
    let mut done = Done::default();
    for (name, bytes) in inputs("raw") {
        println!("{name}");
        done.add(hostile::run(&HeapPlatform::fenced(4 << 20), &bytes));
    }
    assert!(done.frames > 0 && done.beside > 0 && done.refused > 0, "{done:?}");
}

#[test]
fn safe() {
    let mut moved = 0;
    for (name, bytes) in inputs("safe") {
        println!("{name}");
        moved += safe_ports::run(&HeapPlatform::fenced(4 << 20), &bytes).1;
    }
    assert!(moved > 0);
}

#[test]
fn name() {
    let mut accepted = 0;
    for (name, text) in inputs("name") {
        println!("{name}");
        accepted += words::run(&text);
    }
    assert!(accepted > 0);
}
