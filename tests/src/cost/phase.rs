//! What the generator does while executions are counted.

use std::fmt;
use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::link::Link;
use crate::wire::PATIENCE;

/// Frames on the way at a time when it sends as fast as it can.
const IN_FLIGHT: u64 = 128;
/// Looks that find nothing before the generator sleeps, and for how long it then does.
const LOOKS: u32 = 1000;
const NAP: Duration = Duration::from_micros(30);

/// A way to send frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No frames.
    Idle,
    /// A closed loop: a burst of so many frames, and the next when all of it has come back.
    Closed(u64),
    /// As fast as frames come back.
    Open,
}

/// All that are fitted together.
pub const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Closed(1),
    Phase::Closed(4),
    Phase::Closed(16),
    Phase::Closed(32),
    Phase::Closed(128),
    Phase::Open,
];

impl Phase {
    /// Runs it for so long, until all frames are through. Returns how many that were.
    ///
    /// # Errors
    /// A frame is not the one that was sent, or none moves.
    pub fn run(self, link: &mut dyn Link, time: Duration) -> Result<u64> {
        let deadline = Instant::now() + time;
        let (burst, is_closed) = match self {
            Self::Idle => {
                thread::sleep(time);
                return Ok(0);
            }
            Self::Closed(burst) => (burst, true),
            Self::Open => (IN_FLIGHT, false),
        };
        let mut passed = 0;
        while Instant::now() < deadline {
            passed += if is_closed { run_burst(link, burst)? } else { run_open(link, burst, deadline)? };
        }
        Ok(passed)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => write!(f, "idle"),
            Self::Closed(burst) => write!(f, "bursts of {burst}"),
            Self::Open => write!(f, "open"),
        }
    }
}

/// Sends `count` frames and waits until they are back.
pub(super) fn run_burst(link: &mut dyn Link, count: u64) -> Result<u64> {
    let (mut sent, mut received, mut patience) = (0, 0, Patience::new());
    while received < count {
        let moved = if sent < count { link.send(count - sent)? } else { 0 };
        sent += moved;
        let came = link.receive()?;
        received += came;
        patience.after(moved + came)?;
    }
    Ok(count)
}

/// Keeps `window` frames on the way until the deadline, and waits until all are back.
fn run_open(link: &mut dyn Link, window: u64, deadline: Instant) -> Result<u64> {
    let (mut sent, mut received, mut patience) = (0, 0, Patience::new());
    while received < sent || Instant::now() < deadline {
        let room = if Instant::now() < deadline { received + window - sent } else { 0 };
        let moved = if room > 0 { link.send(room)? } else { 0 };
        sent += moved;
        let came = link.receive()?;
        received += came;
        patience.after(moved + came)?;
    }
    Ok(received)
}

/// Waits for frames: by looking for as long as an idle machine takes, then by short sleeps. On a busy machine, where the guest's turn
/// is far off, a thread that sleeps gets the processor sooner than one that looks all the time.
struct Patience {
    fruitless: u32,
    since: Instant,
}

impl Patience {
    fn new() -> Self {
        Self { fruitless: 0, since: Instant::now() }
    }

    /// After a look that found so many frames to move.
    fn after(&mut self, moved: u64) -> Result<()> {
        if moved > 0 {
            *self = Self::new();
            return Ok(());
        }
        self.fruitless += 1;
        if self.fruitless < LOOKS {
            hint::spin_loop();
            return Ok(());
        }
        ensure!(self.since.elapsed() < PATIENCE, "no frame moves for {} s", PATIENCE.as_secs());
        thread::sleep(NAP);
        Ok(())
    }
}
