//! DPDK's testpmd at the far end of a guest's vhost-user cards. It works on their rings in the guest's memory, each queue by its
//! number, and counts what passes each.
//!
//! It needs neither root nor huge pages: its own memory is ordinary, and the guest's comes from QEMU as a file. Two that run at
//! once share nothing, as it is told to keep no state in files.

use std::ffi::OsString;
use std::io::{PipeReader, Write as _, pipe};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{fs, thread};

use anyhow::{Context, Result, ensure};

use crate::console::{Console, Mark};
use crate::guest::PATIENCE;
use crate::scratch::Scratch;

/// Ports, and so cards of the guest.
pub const PORTS: usize = 2;

/// A testpmd that runs. Dropping it ends it, and prints what it said as [`Guest`](crate::guest::Guest) does.
#[derive(Debug)]
pub struct Testpmd {
    child: Child,
    console: Console,
    input: ChildStdin,
    pairs: usize,
    is_over: bool,
    /// Where its sockets are.
    folder: Scratch,
}

/// What testpmd does with its queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It sends to each queue of port 0 as much as there is room for, and leaves port 1 alone.
    GenerateAtFirst,
    /// It sends to each as much as there is room for, and takes what comes from each.
    Generate,
    /// It takes what comes.
    Receive,
}

impl Mode {
    /// testpmd's name, and the ports that it is for.
    fn parts(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Mode::GenerateAtFirst => ("flowgen", &["0"]),
            Mode::Generate => ("flowgen", &["0", "1"]),
            Mode::Receive => ("rxonly", &["0", "1"]),
        }
    }
}

/// What a port's queue pair has passed, seen from testpmd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// From testpmd to the guest.
    pub sent: Passed,
    /// From the guest to testpmd.
    pub received: Passed,
}

/// What passed a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Frames.
    pub packets: u64,
    /// Bytes of these frames.
    pub bytes: u64,
}

impl Testpmd {
    /// Starts it with so many queue pairs a port, and waits until both ports listen for a card.
    pub fn start(pairs: usize) -> Result<Self> {
        let folder = Scratch::new()?;
        let (output, mut child) = spawn(&folder, pairs)?;
        let input = child.stdin.take().context("testpmd has no input")?;
        let console = Console::read_from(output);
        let testpmd = Self { child, console, input, pairs, is_over: false, folder };
        testpmd.wait_line(Mark::default(), "ports", |line| line.starts_with("Checking link"))?;
        Ok(testpmd)
    }

    /// Where the port with this number waits for a card.
    pub fn socket(&self, port: usize) -> PathBuf {
        socket(&self.folder, port)
    }

    /// Has it work on all queues of its ports in this mode, until [`halt`](Self::halt).
    pub fn forward(&mut self, mode: Mode) -> Result<()> {
        let mark = self.console.mark();
        let (name, ports) = mode.parts();
        self.type_in(&format!("set fwd {name}"))?;
        self.type_in(&format!("set portlist {}", ports.join(",")))?;
        self.type_in("start")?;
        let sign = format!("{name} packet forwarding - ports={} ", ports.len());
        let streams = format!("streams={} ", ports.len() * self.pairs);
        self.wait_line(mark, &format!("start of {streams}"), |line| {
            line.starts_with(&sign) && line.contains(&streams)
        })?;
        Ok(())
    }

    /// Has it leave its queues alone.
    pub fn halt(&mut self) -> Result<()> {
        let mark = self.console.mark();
        self.type_in("stop")?;
        self.wait_line(mark, "end of forwarding", |line| line == "Done.").map(drop)
    }

    /// What has passed the queue pairs of the port with this number, which has a card.
    pub fn passed(&mut self, port: usize) -> Result<Vec<Pair>> {
        let mark = self.console.mark();
        self.type_in(&format!("show port xstats {port}"))?;
        let head = format!("extended statistics for port {port}");
        let (_, mark) = self.wait_line(mark, &head, |line| line.contains(&head))?;
        let passed = |queue: String| -> Result<Passed> {
            let packets = self.counter(mark, &format!("{queue}_packets"))?;
            Ok(Passed { packets, bytes: self.counter(mark, &format!("{queue}_bytes"))? })
        };
        let pair = |pair| {
            Ok(Pair { sent: passed(format!("tx_q{pair}"))?, received: passed(format!("rx_q{pair}"))? })
        };
        (0..self.pairs).map(pair).collect()
    }

