//! At most two QEMU at a time, over all processes that run tests on this machine.
//!
//! A permit is a lock on one of two files in the temporary folder. The kernel drops the lock with the process
//! that holds it, however that process ends, so a killed test run leaves nothing behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// QEMUs at a time. Each keeps one core busy for as long as it runs, since the image polls its cards.
const PERMITS: usize = 2;
/// How long others may keep this one waiting.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two looks: there is no waiting for the first of two file locks.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// The right to run one QEMU, until dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _locked: File,
}

impl Permit {
    /// Waits until fewer than two QEMU run.
    pub(crate) fn acquire() -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for number in 0..PERMITS {
                if let Some(permit) = Self::try_acquire(number)? {
                    return Ok(permit);
                }
            }
            if Instant::now() > deadline {
                bail!("{PERMITS} other QEMUs were running for {} s", PATIENCE.as_secs());
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn try_acquire(number: usize) -> Result<Option<Self>> {
        let path = lock_path(number);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open the lock file {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _locked: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

/// One set of lock files a user: another user's could not be opened.
fn lock_path(number: usize) -> PathBuf {
    env::temp_dir().join(format!("millrace-qemu-{}-{number}.lock", geteuid()))
}
