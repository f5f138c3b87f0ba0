//! At most two QEMUs at a time, over all processes that run tests on this machine.
//!
//! A permit is a lock on one of two files in the temporary folder. The kernel releases the lock when the process that
//! holds it ends, however it ends, so a killed test run leaves nothing behind.
//!
//! A third lock, the entrance, is held while a thread waits for its permits. So free permits go to one thread at a time:
//! two threads that want both cannot end up with one each, and a thread that wants both is not overtaken by those that
//! want one. In return, a thread that holds a permit must not wait for another: a test that runs two QEMUs at once takes
//! both permits together.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// The locks that are permits, one for each QEMU at a time. Each keeps one core busy for as long as it runs, since the
/// image polls its cards.
const PERMITS: [&str; 2] = ["0", "1"];
/// The lock of the thread whose turn it is to get permits.
const ENTRANCE: [&str; 1] = ["entrance"];
/// The longest wait for a lock.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two attempts: a file lock has no wait that ends with a time limit or with the first of two.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// The right to run one QEMU, until dropped.
#[derive(Debug)]
pub struct Permit {
    _lock: File,
}

impl Permit {
    /// Waits until fewer than two QEMUs run.
    pub fn one() -> Result<Self> {
        let _entrance = wait_for(&ENTRANCE)?;
        Self::wait()
    }

    /// Waits until no QEMU runs; returns both permits.
    pub fn both() -> Result<[Self; 2]> {
        let _entrance = wait_for(&ENTRANCE)?;
        Ok([Self::wait()?, Self::wait()?])
    }

    fn wait() -> Result<Self> {
        Ok(Self { _lock: wait_for(&PERMITS)? })
    }
}

/// Waits for one of these locks, which is held for as long as the file is open.
fn wait_for(names: &[&str]) -> Result<File> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for name in names {
            if let Some(lock) = try_lock(name)? {
                return Ok(lock);
            }
        }
        if Instant::now() > deadline {
            bail!("other QEMUs have held the locks {names:?} for {} s", PATIENCE.as_secs());
        }
        thread::sleep(LOOK_AGAIN);
    }
}

fn try_lock(name: &str) -> Result<Option<File>> {
    let path = lock_path(name);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open the lock file {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Each user has a set of lock files: those of another user could not be opened.
fn lock_path(name: &str) -> PathBuf {
    env::temp_dir().join(format!("millrace-qemu-{}-{name}.lock", geteuid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_permits_are_all_there_are() {
        let permits = Permit::both().unwrap();
        assert!(PERMITS.iter().all(|name| try_lock(name).unwrap().is_none()));
        drop(permits);
        Permit::one().unwrap();
    }

    /// Of two threads that want both permits, neither may take the first that becomes free while the other has one.
    #[test]
    fn two_threads_that_want_both_permits_get_them_in_turn() {
        for _ in 0..8 {
            thread::scope(|scope| {
                let one = Permit::one().unwrap();
                let both = [(); 2].map(|()| scope.spawn(|| Permit::both().map(drop)));
                thread::sleep(2 * LOOK_AGAIN);
                drop(one);
                both.into_iter().for_each(|both| both.join().unwrap().unwrap());
            });
        }
    }
}
