//! A QEMU that runs: what it says, what it is told, and how it ends.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::console::{Console, Mark};
use crate::counters::{Counters, stats_message};
use crate::permit::Permit;

/// How long a wait for one thing may last. Generous: a loaded machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at threads that are about to stop: nothing tells when they have.
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// QEMU's status when the image ends with code 0x10: done.
pub const STATUS_DONE: i32 = 33;
/// QEMU's status when the image ends with code 0x11: the application or its configuration failed.
pub const STATUS_REFUSED: i32 = 35;
/// QEMU's status when the image ends with code 0x12: a fault of the kernel.
pub const STATUS_FAULT: i32 = 37;

/// A QEMU that was started. Dropping it ends it, and prints its console
/// if it was not seen to end, or a test has failed, and no error has shown the console.
#[derive(Debug)]
pub struct Guest {
    child: Arc<Mutex<Child>>,
    console: Console,
    complaints: Console,
    input: Option<ChildStdin>,
    started: Instant,
    limit: Duration,
    is_over: bool,
    /// Hanging up calls the watchdog off.
    _watchdog: mpsc::Sender<()>,
    /// Given back as soon as QEMU was seen to end.
    permit: Option<Permit>,
}

impl Guest {
    /// Runs `command` under `permit`, for no longer than `limit`.
    pub(crate) fn start(mut command: Command, limit: Duration, permit: Permit) -> Result<Self> {
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start qemu-system-x86_64")?;
        let console = Console::read_from(child.stdout.take().context("QEMU has no output")?);
        let complaints = Console::read_from(child.stderr.take().context("QEMU has no error output")?);
        let input = child.stdin.take();
        let child = Arc::new(Mutex::new(child));
        let watchdog = watch(Arc::clone(&child), limit);
        let is_over = false;
        Ok(Self {
            child,
            console,
            complaints,
            input,
            started,
            limit,
            is_over,
            _watchdog: watchdog,
            permit: Some(permit),
        })
    }

    /// What it says.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Processor time that QEMU has taken so far, of all its threads, in the kernel's ticks.
    pub fn processor_ticks(&self) -> Result<u64> {
        let path = format!("/proc/{}/stat", self.lock().id());
        let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        processor_ticks(&stat).with_context(|| format!("{path} makes no sense: {stat}"))
    }

    /// The counters as they stand: `s` on the console.
    pub fn counters(&mut self) -> Result<Counters> {
        let mark = self.console().mark();
        self.type_in("s")?;
        let is_last = |line: &str| stats_message(line).is_some_and(|text| text.starts_with("buffers"));
        self.wait_line(mark, "counters", is_last)?;
        Ok(Counters::parse(self.console().lines_after(mark).iter().map(String::as_str)))
    }

    /// Fails if the image has logged an error or a warning.
    pub fn check_log(&self) -> Result<()> {
        let lines = self.console().lines_after(Mark::default());
        match lines.iter().find(|line| line.contains(" ERROR ") || line.contains(" WARN ")) {
            Some(line) => bail!("the image logged {line:?}{}", self.console.quoted()),
            None => Ok(()),
        }
    }

    /// Stops it with `q`: it ends as done, and every buffer is back in its place. Returns the last counters.
    pub fn stop(&mut self) -> Result<Counters> {
        let mark = self.console().mark();
        self.type_in("q")?;
        self.wait_status(STATUS_DONE)?;
        let counters = Counters::parse(self.console().lines_after(mark).iter().map(String::as_str));
        let buffers = |name| counters.get("buffers", name);
        let (total, free, held, lost) =
            (buffers("total")?, buffers("free")?, buffers("held")?, buffers("lost")?);
        ensure!(
            total > 0 && free == total && held == 0 && lost == 0,
            "not every buffer is back: total={total} free={free} held={held} lost={lost}"
        );
        Ok(counters)
    }

    /// Suspends the QEMU process, as a host without processor time for it does: the time stamp counter runs on. All its threads have
    /// stopped when this returns.
    pub fn suspend(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let tasks = format!("/proc/{}/task", self.lock().id());
        let deadline = Instant::now() + PATIENCE;
        while !are_stopped(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            ensure!(Instant::now() < deadline, "QEMU's threads do not stop");
            thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Lets a suspended QEMU run again.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        ensure!(!self.is_over, "QEMU has ended, and its process number may be another process's");
        let id = i32::try_from(self.lock().id()).context("QEMU's process number is too large")?;
        kill(Pid::from_raw(id), signal).with_context(|| format!("cannot send {signal} to QEMU"))
    }

    /// Types `text` on its console.
    pub fn type_in(&mut self, text: &str) -> Result<()> {
        let input = self.input.as_mut().context("the console takes no input")?;
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).context("cannot type on the console")
    }

