//! A few thousand frames through the image, compared byte for byte as they arrive.

use std::collections::VecDeque;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::frames::SHORTEST;
use crate::wire::{Interest, PATIENCE, Wire, wait_any};

/// Frames on the way at a time: few enough for any ring.
pub const IN_FLIGHT: usize = 64;

/// A frame to send, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It arrives as it was sent.
    Arrives(Vec<u8>),
    /// It arrives with zeros behind it, as long as Ethernet's shortest frame.
    Padded(Vec<u8>),
    /// It arrives in one of these two ways; which one is up to the device that receives it.
    MaybePadded(Vec<u8>),
    /// It never arrives.
    Vanishes(Vec<u8>),
}

impl Fate {
    /// The frame that is sent.
    fn sent(&self) -> &[u8] {
        let (Self::Arrives(frame) | Self::Padded(frame) | Self::MaybePadded(frame) | Self::Vanishes(frame)) =
            self;
        frame
    }

    /// The frame that arrives: any of these; none when it vanishes.
    fn outcomes(self) -> Vec<Vec<u8>> {
        match self {
            Self::Arrives(frame) => vec![frame],
            Self::Padded(frame) => vec![padded(frame)],
            Self::MaybePadded(frame) => vec![frame.clone(), padded(frame)],
            Self::Vanishes(_) => Vec::new(),
        }
    }
}

/// The frame with zeros behind it, as long as Ethernet's shortest.
fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// Sends `frames` from one wire to the other: all arrive, unchanged and in order.
pub fn carry(from: &Wire, to: &Wire, frames: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
    carry_fated(from, to, frames.into_iter().map(Fate::Arrives))
}

/// Sends `frames` from one wire to the other: what should arrive does, unchanged and in order, and nothing
/// else. That a frame vanishes is known by the next that arrives, so let the last one arrive.
pub fn carry_fated(from: &Wire, to: &Wire, frames: impl IntoIterator<Item = Fate>) -> Result<()> {
    let mut frames = frames.into_iter();
    let mut next = frames.next();
    let mut expected = VecDeque::new();
    let mut arrived = 0_u64;
    while next.is_some() || !expected.is_empty() {
        let mut is_idle = true;
        while expected.len() < IN_FLIGHT
            && let Some(fate) = &next
            && from.try_send(fate.sent())?
        {
            expected.extend(next.map(Fate::outcomes).filter(|outcomes| !outcomes.is_empty()));
            next = frames.next();
            is_idle = false;
        }
        while let Some(frame) = to.try_receive()? {
            check(&frame, expected.pop_front()).with_context(|| format!("after {arrived} good frames"))?;
            arrived += 1;
            is_idle = false;
        }
        if is_idle {
            wait(from, to, next.is_some() && expected.len() < IN_FLIGHT)
                .with_context(|| format!("{arrived} arrived, {} are on the way", expected.len()))?;
        }
    }
    Ok(())
}

/// [`carry`] both ways at once.
pub fn exchange(left: &Wire, right: &Wire, rightwards: Vec<Vec<u8>>, leftwards: Vec<Vec<u8>>) -> Result<()> {
    thread::scope(|scope| {
        let there = scope.spawn(|| carry(left, right, rightwards).context("left to right"));
        let back = carry(right, left, leftwards).context("right to left");
        there.join().map_err(|_| anyhow!("left to right panicked"))?.and(back)
    })
}

fn wait(from: &Wire, to: &Wire, may_send: bool) -> Result<()> {
    let receive = (to, Interest::Receive);
    let something = match may_send {
        true => wait_any(&[receive, (from, Interest::Send)], Some(PATIENCE))?,
        false => wait_any(&[receive], Some(PATIENCE))?,
    };
    ensure!(something, "nothing moves for {} s", PATIENCE.as_secs());
    Ok(())
}

/// `expected` has the frames that may have come, one of them.
fn check(frame: &[u8], expected: Option<Vec<Vec<u8>>>) -> Result<()> {
    let expected = expected.with_context(|| format!("an unexpected frame came: {}", shown(frame)))?;
    if expected.iter().any(|expected| frame == expected) {
        return Ok(());
    }
    let expected = expected.first().map_or(&[][..], Vec::as_slice);
    let place = frame.iter().zip(expected).position(|(is, should)| is != should);
    let place = place.map_or_else(|| "where the shorter ends".to_owned(), |at| format!("at byte {at}"));
    Err(anyhow!("a frame differs {place}:\n  came     {}\n  expected {}", shown(frame), shown(expected)))
}

