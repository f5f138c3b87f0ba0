//! Frames that flow both ways while something is done to the machine.
//!
//! Meanwhile frames may be lost. But each that arrives is one that was sent, byte for byte, comes once, and comes behind
//! those that were sent before it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::counters::Counters;
use crate::pattern::Pattern;
use crate::transfer::IN_FLIGHT;
use crate::wire::{Interest, PATIENCE, Wire, wait_any};

/// Frames on the way are given up when none has arrived for so long.
const SILENCE: Duration = Duration::from_millis(20);
/// From one look at how far the frames are to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// From one frame to the next while it is found out whether frames arrive at all.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// What became of the frames of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Frames that the card took.
    pub sent: u64,
    /// Frames that arrived.
    pub arrived: u64,
}

/// The traffic as it flows.
#[derive(Debug, Default)]
pub struct Traffic {
    there: Progress,
    back: Progress,
}

/// How far one direction is.
#[derive(Debug, Default)]
struct Progress {
    sent: AtomicU64,
    /// Frames with lower numbers have arrived or never will.
    passed: AtomicU64,
}

impl Traffic {
    /// Waits until a frame has arrived each way that was sent after this was called.
    pub fn wait_until_it_flows(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for (progress, way) in [(&self.there, "left to right"), (&self.back, "right to left")] {
            let mark = progress.sent.load(Relaxed);
            while progress.passed.load(Relaxed) <= mark {
                ensure!(Instant::now() < deadline, "no frame comes through from {way}");
                thread::sleep(LOOK_AGAIN);
            }
        }
        Ok(())
    }
}

/// Lets frames flow both ways for as long as `deed` takes. Afterwards the machine has to carry each frame, and all that are
/// on the way are waited for. Returns what came of it, left to right and right to left.
pub fn during(left: &Wire, right: &Wire, deed: impl FnOnce(&Traffic) -> Result<()>) -> Result<[Carried; 2]> {
    let (traffic, state) = (Traffic::default(), AtomicU8::new(FLOWING));
    let patterns = [Pattern::default(), Pattern::default()];
    thread::scope(|scope| {
        let [rightwards, leftwards] = &patterns;
        let there = scope.spawn(|| Flow::new(left, right, rightwards, &traffic.there).run(&state));
        let back = scope.spawn(|| Flow::new(right, left, leftwards, &traffic.back).run(&state));
        let mut end = End { state: &state, into: CUT_OFF };
        let done = deed(&traffic);
        if done.is_ok() {
            end.into = SETTLING;
        }
        drop(end);
        let there = there.join().map_err(|_| anyhow!("left to right panicked"))?.context("left to right")?;
        let back = back.join().map_err(|_| anyhow!("right to left panicked"))?.context("right to left")?;
        done.map(|()| [there, back])
    })
}

/// Fails unless the counters of an image agree with what was carried since its start. `rings` are those that the frames
/// pass to the right and back, see [`Setting::rings`](crate::Setting::rings). The image passed on all that it received;
/// frames may be lost on the way to it and behind it.
pub fn check_counters(counters: &Counters, rings: &[String; 4], carried: &[Carried; 2]) -> Result<()> {
    let [there_in, there_out, back_in, back_out] = rings;
    for ([input, output], carried) in [[there_in, there_out], [back_in, back_out]].into_iter().zip(carried) {
        let (received, passed) = (counters.get(input, "packets")?, counters.get(output, "packets")?);
        ensure!(received == passed, "{input} has received {received} frames, {output} has sent {passed}");
        ensure!(
            (carried.arrived..=carried.sent).contains(&passed),
            "{output} has sent {passed} frames of {carried:?}"
        );
    }
    ensure!(counters.dropped() == 0, "the image has dropped frames: {counters:?}");
    Ok(())
}

/// Frames flow and may be lost.
const FLOWING: u8 = 0;
/// From now on frames have to arrive; the last ones are waited for.
const SETTLING: u8 = 1;
/// Nothing is waited for: the deed has failed, and says why.
const CUT_OFF: u8 = 2;

/// Ends the traffic, even if the deed panics.
struct End<'a> {
    state: &'a AtomicU8,
    into: u8,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.state.store(self.into, Relaxed);
    }
}

/// One direction.
struct Flow<'a> {
    from: &'a Wire,
    to: &'a Wire,
    pattern: &'a Pattern,
    progress: &'a Progress,
    /// The frame with the number `sent`, made already.
    frame: Vec<u8>,
    sent: u64,
    /// The least number that the next frame to arrive may have.
    next: u64,
    /// Frames with lower numbers are not on the way any more.
    settled: u64,
    arrived: u64,
}

impl<'a> Flow<'a> {
    fn new(from: &'a Wire, to: &'a Wire, pattern: &'a Pattern, progress: &'a Progress) -> Self {
        let mut frame = Vec::new();
        pattern.write(0, &mut frame);
        Self { from, to, pattern, progress, frame, sent: 0, next: 0, settled: 0, arrived: 0 }
    }

