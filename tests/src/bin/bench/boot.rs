//! How large the image is, and how long it takes until it forwards.

use anyhow::Result;
use millrace_tests::{Appliance, Machine, image};

use crate::results::spread;

/// Boots of each machine.
const RUNS: usize = 11;

/// Prints the image's size and the time from QEMU's start to READY.
pub fn bench() -> Result<()> {
    let bytes = std::fs::metadata(image::appliance()?)?.len();
    println!("bench name=image elf_bytes={bytes} compare=\"at most {} by design\"", 1 << 20);
    for machine in [Machine::Q35, Machine::Pc] {
        let mut since_start = Vec::new();
        let mut since_entry = Vec::new();
        for _ in 0..RUNS {
            let appliance = Appliance::boot(machine)?;
            since_start.push(appliance.ready.since_start.as_secs_f64() * 1000.0);
            since_entry.push(appliance.ready.boot_us as f64);
            appliance.stop()?;
        }
        let (min, median, max) = spread(since_start);
        let (_, boot_us, _) = spread(since_entry);
        println!(
            "bench name=boot machine={machine} accel=tcg cards=2 runs={RUNS} qemu_to_ready_ms={median:.1} \
             min={min:.1} max={max:.1} boot_us={boot_us:.0} compare=\"at most 400 ms to READY on q35 by design\""
        );
    }
    Ok(())
}
