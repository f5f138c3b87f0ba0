//! Millions of frames through the image, each made and checked from its sequence number alone.
//!
//! What a frame is, [`Pattern`] knows; so nothing has to be kept to compare each byte that arrives. Frames
//! travel to and from the sockets many at a system call, since here the host's work is most of the cost.

use std::io::{IoSlice, IoSliceMut};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

use crate::link::Link;
use crate::pattern::Pattern;
use crate::transfer::IN_FLIGHT;
use crate::wire::{Interest, LONGEST_FRAME, PATIENCE, Wire, wait_any};

/// Frames a system call.
const BATCH: usize = 32;

/// What a flood came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flooded {
    /// Frames that arrived, which is all of them.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the first sent to the last received.
    pub took: Duration,
}

impl Flooded {
    /// Frames a second.
    pub fn rate(&self) -> f64 {
        self.frames as f64 / self.took.as_secs_f64()
    }
}

/// Sends `count` frames from one wire to the other, about 64 on the way at a time: all arrive, unchanged, in
/// order.
pub fn flood(from: &Wire, to: &Wire, pattern: &Pattern, count: u64) -> Result<Flooded> {
    let mut flow = Flow::new(from, to, pattern);
    let started = Instant::now();
    while flow.received < count {
        let room = (flow.received + IN_FLIGHT as u64).min(count) - flow.sent;
        let is_idle = flow.send(room)? + flow.receive()? == 0;
        if is_idle {
            let receive = (to, Interest::Receive);
            let waited_for = [receive, (from, Interest::Send)];
            let waited_for = if flow.sent < count && room > 0 { &waited_for[..] } else { &waited_for[..1] };
            let something = wait_any(waited_for, Some(PATIENCE))?;
            ensure!(
                something,
                "nothing moves for {} s: {} sent, {} received",
                PATIENCE.as_secs(),
                flow.sent,
                flow.received
            );
        }
    }
    Ok(Flooded { frames: count, bytes: flow.bytes, took: started.elapsed() })
}

/// [`flood`] both ways at once, `count` frames each: left to right, and right to left.
pub fn flood_both_ways(left: &Wire, right: &Wire, count: u64) -> Result<(Flooded, Flooded)> {
    let (rightwards, leftwards) = (Pattern::default(), Pattern::default());
    thread::scope(|scope| {
        let there = scope.spawn(|| flood(left, right, &rightwards, count).context("left to right"));
        let back = flood(right, left, &leftwards, count).context("right to left");
        let there = there.join().map_err(|_| anyhow!("left to right panicked"))?;
        Ok((there?, back?))
    })
}

/// Frames from one wire to another, many at a system call.
#[derive(Debug)]
pub struct Flow<'a> {
    from: &'a Wire,
    to: &'a Wire,
    pattern: &'a Pattern,
    /// The frames `sent..` that are made already.
    outgoing: Vec<Vec<u8>>,
    /// How many of them are gone.
    gone: usize,
    incoming: Vec<Vec<u8>>,
    sent: u64,
    received: u64,
    bytes: u64,
}

impl<'a> Flow<'a> {
    /// Frames that are made by `pattern`, from number 0 on.
    pub fn new(from: &'a Wire, to: &'a Wire, pattern: &'a Pattern) -> Self {
        Self {
            from,
            to,
            pattern,
            outgoing: vec![Vec::new(); BATCH],
            gone: BATCH,
            incoming: vec![vec![0; LONGEST_FRAME]; BATCH],
            sent: 0,
            received: 0,
            bytes: 0,
        }
    }
}

impl Link for Flow<'_> {
    /// At most 32 frames at a time, which is what one system call takes.
    fn send(&mut self, room: u64) -> Result<u64> {
        if self.gone == BATCH {
            for (number, frame) in (self.sent..).zip(&mut self.outgoing) {
                self.pattern.write(number, frame);
            }
            self.gone = 0;
        }
        let room = usize::try_from(room).unwrap_or(BATCH);
        let ready = self.outgoing.iter().skip(self.gone).take(room);
        let slices: Vec<[IoSlice<'_>; 1]> = ready.map(|frame| [IoSlice::new(frame)]).collect();
        if slices.is_empty() {
            return Ok(0);
        }
        let mut headers = MultiHeaders::<()>::preallocate(slices.len(), None);
        let addresses = vec![None; slices.len()];
        let taken = match sendmmsg(
            self.from.raw_fd(),
            &mut headers,
            &slices,
            addresses,
            [],
            MsgFlags::MSG_DONTWAIT,
        ) {
            Ok(taken) => taken.count(),
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(error).context("cannot send to the card"),
        };
        self.gone += taken;
        self.sent += taken as u64;
        Ok(taken as u64)
    }

    fn receive(&mut self) -> Result<u64> {
        let lengths = {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                self.incoming.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let mut headers = MultiHeaders::<()>::preallocate(slices.len(), None);
            match recvmmsg(self.to.raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
                Ok(messages) => messages.map(|message| message.bytes).collect(),
                Err(Errno::EAGAIN) => Vec::new(),
                Err(error) => return Err(error).context("cannot receive from the card"),
            }
        };
        for (length, buffer) in lengths.iter().zip(&self.incoming) {
            let frame = buffer.get(..*length).unwrap_or_default();
            self.pattern.check(self.received, frame).with_context(|| format!("{} were sent", self.sent))?;
            self.received += 1;
            self.bytes += *length as u64;
        }
        Ok(lengths.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bridge;

    #[test]
    fn a_flood_arrives_complete() {
        let (left, right) = bridge(|_, frame| vec![frame]);
        let flooded = flood(&left, &right, &Pattern::default(), 5000).unwrap();
        assert_eq!(flooded.frames, 5000);
        assert!((5000 * 60..=5000 * 1514).contains(&flooded.bytes));
    }

    #[test]
    fn one_lost_or_doubled_frame_in_a_flood_is_noticed() {
        for copies in [0, 2] {
            let (left, right) =
                bridge(move |number, frame| vec![frame; if number == 1234 { copies } else { 1 }]);
            let error = flood(&left, &right, &Pattern::default(), 5000).unwrap_err();
            assert!(format!("{error:#}").contains("should come, but"), "{error:#}");
        }
    }
}
