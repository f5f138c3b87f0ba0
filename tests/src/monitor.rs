//! QEMU's monitor: what happens to the machine from outside, by the QEMU Machine Protocol (QMP).
//!
//! A line of JSON each way: a greeting, then for each command one answer, `return` or `error`. Events come in between.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guest::PATIENCE;
use crate::qemu::netdev;

/// Between two looks: nothing tells that a socket has come to be.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Where a QEMU that is given this with [`Qemu::monitor`](crate::Qemu::monitor) listens.
#[derive(Debug)]
pub struct Monitor {
    folder: TempDir,
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
        let folder = tempfile::Builder::new().prefix("mr").rand_bytes(8).tempdir()?;
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

    /// Has QEMU do `command`, and returns what it answers.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{line}").context("cannot speak to QEMU's monitor")?;
        self.wait_for("return").with_context(|| format!("QEMU does not do {line}"))
    }

    /// The value of `key` in the next line that has one. Events are skipped; an error is one.
    fn wait_for(&mut self, key: &str) -> Result<Value> {
        loop {
            let mut line = String::new();
            let length = self.stream.read_line(&mut line).context("QEMU's monitor says nothing")?;
            if length == 0 {
                bail!("QEMU's monitor hung up");
            }
            let mut said: Value =
                serde_json::from_str(&line).with_context(|| format!("QEMU says {line:?}"))?;
            if let Some(error) = said.get("error") {
                bail!("{error}");
            }
            if let Some(value) = said.get_mut(key) {
                return Ok(value.take());
            }
        }
    }
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