    /// Waits for the first line after `mark` that contains `part`.
    pub fn wait_for(&self, mark: Mark, part: &str) -> Result<(String, Mark)> {
        self.wait_line(mark, &format!("line with {part:?}"), |line| line.contains(part))
    }

    /// Waits for the first line after `mark` that `matches`; `what` says in the error what that is.
    pub fn wait_line(
        &self,
        mark: Mark,
        what: &str,
        matches: impl Fn(&str) -> bool,
    ) -> Result<(String, Mark)> {
        self.wait_line_within(PATIENCE, mark, what, matches)
    }

    /// [`wait_line`](Self::wait_line), for no longer than `limit`.
    pub fn wait_line_within(
        &self,
        limit: Duration,
        mark: Mark,
        what: &str,
        matches: impl Fn(&str) -> bool,
    ) -> Result<(String, Mark)> {
        let found = self.console.wait_for(mark, limit, what, matches);
        found.map_err(|error| anyhow!("{error}{}", self.complaint()))
    }

    /// Waits until it has ended, which must be with `status`; returns the console.
    pub fn wait_status(&mut self, status: i32) -> Result<String> {
        let ended = self.wait_end()?;
        let text = self.console.text();
        if ended.code() != Some(status) {
            bail!("QEMU ended with {ended} instead of {status}{}{}", self.complaint(), self.console.quoted());
        }
        Ok(text)
    }

    /// Waits until it has ended, however that was.
    fn wait_end(&mut self) -> Result<ExitStatus> {
        let closed = self.console.wait_closed("QEMU", PATIENCE.min(self.limit));
        closed.map_err(|error| anyhow!("{error}{}", self.complaint()))?;
        let status = self.lock().wait().context("QEMU's status is unknown")?;
        self.is_over = true;
        self.permit = None;
        Ok(status)
    }

    /// What QEMU itself had to say, which is nothing when all is well.
    fn complaint(&self) -> String {
        let text = self.complaints.text();
        if text.is_empty() { String::new() } else { format!("; QEMU says: {}", text.trim_end()) }
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.is_over {
            let mut child = self.lock();
            // Both fail only for a process that is gone, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
        if (!self.is_over || thread::panicking()) && !self.console.is_quoted() {
            let seconds = self.started.elapsed().as_secs_f32();
            eprintln!("QEMU ran for {seconds:.1} s{}{}", self.console.quoted(), self.complaint());
        }
    }
}

/// utime and stime of a process, from its line in `/proc` (proc(5)). The name in front of them may hold anything.
fn processor_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse);
    let (user, system): (u64, u64) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(user + system)
}

/// Whether all threads are stopped that this folder of `/proc` has: `T` behind the name (proc(5)).
fn are_stopped(tasks: &str) -> std::io::Result<bool> {
    for task in std::fs::read_dir(tasks)? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        if !stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Kills `child` when `limit` has passed and the returned end was not dropped.
fn watch(child: Arc<Mutex<Child>>, limit: Duration) -> mpsc::Sender<()> {
    let (alive, called_off) = mpsc::channel::<()>();
    thread::spawn(move || {
        if called_off.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("QEMU is ended: it ran for {} s", limit.as_secs());
            // Fails only for a process that is gone.
            let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
        }
    });
    alive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_whatever_its_name() {
        let stat = "81 (a) b (c) S 1 81 81 0 -1 4194560 1500 0 3 0 250 75 0 0 20 0 4 0 98000 1 2 3";
        assert_eq!(processor_ticks(stat), Some(325));
        assert_eq!(processor_ticks("81 (qemu) S 1 81"), None);
        let guest = Guest::start(sleeping(), Duration::from_secs(5), Permit::one().unwrap()).unwrap();
        assert!(guest.processor_ticks().is_ok());
    }

    fn sleeping() -> Command {
        let mut command = Command::new("sleep");
        command.arg("5").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        command
    }
}
