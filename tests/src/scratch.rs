//! Temporary folders for sockets and files, which are removed also when a signal ends the process.
//!
//! Rust's destructors do not run then. A thread therefore waits for the signals that end a process from a terminal or a
//! supervisor, removes the folders that exist, and lets the signal take its effect.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::{fs, io, process, thread};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// The folders of this process that exist.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A temporary folder, removed with its contents when dropped or when SIGINT, SIGTERM or SIGHUP ends the process.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one. Its name is short, since the path of a unix socket has less than 108 bytes, and tells the process.
    pub fn new() -> Result<Self> {
        remove_on_signals()?;
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::Builder::new().prefix(&prefix(process::id())).rand_bytes(6).tempdir();
        let path = folder.context("no temporary folder")?.keep();
        folders.push(path.clone());
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
        // Listed until it is gone. What cannot be removed is no reason to fail.
        let _ = fs::remove_dir_all(&self.path);
        folders.retain(|folder| *folder != self.path);
    }
}

/// What the names of that process's folders begin with.
pub fn prefix(process: u32) -> String {
    format!("mr{process:x}-")
}

/// Starts the thread that waits for signals, once. Signals that this process was started to ignore stay ignored.
fn remove_on_signals() -> Result<()> {
    static START: Once = Once::new();
    let mut outcome = Ok(());
    START.call_once(|| outcome = start_thread().context("cannot wait for signals"));
    outcome
}

fn start_thread() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let handled = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(&status, *signal));
    let mut signals = Signals::new(handled)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // Held until the end: no folder is made from here on.
            let folders = FOLDERS.lock().unwrap_or_else(PoisonError::into_inner);
            // A folder that cannot be removed must not keep the process from ending.
            folders.iter().for_each(|folder| drop(fs::remove_dir_all(folder)));
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// Whether a process ignores this signal, from its `/proc/PID/status` (proc(5)): bit N - 1 of the mask is for signal N.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_until_it_is_dropped() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "content").unwrap();
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with(&prefix(process::id())));
        drop(scratch);
        assert!(!path.exists());
        assert!(!FOLDERS.lock().unwrap().contains(&path));
    }

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status =
            "Name:\tcat\nSigBlk:\t0000000000004002\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(is_ignored(status, SIGHUP));
        assert!(!is_ignored(status, SIGINT) && !is_ignored(status, SIGTERM));
        assert!(!is_ignored("Name:\tcat\n", SIGHUP));
    }
}