/// The length of a frame and its first bytes.
fn shown(frame: &[u8]) -> String {
    let bytes: Vec<String> = frame.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {}", frame.len(), bytes.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Generator;
    use crate::testing::bridge;

    /// The frame that is treated badly.
    const CHOSEN: usize = 77;

    fn frames() -> Vec<Vec<u8>> {
        let mut generator = Generator::new();
        (60..260).map(|length| generator.noise(length)).collect()
    }

    #[test]
    fn what_passes_as_it_is_is_fine() {
        let (left, right) = bridge(|_, frame| vec![frame]);
        carry(&left, &right, frames()).unwrap();
        assert_eq!(right.try_receive().unwrap(), None);
    }

    #[test]
    fn a_lost_frame_is_noticed() {
        let (left, right) = bridge(|number, frame| if number == CHOSEN { vec![] } else { vec![frame] });
        let error = carry(&left, &right, frames()).unwrap_err();
        assert!(format!("{error:#}").contains("after 77 good frames"), "{error:#}");
    }

    #[test]
    fn a_doubled_frame_is_noticed() {
        let (left, right) = bridge(|number, frame| vec![frame; if number == CHOSEN { 2 } else { 1 }]);
        carry(&left, &right, frames()).unwrap_err();
    }

    #[test]
    fn a_changed_frame_is_noticed_by_place() {
        let (left, right) = bridge(|number, mut frame| {
            frame[40] ^= u8::from(number == CHOSEN);
            vec![frame]
        });
        let error = carry(&left, &right, frames()).unwrap_err();
        assert!(format!("{error:#}").contains("differs at byte 40"), "{error:#}");
    }

    #[test]
    fn a_longer_or_shorter_frame_is_noticed() {
        for length in [60 + CHOSEN - 1, 60 + CHOSEN + 1] {
            let (left, right) = bridge(move |number, mut frame| {
                let length = if number == CHOSEN { length } else { frame.len() };
                frame.resize(length, 0);
                vec![frame]
            });
            let error = carry(&left, &right, frames()).unwrap_err();
            assert!(format!("{error:#}").contains("where the shorter ends"), "{error:#}");
        }
    }

    #[test]
    fn a_frame_that_should_be_padded_and_is_not_is_noticed() {
        let padded = |frame: Vec<u8>| vec![[frame, vec![0; 30]].concat()];
        let (left, right) = bridge(move |_, frame| padded(frame));
        carry_fated(&left, &right, [Fate::Padded(vec![1; 30])]).unwrap();
        let (left, right) = bridge(|_, frame| vec![frame]);
        carry_fated(&left, &right, [Fate::Padded(vec![1; 30])]).unwrap_err();
        let (left, right) = bridge(|_, frame| vec![[frame, vec![7; 30]].concat()]);
        carry_fated(&left, &right, [Fate::Padded(vec![1; 30])]).unwrap_err();
    }

    #[test]
    fn a_frame_may_be_padded_with_zeros_or_not_at_all() {
        for (padding, is_fine) in
            [(vec![], true), (vec![0; 30], true), (vec![0; 29], false), (vec![7; 30], false)]
        {
            let (left, right) = bridge(move |_, frame| vec![[frame, padding.clone()].concat()]);
            let outcome = carry_fated(&left, &right, [Fate::MaybePadded(vec![1; 30])]);
            assert_eq!(outcome.is_ok(), is_fine, "{outcome:?}");
        }
    }

    #[test]
    fn a_frame_that_should_vanish_and_does_not_is_noticed() {
        let (left, right) = bridge(|_, frame| vec![frame]);
        let fates = [Fate::Arrives(vec![1; 60]), Fate::Vanishes(vec![2; 60]), Fate::Arrives(vec![3; 60])];
        carry_fated(&left, &right, fates.clone()).unwrap_err();
        let (left, right) = bridge(|number, frame| if number == 1 { vec![] } else { vec![frame] });
        carry_fated(&left, &right, fates).unwrap();
    }
}
