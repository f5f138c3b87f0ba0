//! The image's serial port at a unix socket, which is read only when a test does so.
//!
//! An unread socket holds only a few hundred bytes, since QEMU sends each byte as a separate message.
//! Then the port accepts nothing until the other side reads.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::guest::PATIENCE;
use crate::monitor::connect_soon;

/// Where a QEMU that is given this with [`Qemu::serial`](crate::Qemu::serial) waits for the other side.
#[derive(Debug)]
pub struct Serial {
    folder: TempDir,
}

/// The other side of the serial port.
#[derive(Debug)]
pub struct Line {
    stream: BufReader<UnixStream>,
}

impl Serial {
    /// A place to listen at.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mr").rand_bytes(8).tempdir()?;
        Ok(Self { folder })
    }

    /// Connects to QEMU, which starts the machine then.
    pub fn connect(&self) -> Result<Line> {
        Line::new(connect_soon(&self.path()).context("nothing listens at the serial port")?)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("serial")
    }
}

impl Line {
    fn new(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Types `key` so many times, each as a message of its own. The socket takes a few hundred, so that the machine has read
    /// all but the last few hundred when this returns.
    pub fn type_in(&mut self, key: u8, count: usize) -> Result<()> {
        for _ in 0..count {
            self.stream.get_mut().write_all(&[key]).context("the serial port takes no key")?;
        }
        Ok(())
    }

    /// The next line, without its end; `None` when the port was closed. A line without an end is an error.
    pub fn read(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).context("the serial port says nothing")?;
        if line.is_empty() {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        ensure!(line.ends_with("\r\n"), "a line without its end: {line:?}");
        Ok(Some(line.trim_end().to_owned()))
    }

    /// The lines up to and with the first that `is_last`, which must come.
    pub fn read_to(&mut self, what: &str, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line =
                self.read()?.with_context(|| format!("the port was closed without {what}: {lines:#?}"))?;
            let is_over = is_last(&line);
            lines.push(line);
            if is_over {
                return Ok(lines);
            }
        }
    }

    /// All lines until the port is closed.
    pub fn read_all(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        while let Some(line) = self.read()? {
            lines.push(line);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(text.as_bytes()).unwrap();
        Line::new(ours).unwrap()
    }

    #[test]
    fn lines_are_read_whole() {
        let mut whole = line("one\r\n\r\nthree\r\n");
        assert_eq!(whole.read_to("one", |line| line == "one").unwrap(), ["one"]);
        assert_eq!(whole.read_all().unwrap(), ["", "three"]);
        let error = format!("{:#}", line("one\r\ntw").read_all().unwrap_err());
        assert!(error.contains("without its end: \"tw\""), "{error}");
        let error = format!("{:#}", line("one\r\n").read_to("two", |line| line == "two").unwrap_err());
        assert!(error.contains("closed without two"), "{error}");
    }
}
