//! Packets a second and guest instructions a packet over vhost-user, with the forwarding bench of the lab's
//! folder.
//!
//! The lab (`LAB`, or `../shared/lab` beside the repository) has a generator that feeds the image as fast as
//! it can and a QEMU plugin that counts what the guest executes; its README has the same figures for other
//! guests. Where it is not there, or not what it needs, a line says what is missing, and that is no failure.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_tests::image;
use nix::unistd::geteuid;
use serde_json::Value;

use crate::print_rate;

/// Frame length without its checksum; the lab counts with it.
const FRAME: usize = 60;
/// Measured windows, and seconds of each.
const WINDOWS: u64 = 3;
const WINDOW_S: u64 = 5;
/// Pages of 2 MiB that generator and guest live in.
const HUGE_PAGES: u64 = 512;
const HUGE_PAGES_FILE: &str = "/proc/sys/vm/nr_hugepages";

/// What others took for one packet, by the lab's README.
const PEERS: &str =
    "compare=\"DPDK testpmd 477, with vectorised receive 339; netmap's bridge in Linux 1311\"";

/// Prints rate and instructions, or what is missing.
pub fn bench() -> Result<()> {
    match lab() {
        Err(missing) => println!("bench name=vhost-user skipped=\"{missing}\""),
        Ok(lab) => {
            let _pages = HugePages::reserve()?;
            for (name, packed) in [("vhost-user", "off"), ("vhost-user-packed", "on")] {
                let result = run(&lab, packed)?;
                print(name, &result)?;
            }
        }
    }
    Ok(())
}

/// The lab's folder, if it is there.
pub fn folder() -> Result<PathBuf, String> {
    let folder = env::var_os("LAB").map_or_else(|| image::repository().join("../shared/lab"), PathBuf::from);
    match folder.join("bench.py").is_file() {
        true => Ok(folder),
        false => Err(format!("no forwarding bench at {}, set LAB to its folder", folder.display())),
    }
}

/// The lab's folder, if it and all that it needs are there; else what is missing.
fn lab() -> Result<PathBuf, String> {
    let folder = folder()?;
    if !succeeds(Command::new("pkg-config").args(["--exists", "libdpdk"])) {
        return Err("no DPDK: apt-get install dpdk dpdk-dev pkg-config gcc".to_owned());
    }
    if !succeeds(Command::new("python3").arg("--version")) {
        return Err("no Python: apt-get install python3".to_owned());
    }
    if huge_pages().unwrap_or(0) < HUGE_PAGES && !geteuid().is_root() {
        return Err(format!("too few huge pages: as root, echo {HUGE_PAGES} > {HUGE_PAGES_FILE}"));
    }
    match available_parallelism() {
        Ok(cores) if cores.get() >= 2 => Ok(folder),
        _ => Err("one core: the generator and the guest need one each".to_owned()),
    }
}

/// Measures the image with packed queues `on` or `off`.
fn run(lab: &Path, packed: &str) -> Result<Value> {
    let bin = image::repository().join("target/lab");
    let built = Command::new(lab.join("build.sh")).arg(&bin).stdout(Stdio::null()).status();
    ensure!(built.context("cannot run the lab's build.sh")?.success(), "the lab's build.sh failed");
    let mut command = Command::new("python3");
    command.arg(lab.join("bench.py")).arg("--bin").arg(&bin).arg("--kernel").arg(image::appliance()?);
    command.arg("--append").arg(format!("app=bridge wait=spin packed={packed}"));
    command.arg("--nicopt").arg(format!("packed={packed}")).args(["--machine", "q35"]);
    command.arg("--size").arg((FRAME + 4).to_string());
    command.arg("--window").arg(WINDOW_S.to_string()).arg("--windows").arg(WINDOWS.to_string());
    let output = command.stdin(Stdio::null()).output().context("cannot run the lab's bench.py")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the lab's bench.py: {}", errors.trim());
    serde_json::from_slice(&output.stdout)
        .context("the lab's bench.py printed something else than its result")
}

fn print(name: &str, result: &Value) -> Result<()> {
    let rate = result.pointer("/pps 0->1/median").and_then(Value::as_u64);
    let rate = rate.with_context(|| format!("no rate in {result}"))?;
    let packets = rate * WINDOWS * WINDOW_S;
    let reordered = result.pointer("/reordered").and_then(Value::as_u64);
    let reordered = reordered.with_context(|| format!("no count of reordered packets in {result}"))?;
    let instructions = result.pointer("/instructions_per_packet").and_then(Value::as_f64);
    let instructions = instructions.with_context(|| format!("no instructions in {result}"))?;
    let first = result.pointer("/first_packet_s").and_then(Value::as_f64).unwrap_or(f64::NAN);
    let note = format!(
        "instructions_per_packet={instructions:.1} reordered={reordered} first_packet_s={first} {PEERS}"
    );
    print_rate(name, FRAME, packets, Duration::from_secs(WINDOWS * WINDOW_S), &note);
    Ok(())
}

/// Huge pages for as long as it lives; then there are as many as before.
struct HugePages {
    before: u64,
}

impl HugePages {
    fn reserve() -> Result<Self> {
        let before = huge_pages()?;
        if before < HUGE_PAGES {
            fs::write(HUGE_PAGES_FILE, HUGE_PAGES.to_string()).context("cannot reserve huge pages")?;
        }
        Ok(Self { before })
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        if self.before < HUGE_PAGES {
            // It could be raised, so it can be lowered.
            let _ = fs::write(HUGE_PAGES_FILE, self.before.to_string());
        }
    }
}

fn huge_pages() -> Result<u64> {
    let text = fs::read_to_string(HUGE_PAGES_FILE).context("this kernel has no huge pages")?;
    text.trim().parse().with_context(|| format!("{HUGE_PAGES_FILE} says {text:?}"))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
