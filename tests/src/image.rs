//! Where the images are: built by `./qemu-run.sh`, found through the environment or in `target/`.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The appliance: `MILLRACE_ELF`, or `target/millrace.elf`.
pub fn appliance() -> Result<PathBuf> {
    locate("MILLRACE_ELF", "millrace.elf")
}

/// The symbols of the appliance: a file beside it, with the suffix `debug`.
pub fn symbols() -> Result<PathBuf> {
    let path = appliance()?.with_extension("debug");
    ensure!(
        path.is_file(),
        "there are no symbols at {}: `./qemu-run.sh build` puts them there",
        path.display()
    );
    Ok(path)
}

/// The test build that provokes faults and resets cards on request: `MILLRACE_FAULT_ELF`, or `target/millrace-fault.elf`.
pub fn fault_injection() -> Result<PathBuf> {
    locate("MILLRACE_FAULT_ELF", "millrace-fault.elf")
}

/// The workspace's folder.
pub fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

fn locate(variable: &str, file: &str) -> Result<PathBuf> {
    let path = match env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => repository().join("target").join(file),
    };
    ensure!(
        path.is_file(),
        "there is no image at {}: `./qemu-run.sh test` builds it and runs this, or name another with {variable}",
        path.display()
    );
    Ok(path)
}
