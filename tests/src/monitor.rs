//! QEMU's monitor: what happens to the machine from outside, by the QEMU Machine Protocol (QMP).
//!
//! A line of JSON each way: a greeting, then for each command one answer, `return` or `error`. Events come in between.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::guest::PATIENCE;
use crate::options::netdev;
use crate::scratch::Scratch;

/// Between two looks: nothing tells that a socket has come to be.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where a QEMU that is given this with [`Qemu::monitor`](crate::Qemu::monitor) listens.
#[derive(Debug)]
pub struct Monitor {
    folder: Scratch,
}

/// A conversation with the QEMU that runs.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<UnixStream>,
}

/// What becomes of a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// It is plugged in.
    Plugged,
    /// It is pulled: the card sees no carrier, and frames vanish both ways.
    Pulled,
}

impl Monitor {
    /// A place to listen at.
    pub fn new() -> Result<Self> {
        let folder = Scratch::new()?;
        Ok(Self { folder })
    }

    /// Connects to QEMU, which listens soon after it was started.
    pub fn connect(&self) -> Result<Session> {
        Session::begin(connect_soon(&self.path()).context("QEMU's monitor does not listen")?)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("qmp")
    }
}

/// Connects to the socket at `path` as soon as QEMU, which was started, listens there.
pub(crate) fn connect_soon(path: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => thread::sleep(LOOK_AGAIN),
        }
    }
}

impl Session {
    fn begin(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut session = Self { stream: BufReader::new(stream) };
        session.wait_for("QMP")?;
        session.execute("qmp_capabilities", json!({}))?;
        Ok(session)
    }

    /// Plugs in or pulls the cable of the card with this number.
    pub fn cable(&mut self, card: usize, cable: Cable) -> Result<()> {
        let is_up = cable == Cable::Plugged;
        self.execute("set_link", json!({ "name": netdev(card), "up": is_up })).map(drop)
    }

