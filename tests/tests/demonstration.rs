//! Objective: the demonstration works on a machine where nothing was prepared.
//!
//! 1. Run it as `./qemu-run.sh` does.
//! 2. It ends with status 0 and has shown a lease, the router's address, pings, the download and its hash.

use std::process::Command;

use anyhow::Result;
use millrace_tests::image;

#[test]
fn succeeds_and_shows_what_crossed() -> Result<()> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_demo")).env("MILLRACE_ELF", image::appliance()?).output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{shown}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    for part in
        ["lease of 10.0.2.15/24", "10.0.2.2 is at", "10 of 10 answered", "128 MiB from", "as it was sent"]
    {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
    Ok(())
}
