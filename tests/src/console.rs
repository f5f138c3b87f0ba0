//! What the image says on its serial port, and waiting for it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Bytes kept; an image that never stops talking is cut off rather than let fill the machine.
const LONGEST: usize = 4 << 20;

/// The console so far. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Console {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    text: String,
    is_closed: bool,
    /// Whether an error has shown it.
    is_quoted: bool,
}

/// A place in the console: what came before it has been seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(usize);

impl Console {
    /// Collects everything from `source` on a thread of its own, until it ends.
    pub fn read_from(source: impl Read + Send + 'static) -> Self {
        let console = Self::default();
        let writer = console.clone();
        thread::spawn(move || writer.collect(source));
        console
    }

    /// All of it, so far.
    pub fn text(&self) -> String {
        self.lock().text.clone()
    }

    /// The place after everything said so far.
    pub fn mark(&self) -> Mark {
        Mark(self.lock().text.len())
    }

    /// The complete lines after `mark`, so far.
    pub fn lines_after(&self, mark: Mark) -> Vec<String> {
        let state = self.lock();
        state.complete_lines(mark).map(|(line, _)| line.to_owned()).collect()
    }

    /// Waits for a complete line after `mark` that `matches`; returns it and the place after it.
    /// `what` says in the error what was waited for.
    pub fn wait_for(
        &self,
        mark: Mark,
        limit: Duration,
        what: &str,
        matches: impl Fn(&str) -> bool,
    ) -> Result<(String, Mark)> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some((line, after)) = state.complete_lines(mark).find(|(line, _)| matches(line)) {
                return Ok((line.to_owned(), after));
            }
            if state.is_closed {
                return Err(anyhow!("the console ended without {what}{}", state.quote()));
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(anyhow!("no {what} within {} s{}", limit.as_secs(), state.quote()));
            };
            state = self.wait(state, left);
        }
    }

    /// Waits until the `program` at the other end has closed it, which it does when it exits.
    pub fn wait_closed(&self, program: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !state.is_closed {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(anyhow!("{program} still runs after {} s{}", limit.as_secs(), state.quote()));
            };
            state = self.wait(state, left);
        }
        Ok(())
    }

    /// The console as it is shown below an error.
    pub fn quoted(&self) -> String {
        self.lock().quote()
    }

    /// Whether an error has shown it already.
    pub fn is_quoted(&self) -> bool {
        self.lock().is_quoted
    }

    fn collect(&self, mut source: impl Read) {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = source.read(&mut chunk) {
            let mut state = self.lock();
            if let Some(bytes) = chunk.get(..length)
                && state.text.len() < LONGEST
            {
                state.text.extend(bytes.iter().filter(|byte| **byte != b'\r').map(|byte| printable(*byte)));
            }
            self.shared.changed.notify_all();
        }
        self.lock().is_closed = true;
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        let woken = self.shared.changed.wait_timeout(state, limit);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    /// Each complete line after `mark`, with the place after it.
    fn complete_lines(&self, mark: Mark) -> impl Iterator<Item = (&str, Mark)> {
        let text = self.text.get(mark.0..).unwrap_or_default();
        text.split_inclusive('\n').scan(mark.0, |at, line| {
            *at += line.len();
            line.strip_suffix('\n').map(|line| (line, Mark(*at)))
        })
    }

    fn quote(&mut self) -> String {
        self.is_quoted = true;
        let lines: Vec<&str> = self.text.lines().collect();
        if lines.is_empty() {
            return "; the console is empty".to_owned();
        }
        format!("; the console says:\n  | {}", lines.join("\n  | "))
    }
}

/// Control bytes are shown as what they are; the text stays a byte a character.
fn printable(byte: u8) -> char {
    match byte {
        b'\n' | b' '..=b'~' => char::from(byte),
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn lines_are_found_in_turn_and_only_when_complete() {
        let console = Console::read_from(Cursor::new("one\r\ntwo\r\ntwo again\nthr"));
        console.wait_closed("it", LIMIT).unwrap();
        let is_two = |line: &str| line.starts_with("two");
        let (line, after) = console.wait_for(Mark::default(), LIMIT, "two", is_two).unwrap();
        assert_eq!(line, "two");
        let (line, after) = console.wait_for(after, LIMIT, "two", is_two).unwrap();
        assert_eq!(line, "two again");
        let error = console.wait_for(after, LIMIT, "a third", |line| line.starts_with("thr")).unwrap_err();
        assert!(error.to_string().contains("ended without a third"), "{error}");
        assert!(error.to_string().contains("| two again\n  | thr"), "{error}");
    }

    #[test]
    fn a_silent_console_is_given_up() {
        let (silent, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let console = Console::read_from(silent);
        let limit = Duration::from_millis(20);
        let error = console.wait_for(Mark::default(), limit, "READY", |_| true).unwrap_err();
        assert!(error.to_string().contains("no READY within"), "{error}");
        assert!(console.wait_closed("it", limit).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_question_marks() {
        let console = Console::read_from(Cursor::new(b"\x1b[2J\xffok\n"));
        console.wait_closed("it", LIMIT).unwrap();
        assert_eq!(console.text(), "?[2J?ok\n");
    }
}
