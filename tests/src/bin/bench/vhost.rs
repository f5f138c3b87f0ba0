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

use crate::results::{print_rate, spread};

/// Frame length without its checksum; the lab counts with it.
const FRAME: usize = 60;
/// Rounds, each of which measures all rows in turn, for so many seconds.
const ROUNDS: usize = 3;
const SECONDS: u64 = 5;
/// What is measured: the name of the row, and whether queues are packed. The first is what the other is compared with.
const ROWS: [(&str, &str); 2] = [("vhost-user", "off"), ("vhost-user-packed", "on")];
/// Pages of 2 MiB that generator and guest live in.
const HUGE_PAGES: u64 = 512;
const HUGE_PAGES_FILE: &str = "/proc/sys/vm/nr_hugepages";

/// What others took for one packet, by the lab's README.
const PEERS: &str =
    "compare=\"DPDK testpmd 477, with vectorised receive 339; netmap's bridge in Linux 1311\"";

/// What one round of a row came to.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// Packets a second.
    rate: f64,
    /// Guest instructions a packet.
    instructions: f64,
    reordered: f64,
    /// From QEMU's start to the first packet that is through.
    first_s: f64,
}

/// Prints rates and instructions, or what is missing.
pub fn bench() -> Result<()> {
    match lab() {
        Err(missing) => println!("bench name=vhost-user skipped=\"{missing}\""),
        Ok(lab) => {
            let _pages = HugePages::reserve()?;
            let mut measured = [const { Vec::new() }; ROWS.len()];
            for _ in 0..ROUNDS {
                for ((name, packed), rounds) in ROWS.iter().zip(&mut measured) {
                    rounds.push(run(&lab, packed).with_context(|| (*name).to_owned())?);
                }
            }
            let [first, ..] = &measured;
            for ((name, _), rounds) in ROWS.iter().zip(&measured) {
                print(name, rounds, first);
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
fn run(lab: &Path, packed: &str) -> Result<Measured> {
    let bin = image::repository().join("target/lab");
    let built = Command::new(lab.join("build.sh")).arg(&bin).stdout(Stdio::null()).status();
    ensure!(built.context("cannot run the lab's build.sh")?.success(), "the lab's build.sh failed");
    let mut command = Command::new("python3");
    command.arg(lab.join("bench.py")).arg("--bin").arg(&bin).arg("--kernel").arg(image::appliance()?);
    command.arg("--append").arg(format!("app=bridge wait=spin packed={packed}"));
    command.arg("--nicopt").arg(format!("packed={packed}")).args(["--machine", "q35"]);
    command.arg("--size").arg((FRAME + 4).to_string());
    command.arg("--window").arg(SECONDS.to_string()).args(["--windows", "1"]);
    let output = command.stdin(Stdio::null()).output().context("cannot run the lab's bench.py")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the lab's bench.py: {}", errors.trim());
    let result = serde_json::from_slice(&output.stdout);
    Measured::read(&result.context("the lab's bench.py printed something else than its result")?)
}

impl Measured {
    fn read(result: &Value) -> Result<Self> {
        let number = |key: &str| {
            let number = result.pointer(key).and_then(Value::as_f64);
            number.with_context(|| format!("no number at {key} in {result}"))
        };
        Ok(Self {
            rate: number("/pps 0->1/median")?,
            instructions: number("/instructions_per_packet")?,
            reordered: number("/reordered")?,
            first_s: number("/first_packet_s")?,
        })
    }
}

/// Of all rounds the middle, beside the rounds of the row that it is compared with.
fn print(name: &str, rounds: &[Measured], against: &[Measured]) {
    let middle = |value: fn(&Measured) -> f64| spread(rounds.iter().map(value).collect()).1;
    let ratios = rounds.iter().zip(against).map(|(this, other)| this.rate / other.rate);
    let (least, ratio, most) = spread(ratios.collect());
    let reordered: f64 = rounds.iter().map(|round| round.reordered).sum();
    let (instructions, first_s) = (middle(|round| round.instructions), middle(|round| round.first_s));
    let packets = (middle(|round| round.rate) * SECONDS as f64) as u64;
    let note = format!(
        "instructions_per_packet={instructions:.1} reordered={reordered} first_packet_s={first_s:.3} \
         rate_to_{}={ratio:.2} min={least:.2} max={most:.2} {PEERS}",
        ROWS[0].0
    );
    print_rate(name, FRAME, packets, Duration::from_secs(SECONDS), &note);
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
