//! An application at work: step after step, and between them the waits that the `wait` key allows.
//!
//! | `wait` | after a step that found nothing |
//! |---|---|
//! | `spin` | the next step |
//! | `poll` | waits for frames, or for room where frames are held up |
//! | `adaptive` | the next step, until nothing has come for [`PATIENCE_US`]; then waits, and is patient again when woken |
//!
//! A wait costs an interrupt, and what the processor does to sleep and wake: some microseconds, on an emulated or
//! virtual one tens of them. Frames that follow each other more closely than that are cheaper to look for. So `adaptive`
//! looks for about as long as a wake-up costs: whatever the traffic, it takes no more than about twice the time that the
//! better of the other two would have taken.

use alloc::boxed::Box;
use core::hint::spin_loop;
use core::time::Duration;

use crate::machine::Wait;
use crate::{AppError, Application, Progress};

/// How long an `adaptive` worker goes on looking when nothing comes, in microseconds.
pub const PATIENCE_US: u64 = 50;
/// The longest wait: the tasks run in between.
pub const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// Steps in a round: reading the clock after each would cost more than a step that finds nothing.
const STEPS_PER_ROUND: u32 = 64;
/// A round ends early after the step with which it has moved so many frames. A step moves up to a ring of frames each way,
/// which takes milliseconds where a frame costs microseconds, and the console waits for the end of the round.
const FRAMES_PER_ROUND: u32 = 1024;

/// An application, and how it waits.
pub struct Worker {
    app: Box<dyn Application>,
    wait: Wait,
    /// How long it goes on looking, in ticks of the clock.
    patience: u64,
    /// The clock when it first found nothing.
    idle_since: Option<u64>,
}

impl Worker {
    /// Has `app` wait as `wait` says, and look for `patience` ticks of a clock when it is `adaptive`.
    pub fn new(app: Box<dyn Application>, wait: Wait, patience: u64) -> Self {
        Self { app, wait, patience, idle_since: None }
    }

    /// Works for a while, then waits if it is time to. `ticks` reads the clock.
    #[inline]
    pub fn round(&mut self, ticks: impl FnOnce() -> u64) -> Result<(), AppError> {
        match self.wait {
            Wait::Spin => self.spin().map(drop),
            Wait::Poll => self.poll(),
            Wait::Adaptive => self.adapt(ticks),
        }
    }

    /// One step after the other, for a round. Returns how many frames they moved.
    #[inline(always)]
    fn spin(&mut self) -> Result<u32, AppError> {
        let mut moved = 0;
        for _ in 0..STEPS_PER_ROUND {
            match self.app.step()? {
                Progress::Busy { frames } => moved = frames.saturating_add(moved),
                Progress::Idle => spin_loop(),
            }
            if moved >= FRAMES_PER_ROUND {
                break;
            }
        }
        Ok(moved)
    }

    fn poll(&mut self) -> Result<(), AppError> {
        let mut moved = 0;
        for _ in 0..STEPS_PER_ROUND {
            match self.app.step()? {
                Progress::Busy { frames } => moved = frames.saturating_add(moved),
                Progress::Idle => return self.app.wait(LONGEST_WAIT),
            }
            if moved >= FRAMES_PER_ROUND {
                break;
            }
        }
        Ok(())
    }

    fn adapt(&mut self, ticks: impl FnOnce() -> u64) -> Result<(), AppError> {
        if self.spin()? > 0 {
            self.idle_since = None;
            return Ok(());
        }
        let now = ticks();
        let since = *self.idle_since.get_or_insert(now);
        if now.saturating_sub(since) < self.patience {
            return Ok(());
        }
        self.idle_since = None;
        self.app.wait(LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use std::sync::Mutex;

    use super::*;

    /// What a scripted application was asked to do: `s` for a step, `w` for a wait.
    #[derive(Default)]
    struct Script {
        /// Steps from now on that find something.
        busy: u32,
        /// How many frames each of them moves.
        frames: u32,
        calls: String,
    }

    struct Scripted(Arc<Mutex<Script>>);

    impl Application for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn ports(&self) -> &[String] {
            &[]
        }

        fn step(&mut self) -> Result<Progress, AppError> {
            let mut script = self.0.lock().unwrap();
            script.calls.push('s');
            let is_busy = script.busy > 0;
            script.busy = script.busy.saturating_sub(1);
            Ok(if is_busy { Progress::Busy { frames: script.frames } } else { Progress::Idle })
        }

        fn wait(&mut self, timeout: Duration) -> Result<(), AppError> {
            assert_eq!(timeout, LONGEST_WAIT);
            self.0.lock().unwrap().calls.push('w');
            Ok(())
        }
    }

    /// Runs rounds, each with this many busy steps of one frame in front of it at this time. Returns for each its steps,
    /// and whether it waited at the end.
    fn rounds(wait: Wait, rounds: &[(u64, u32)]) -> Vec<(usize, bool)> {
        rounds_of(1, wait, rounds)
    }

    /// The same with busy steps of so many frames.
    fn rounds_of(frames: u32, wait: Wait, rounds: &[(u64, u32)]) -> Vec<(usize, bool)> {
        let script = Arc::new(Mutex::new(Script { frames, ..Script::default() }));
        let mut worker = Worker::new(Box::new(Scripted(script.clone())), wait, 100);
        let each = rounds.iter().map(|&(now, busy)| {
            script.lock().unwrap().busy = busy;
            worker.round(|| now).unwrap();
            let calls = core::mem::take(&mut script.lock().unwrap().calls);
            (calls.matches('s').count(), calls.ends_with('w'))
        });
        each.collect()
    }

    #[test]
    fn a_spinning_worker_never_waits() {
        assert_eq!(rounds(Wait::Spin, &[(0, 0), (1000, 64), (9000, 0)]), [(64, false); 3]);
    }

    #[test]
    fn a_polling_worker_waits_after_the_first_step_that_finds_nothing() {
        let expected = [(1, true), (4, true), (64, false), (1, true)];
        assert_eq!(rounds(Wait::Poll, &[(0, 0), (0, 3), (0, 64), (0, 0)]), expected);
    }

    #[test]
    fn a_round_ends_early_when_it_has_moved_many_frames() {
        for wait in [Wait::Spin, Wait::Poll, Wait::Adaptive] {
            assert_eq!(rounds_of(256, wait, &[(0, 64), (0, 64)]), [(4, false); 2], "{wait:?}");
            assert_eq!(rounds_of(1022, wait, &[(0, 64)]), [(2, false)], "{wait:?}");
            assert_eq!(rounds_of(u32::MAX, wait, &[(0, 64)]), [(1, false)], "{wait:?}");
            assert_eq!(rounds_of(15, wait, &[(0, 64)]), [(64, false)], "{wait:?}");
        }
    }

    #[test]
    fn an_adaptive_worker_waits_when_nothing_has_come_for_a_while() {
        let times = [(1000, 0), (1099, 0), (1100, 0), (1101, 0), (1200, 0), (1201, 0)];
        let waits: Vec<_> =
            rounds(Wait::Adaptive, &times).into_iter().map(|(steps, waits)| (steps == 64, waits)).collect();
        let (looks, rests) = ((true, false), (true, true));
        assert_eq!(waits, [looks, looks, rests, looks, looks, rests], "woken, it is patient again");
        // One frame in a round begins the time anew.
        let times = [(1000, 0), (1090, 1), (1110, 0), (1209, 0), (1210, 0)];
        let waits: Vec<_> = rounds(Wait::Adaptive, &times).into_iter().map(|(_, waits)| waits).collect();
        assert_eq!(waits, [false, false, false, false, true]);
    }
}