    fn run(mut self, state: &AtomicU8) -> Result<Carried> {
        while state.load(Relaxed) == FLOWING {
            let has_room = self.sent - self.settled < IN_FLIGHT as u64;
            let is_idle = !(has_room && self.send()?) & !self.receive()?;
            if is_idle && !self.wait(has_room, SILENCE)? {
                self.settled = self.sent;
            }
        }
        if state.load(Relaxed) == SETTLING {
            self.settle()?;
        }
        Ok(Carried { sent: self.sent, arrived: self.arrived })
    }

    /// Sends frames one by one until one of them arrives; from that on, each has to.
    fn settle(&mut self) -> Result<()> {
        let first = self.sent;
        let deadline = Instant::now() + PATIENCE;
        while self.next <= first {
            ensure!(Instant::now() < deadline, "no frame comes through in the end");
            self.send()?;
            self.wait(false, TRY_AGAIN)?;
            self.receive()?;
        }
        while self.next < self.sent {
            let something = self.wait(false, PATIENCE)?;
            ensure!(something, "frames are lost in the end: {} sent, {} arrived last", self.sent, self.next);
            self.receive()?;
        }
        Ok(())
    }

    /// Offers the card a frame; returns whether it was taken.
    fn send(&mut self) -> Result<bool> {
        let is_taken = self.from.try_send(&self.frame)?;
        if is_taken {
            self.sent += 1;
            self.progress.sent.store(self.sent, Relaxed);
            self.pattern.write(self.sent, &mut self.frame);
        }
        Ok(is_taken)
    }

    /// Receives and checks what is there; returns whether anything was.
    fn receive(&mut self) -> Result<bool> {
        let before = self.arrived;
        while let Some(frame) = self.to.try_receive()? {
            let number = Pattern::number(&frame).context("a frame came that is too short")?;
            ensure!(number < self.sent, "frame {number} came, and {} were sent", self.sent);
            ensure!(number >= self.next, "frame {number} came behind frame {}", self.next - 1);
            self.pattern.check(number, &frame)?;
            self.arrived += 1;
            self.next = number + 1;
            self.settled = self.settled.max(self.next);
            self.progress.passed.store(self.next, Relaxed);
        }
        Ok(self.arrived > before)
    }

    /// Waits for a frame, or for room for one; returns whether it came to either.
    fn wait(&self, may_send: bool, limit: Duration) -> Result<bool> {
        let waited_for = [(self.to, Interest::Receive), (self.from, Interest::Send)];
        wait_any(if may_send { &waited_for } else { &waited_for[..1] }, Some(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bridge;

    /// Lets a thousand frames or so flow to the right through a bridge that treats them so.
    fn carry(treat: impl Fn(usize, Vec<u8>) -> Vec<Vec<u8>> + Send + 'static) -> Result<Carried> {
        let (left, right) = bridge(treat);
        let (pattern, progress, state) = (Pattern::default(), Progress::default(), AtomicU8::new(FLOWING));
        thread::scope(|scope| {
            let flow = scope.spawn(|| Flow::new(&left, &right, &pattern, &progress).run(&state));
            while progress.sent.load(Relaxed) < 1000 && !flow.is_finished() {
                thread::sleep(LOOK_AGAIN);
            }
            drop(End { state: &state, into: SETTLING });
            flow.join().unwrap()
        })
    }

    #[test]
    fn what_is_lost_in_between_is_only_counted() {
        // None of the last, however many they are on a busy machine.
        let is_lost = |number| number < 900 && number % 300 > 200;
        let carried = carry(move |number, frame| if is_lost(number) { vec![] } else { vec![frame] }).unwrap();
        assert!(carried.arrived > 500 && carried.sent - carried.arrived >= 99, "{carried:?}");
        let carried = carry(|_, frame| vec![frame]).unwrap();
        assert_eq!(carried.sent, carried.arrived);
    }

    #[test]
    fn a_doubled_frame_is_noticed() {
        let error = carry(|number, frame| vec![frame; if number == 500 { 2 } else { 1 }]).unwrap_err();
        assert!(error.to_string().contains("frame 500 came behind frame 500"), "{error:#}");
    }

    #[test]
    fn a_changed_frame_is_noticed() {
        let error = carry(|number, mut frame| {
            frame[40] ^= u8::from(number == 500);
            vec![frame]
        });
        let error = error.unwrap_err();
        assert!(error.to_string().contains("frame 500 was changed"), "{error:#}");
    }

    #[test]
    fn a_frame_that_comes_late_is_noticed() {
        let held = std::sync::Mutex::new(None);
        let error = carry(move |number, frame| match number {
            500 => {
                *held.lock().unwrap() = Some(frame);
                vec![]
            }
            501 => [Some(frame), held.lock().unwrap().take()].into_iter().flatten().collect(),
            _ => vec![frame],
        });
        let error = error.unwrap_err();
        assert!(error.to_string().contains("frame 500 came behind frame 501"), "{error:#}");
    }

    #[test]
    fn a_deed_that_fails_says_why_at_once() {
        // This bridge passes nothing to the left, so there is nothing to wait for.
        let (left, right) = bridge(|_, frame| vec![frame]);
        let error = during(&left, &right, |_| Err(anyhow!("it failed"))).unwrap_err();
        assert_eq!(error.to_string(), "it failed");
    }
}
