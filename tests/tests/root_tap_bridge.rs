//! Objective: two real hosts talk across the host program that bridges TAP interfaces through the generic adapter.
//! Needs root.
//!
//! 1. Make two network namespaces, each with a TAP device; start the bridge on both devices, and move each into its
//!    namespace, where it gets an address of one network. Nothing leaves the namespaces.
//! 2. `ping` from one to the other, small and full frames: no packet is lost.
//! 3. With nothing to do the bridge sleeps: in half a second it uses next to no processor time.
//! 4. Stop it, by a signal (with traffic, and without) or by the end of its input: it ends with status 0, its counters
//!    say what was moved, and all its buffers are back in their place.
//! 5. Delete one of the devices instead: it ends with status 1, says which is gone, and its buffers are back too.
//! 6. Start it with a device twice, with one that it has no right to, with one that is no TAP, and with too few: it
//!    ends at once, with a status and a word that say why.
//!
//! The namespaces are removed, however this ends.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Context, Result, anyhow, ensure};
use millrace_tests::console::{Console, Mark};
use millrace_tests::guest::PATIENCE;
use millrace_tests::image::repository;
use millrace_tests::namespace::{Namespace, need_root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LEFT: &str = "10.77.1.1";
const RIGHT: &str = "10.77.1.2";

#[test]
fn root_ping_across_two_taps_until_a_signal() -> Result<()> {
    let (bridge, left, right) = two_hosts()?;
    for size in ["56", "1472"] {
        let output = left.run("ping", &["-c", "100", "-i", "0.01", "-W", "5", "-s", size, RIGHT])?;
        ensure!(output.contains(" 0% packet loss"), "packets were lost:\n{output}");
    }
    bridge.is_asleep()?;
    kill(bridge.pid()?, Signal::SIGTERM)?;
    bridge.finish(&left, &right)
}

#[test]
fn root_ping_across_two_taps_until_the_input_ends() -> Result<()> {
    let (mut bridge, left, right) = two_hosts()?;
    let output = right.run("ping", &["-c", "200", "-i", "0.002", "-W", "5", LEFT])?;
    ensure!(output.contains(" 0% packet loss"), "packets were lost:\n{output}");
    drop(bridge.input.take());
    bridge.finish(&left, &right)
}

#[test]
fn root_a_signal_ends_a_busy_bridge() -> Result<()> {
    let (bridge, left, right) = two_hosts()?;
    let pid = bridge.pid()?;
    left.run("ping", &["-c", "200", "-i", "0.002", "-W", "5", RIGHT])?;
    // More than the bridge can take, for no receiver.
    left.run("ip", &["neigh", "add", "10.77.1.3", "lladdr", "02:00:00:00:00:03", "dev", left.name()])?;
    let flood =
        "for i in 1 2 3 4; do timeout 2 dd if=/dev/zero bs=64 status=none >/dev/udp/10.77.1.3/9 & done; wait";
    thread::scope(|scope| {
        let flood = scope.spawn(|| left.run("bash", &["-c", flood]));
        thread::sleep(Duration::from_millis(500));
        kill(pid, Signal::SIGINT)?;
        bridge.finish(&left, &right)?;
        ensure!(!flood.is_finished(), "the bridge went on as long as there was traffic");
        flood.join().map_err(|_| anyhow!("the flood failed"))??;
        Ok(())
    })
}

#[test]
fn root_a_device_that_is_deleted_ends_the_bridge_with_an_error() -> Result<()> {
    let (bridge, left, right) = two_hosts()?;
    left.run("ping", &["-c", "1", "-W", "5", RIGHT])?;
    // Devices that are up would chat, and that would wake the bridge.
    for host in [&left, &right] {
        host.run("ip", &["link", "set", "dev", host.name(), "down"])?;
    }
    bridge.is_asleep()?;
    right.run("ip", &["link", "delete", "dev", right.name()])?;
    let (code, text, errors) = bridge.end()?;
    ensure!(code == Some(1), "{code:?}\n{text}{errors}");
    let expected = format!("tap_bridge: {}: rx0: ", right.name());
    ensure!(errors.starts_with(&expected), "no {expected:?}:\n{errors}");
    ensure!(text.contains("held=0 lost=0"), "buffers are missing:\n{text}");
    Ok(())
}

#[test]
fn root_a_bridge_that_cannot_start_says_why() -> Result<()> {
    need_root()?;
    let program = program()?;
    let host = Namespace::new()?;
    let (tap, missing) = (host.name(), format!("{}x", host.name()));
    let no_rights = &["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"][..];
    for (wrapper, taps, code, words) in [
        (&[][..], &[tap][..], 2, "usage: tap_bridge TAP TAP"),
        (&[], &[tap, tap], 1, "a program has it already"),
        (&[], &[tap, "lo"], 1, "tap_bridge: lo: there is an interface of this name, and it is no TAP"),
        (&[], &[tap, "a^"], 1, "\"a^\" cannot be the name of an interface"),
        (no_rights, &[&missing, tap], 1, "it takes root"),
    ] {
        let mut words_of = wrapper.iter().map(OsStr::new).chain([program.as_os_str()]);
        let mut command = Command::new(words_of.next().context("no program")?);
        let output = command.args(words_of).args(taps).stdin(Stdio::null()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "{taps:?}: {}: {errors}", output.status);
        ensure!(errors.contains(words), "{taps:?}: no {words:?} in {errors:?}");
    }
    Ok(())
}

/// The bridge between two namespaces.
fn two_hosts() -> Result<(Bridge, Namespace, Namespace)> {
    need_root()?;
    let (left, right) = (Namespace::new()?, Namespace::new()?);
    let bridge = Bridge::start(&left, &right)?;
    left.take_tap(LEFT)?;
    right.take_tap(RIGHT)?;
    Ok((bridge, left, right))
}

/// The example `tap_bridge`, running. It ends when dropped.
#[derive(Debug)]
struct Bridge {
    child: Child,
    console: Console,
    errors: Console,
    input: Option<ChildStdin>,
}

impl Bridge {
    /// Starts it, and waits until it has both devices open.
    fn start(left: &Namespace, right: &Namespace) -> Result<Self> {
        let program = program()?;
        let mut command = Command::new(&program);
        command.args([left.name(), right.name()]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let console = Console::read_from(child.stdout.take().context("the bridge has no output")?);
        let errors = Console::read_from(child.stderr.take().context("the bridge has no errors")?);
        let input = child.stdin.take();
        let bridge = Self { child, console, errors, input };
        bridge.console.wait_for(Mark::default(), PATIENCE, "start", |line| line.starts_with("bridging "))?;
        Ok(bridge)
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    /// Processor time used so far, in hundredths of a second: the fields `utime` and `stime` of proc(5).
    fn ticks(&self) -> Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(times.collect::<Result<Vec<_>, _>>()?.iter().sum())
    }

    /// Whether it uses next to no processor time with nothing to do.
    fn is_asleep(&self) -> Result<()> {
        let used = self.ticks()?;
        thread::sleep(Duration::from_millis(500));
        let used = self.ticks()? - used;
        ensure!(used <= 5, "an idle bridge used {used} of the 50 ticks in half a second");
        Ok(())
    }

    /// Waits until it has ended: its status, and what it has said and complained of.
    fn end(mut self) -> Result<(Option<i32>, String, String)> {
        self.console.wait_closed("tap_bridge", PATIENCE)?;
        self.errors.wait_closed("tap_bridge", PATIENCE)?;
        let status = self.child.wait()?;
        Ok((status.code(), self.console.text(), self.errors.text()))
    }

    /// Waits until it has ended, and looks at what it says.
    fn finish(self, left: &Namespace, right: &Namespace) -> Result<()> {
        let (code, text, errors) = self.end()?;
        ensure!(code == Some(0) && errors.is_empty(), "{code:?}\n{text}{errors}");
        ensure!(text.contains("held=0 lost=0"), "buffers are missing:\n{text}");
        for name in [left.name(), right.name()] {
            for ring in ["rx0", "tx0"] {
                let packets = value(&text, &format!("{name} {ring} "), "packets")?;
                ensure!(packets >= 200, "{name} {ring} moved {packets} frames only:\n{text}");
            }
            for cause in ["no_room", "too_long", "damaged"] {
                let count = value(&text, &format!("{name} generic "), cause)?;
                ensure!(count == 0, "{name}: {cause}={count}\n{text}");
            }
        }
        Ok(())
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number that stands behind `key=` in the line that begins with `start`.
fn value(text: &str, start: &str, key: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    let line = line.with_context(|| format!("no line {start:?}:\n{text}"))?;
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    Ok(word.with_context(|| format!("no {key} in {line:?}"))?.parse()?)
}

/// The program: `MILLRACE_TAP_BRIDGE`, or what a plain `cargo test` leaves in `target/`.
fn program() -> Result<PathBuf> {
    let built = || repository().join("target/debug/examples/tap_bridge");
    let path = env::var_os("MILLRACE_TAP_BRIDGE").map_or_else(built, PathBuf::from);
    ensure!(
        path.is_file(),
        "there is no {}: `cargo build -p nm-core --example tap_bridge` builds it, or name another with \
         MILLRACE_TAP_BRIDGE",
        path.display()
    );
    Ok(path)
}
