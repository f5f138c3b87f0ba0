//! Frames that are made, and checked, from their sequence number alone.
//!
//! A frame is an Ethernet header, its sequence number, and a stretch of one block of noise; how long it is
//! and where the stretch starts follow from seed and number.

use std::ops::RangeInclusive;

use anyhow::{Result, bail, ensure};
use fastrand::Rng;

use crate::frames::{EXPERIMENTAL, HEADER, LONGEST, SHORTEST, seed};
use crate::wire::LONGEST_FRAME;

/// Bytes of noise that the contents are cut from.
const NOISE: usize = 1 << 16;
/// Where the noise begins: behind header and sequence number.
const CONTENT: usize = HEADER + 8;

/// What the frames look like.
#[derive(Debug, Clone)]
pub struct Pattern {
    seed: u64,
    lengths: RangeInclusive<usize>,
    noise: Vec<u8>,
}

impl Pattern {
    /// Frames with lengths within `lengths`, each at least 22 bytes for header and sequence number.
    pub fn new(seed: u64, lengths: RangeInclusive<usize>) -> Self {
        let mut noise = vec![0; NOISE + LONGEST_FRAME];
        Rng::with_seed(seed).fill(&mut noise);
        Self { seed, lengths, noise }
    }

    /// Writes frame `number` to `frame`.
    pub fn write(&self, number: u64, frame: &mut Vec<u8>) {
        frame.clear();
        frame.extend([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1]);
        frame.extend(EXPERIMENTAL.to_be_bytes());
        frame.extend(number.to_be_bytes());
        frame.extend_from_slice(self.content(number));
    }

    /// The number that `frame` carries, if it is long enough to carry one.
    pub fn number(frame: &[u8]) -> Option<u64> {
        let (_, number) = frame.get(..CONTENT)?.split_last_chunk()?;
        Some(u64::from_be_bytes(*number))
    }

    /// Whether `frame` is frame `number` and nothing else.
    pub fn check(&self, number: u64, frame: &[u8]) -> Result<()> {
        let content = self.content(number);
        let Some((head, tail)) = frame.split_at_checked(CONTENT) else {
            bail!("frame {number} should come, but one of {} bytes came", frame.len());
        };
        let carried = Self::number(head).unwrap_or_default();
        ensure!(carried == number, "frame {number} should come, but {carried} came ({} bytes)", frame.len());
        ensure!(
            tail.len() == content.len(),
            "frame {number} has {} bytes instead of {}",
            tail.len(),
            content.len()
        );
        ensure!(tail == content, "the content of frame {number} was changed");
        Ok(())
    }

    fn content(&self, number: u64) -> &[u8] {
        let mut random = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let length = random.usize(self.lengths.clone()).saturating_sub(CONTENT);
        let start = random.usize(..NOISE);
        self.noise.get(start..start + length).unwrap_or_default()
    }
}

impl Default for Pattern {
    /// Every length that a standard Ethernet has.
    fn default() -> Self {
        Self::new(seed(), SHORTEST..=LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_by_its_number_and_each_of_its_bytes() {
        let pattern = Pattern::default();
        let mut frame = Vec::new();
        for number in [0, 1, 77, u64::MAX] {
            pattern.write(number, &mut frame);
            assert!((SHORTEST..=LONGEST).contains(&frame.len()));
            pattern.check(number, &frame).unwrap();
            pattern.check(number ^ 1, &frame).unwrap_err();
            for at in HEADER..frame.len() {
                frame[at] ^= 0x10;
                pattern.check(number, &frame).unwrap_err();
                frame[at] ^= 0x10;
            }
            pattern.check(number, &frame[..frame.len() - 1]).unwrap_err();
            pattern.check(number, &frame[..10]).unwrap_err();
        }
    }
}