    /// Moves the machine to the QEMU that was started with `-incoming unix:SOCKET`: it runs there when this returns, or
    /// soon after, and no longer here.
    pub fn migrate(&mut self, socket: &Path) -> Result<()> {
        self.execute("migrate", json!({ "uri": format!("unix:{}", socket.display()) }))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.execute("query-migrate", json!({}))?;
            match answer.get("status").and_then(Value::as_str) {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => bail!("the migration failed: {answer}"),
                _ if Instant::now() > deadline => bail!("the migration does not end: {answer}"),
                _ => thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// Has QEMU do `command`, which starts a job, and waits until the job is done.
    pub fn run_job(&mut self, command: &str, mut arguments: Value) -> Result<()> {
        const JOB: &str = "job";
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert("job-id".to_owned(), json!(JOB));
        }
        self.execute(command, arguments)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let jobs = self.execute("query-jobs", json!({}))?;
            let job = jobs.as_array().and_then(|jobs| jobs.iter().find(|job| job["id"] == JOB));
            let job = job.with_context(|| format!("the job of {command} is gone: {jobs}"))?;
            if let Some(error) = job.get("error") {
                bail!("{command} failed: {error}");
            }
            if job["status"] == "concluded" {
                return self.execute("job-dismiss", json!({ "id": JOB })).map(drop);
            }
            ensure!(Instant::now() < deadline, "{command} does not end: {job}");
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Has QEMU do `command`, and returns what it answers.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{line}").context("cannot speak to QEMU's monitor")?;
        self.wait_for("return").with_context(|| format!("QEMU does not do {line}"))
    }

    /// Waits for the next event of this name, and returns its data. Events that came in front of an answer are gone.
    pub fn wait_event(&mut self, name: &str) -> Result<Value> {
        loop {
            let mut said = self.next().with_context(|| format!("while waiting for the event {name}"))?;
            if said.get("event").is_some_and(|event| event == name) {
                return Ok(said.get_mut("data").map(Value::take).unwrap_or_default());
            }
        }
    }

    /// Waits until every processor of the machine halts with interrupts held back: it will never do anything again.
    pub fn wait_halted(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let arguments = json!({ "command-line": "info registers -a" });
            let answer = self.execute("human-monitor-command", arguments)?;
            let registers = answer.as_str().context("QEMU shows no registers")?;
            if are_halted(registers).with_context(|| format!("QEMU shows {registers:?}"))? {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the machine does not halt: {registers}");
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The value of `key` in the next line that has one. Events are skipped; an error is one.
    fn wait_for(&mut self, key: &str) -> Result<Value> {
        loop {
            let mut said = self.next()?;
            if let Some(error) = said.get("error") {
                bail!("{error}");
            }
            if let Some(value) = said.get_mut(key) {
                return Ok(value.take());
            }
        }
    }

    /// The next line, whatever it is.
    fn next(&mut self) -> Result<Value> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).context("QEMU's monitor says nothing")?;
        ensure!(length > 0, "QEMU's monitor hung up");
        serde_json::from_str(&line).with_context(|| format!("QEMU says {line:?}"))
    }
}

/// Whether all processors halt and take no interrupts, by what QEMU's monitor shows of their registers: for each, the flags
/// as `RFL=` or `EFL=` in hexadecimal, and `HLT=1`.
fn are_halted(registers: &str) -> Option<bool> {
    const TAKES_INTERRUPTS: u64 = 1 << 9;
    let mut lines = registers.lines().filter(|line| line.contains("FL=")).peekable();
    lines.peek()?;
    let mut are_halted = true;
    for line in lines {
        let value = |name| line.split_once(name)?.1.split_whitespace().next();
        let flags = u64::from_str_radix(value("FL=")?, 16).ok()?;
        are_halted &= value("HLT=")? == "1" && flags & TAKES_INTERRUPTS == 0;
    }
    Some(are_halted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session with a QEMU that says `lines` whatever it is asked; what it was asked is returned when it is dropped.
    fn session(lines: &'static str) -> (Result<Session>, thread::JoinHandle<Vec<String>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut writer = theirs.try_clone().unwrap();
        let asked = thread::spawn(move || {
            writer.write_all(lines.as_bytes()).unwrap();
            BufReader::new(theirs).lines().map_while(Result::ok).collect()
        });
        (Session::begin(ours), asked)
    }

    const GREETING: &str = "{\"QMP\": {\"version\": {}}}\n{\"return\": {}}\n";

    #[test]
    fn an_answer_is_told_from_events() {
        let lines = joined(&[GREETING, "{\"event\": \"RESET\"}\n{\"return\": {\"running\": true}}\n"]);
        let (session, asked) = session(lines);
        let mut session = session.unwrap();
        assert_eq!(session.execute("query-status", json!({})).unwrap(), json!({ "running": true }));
        drop(session);
        let asked = asked.join().unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!(
            serde_json::from_str::<Value>(&asked[1]).unwrap(),
            json!({ "execute": "query-status", "arguments": {} })
        );
    }

    #[test]
    fn an_event_is_found_among_others() {
        let lines = joined(&[
            GREETING,
            "{\"event\": \"STOP\"}\n{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n",
        ]);
        let (session, _asked) = session(lines);
        let mut session = session.unwrap();
        assert_eq!(session.wait_event("RESET").unwrap(), json!({ "guest": true }));
    }

    #[test]
    fn processors_are_halted_when_all_are_and_take_no_interrupts() {
        let line =
            |flags, halt| format!("RIP=0000000000200000 RFL={flags} [-------] CPL=0 II=0 HLT={halt}\r\n");
        let all = |lines: &[String]| are_halted(&lines.concat());
        assert_eq!(all(&[line("00000046", 1), line("00000002", 1)]), Some(true));
        assert_eq!(all(&[line("00000046", 1), line("00000246", 1)]), Some(false));
        assert_eq!(all(&[line("00000046", 0)]), Some(false));
        assert_eq!(are_halted("EIP=00200000 EFL=00000046 [---Z-P-] HLT=1"), Some(true));
        assert_eq!(are_halted("unknown command"), None);
        assert_eq!(are_halted("RFL=?? HLT=1"), None);
    }

    #[test]
    fn a_refusal_names_the_command_and_the_reason() {
        let lines = joined(&[GREETING, "{\"error\": {\"desc\": \"Device 'net7' not found\"}}\n"]);
        let (session, _asked) = session(lines);
        let error = format!("{:#}", session.unwrap().cable(7, Cable::Pulled).unwrap_err());
        assert!(error.contains("set_link") && error.contains("'net7' not found"), "{error}");
    }

    #[test]
    fn text_that_is_no_json_is_shown() {
        let (session, _asked) = session("hello\n");
        let error = format!("{:#}", session.unwrap_err());
        assert!(error.contains("hello"), "{error}");
    }

    fn joined(parts: &[&str]) -> &'static str {
        Box::leak(parts.concat().into_boxed_str())
    }
}