    /// Ends it, which it must do without an error.
    pub fn stop(mut self) -> Result<()> {
        self.type_in("quit")?;
        self.console.wait_closed("testpmd", PATIENCE)?;
        let status = self.child.wait().context("testpmd's status is unknown")?;
        self.is_over = true;
        ensure!(status.success(), "testpmd ended with {status}{}", self.console.quoted());
        Ok(())
    }

    fn counter(&self, mark: Mark, name: &str) -> Result<u64> {
        let (line, _) = self.wait_line(mark, name, |line| value_of(name, line).is_some())?;
        let value = value_of(name, &line).unwrap_or_default();
        value.parse().with_context(|| format!("no number in testpmd's {line:?}"))
    }

    fn type_in(&mut self, command: &str) -> Result<()> {
        writeln!(self.input, "{command}")
            .with_context(|| format!("testpmd does not listen to {command:?}{}", self.console.quoted()))
    }

    fn wait_line(&self, mark: Mark, what: &str, matches: impl Fn(&str) -> bool) -> Result<(String, Mark)> {
        let found = self.console.wait_for(mark, PATIENCE, what, matches);
        found.context("dpdk-testpmd, of Debian's package dpdk-dev, does not do what it should")
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        if !self.is_over {
            // Both fail only for a process that is gone, which is what is wanted.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if (!self.is_over || thread::panicking()) && !self.console.is_quoted() {
            eprintln!("testpmd ran{}", self.console.quoted());
        }
    }
}

fn socket(folder: &Scratch, port: usize) -> PathBuf {
    folder.path().join(format!("port{port}"))
}

/// Runs it; the pipe has its output and its complaints, in the order in which it made them.
fn spawn(folder: &Scratch, pairs: usize) -> Result<(PipeReader, Child)> {
    let (output, writer) = pipe().context("no pipe for testpmd's output")?;
    // util-linux's setpriv becomes stdbuf, which becomes testpmd, which the kernel then kills with the thread that started it.
    // Without stdbuf, answers would stay in testpmd's buffer until that is full.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "stdbuf", "--output=L", "dpdk-testpmd"]);
    command.args([
        "--no-huge",
        "-m",
        "64",
        "--no-pci",
        "--no-shconf",
        "--no-telemetry",
        "--file-prefix=millrace",
    ]);
    command.arg("--log-level=lib.vhost.config:warning").arg(format!("--lcores=(0,1)@({})", processors()?));
    for port in 0..PORTS {
        let mut device = OsString::from(format!("--vdev=net_vhost{port},queues={pairs},iface="));
        device.push(socket(folder, port));
        command.arg(device);
    }
    command.args(["--", "--interactive", "--no-mlockall", "--nb-cores=1", "--total-num-mbufs=2048"]);
    command.arg(format!("--rxq={pairs}")).arg(format!("--txq={pairs}"));
    // Where it makes a folder of its own. As root it makes an empty one in /var/run/dpdk, which stays.
    command.env("XDG_RUNTIME_DIR", folder.path());
    command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn().context("cannot start dpdk-testpmd")?;
    Ok((output, child))
}

/// The processors that this thread may use, such as `0-1,4`. testpmd's two threads share them, as it would else have one
/// processor a thread, and none for a second thread where there is only one.
fn processors() -> Result<String> {
    let status = fs::read_to_string("/proc/thread-self/status").context("cannot read a thread's status")?;
    let list = status.lines().find_map(|line| value_of("Cpus_allowed_list", line));
    list.map(str::to_owned).context("a thread's status does not say which processors it may use")
}

/// `12` of `name: 12`.
fn value_of<'a>(name: &str, line: &'a str) -> Option<&'a str> {
    line.strip_prefix(name)?.strip_prefix(':').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_that_of_the_whole_name() {
        assert_eq!(value_of("rx_q0_packets", "rx_q0_packets: 12"), Some("12"));
        assert_eq!(value_of("Cpus_allowed_list", "Cpus_allowed_list:\t0-1,4"), Some("0-1,4"));
        assert_eq!(value_of("rx_q0", "rx_q0_packets: 12"), None);
        assert_eq!(value_of("q0_packets", "rx_q0_packets: 12"), None);
    }
}
