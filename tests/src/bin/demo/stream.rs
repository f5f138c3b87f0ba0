//! What is downloaded: a pseudo-random stream from a seed, which both ends can make.

use std::io::{self, Write};

use fastrand::Rng;
use sha2::{Digest, Sha256};

/// Bytes that are made at a time. Both ends must agree, since a generator's leftover bytes are not kept.
const BLOCK: usize = 1 << 16;

/// Writes the first `bytes` bytes of the stream that follows from `seed`.
pub fn write(seed: u64, bytes: u64, to: &mut impl Write) -> io::Result<()> {
    let mut random = Rng::with_seed(seed);
    let mut block = vec![0; BLOCK];
    let mut left = bytes;
    while left > 0 {
        random.fill(&mut block);
        let length = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        to.write_all(block.get(..length).unwrap_or_default())?;
        left -= length as u64;
    }
    to.flush()
}

/// The SHA-256 of what [`write()`] writes.
pub fn hash(seed: u64, bytes: u64) -> io::Result<[u8; 32]> {
    let mut hasher = Hasher(Sha256::new());
    write(seed, bytes, &mut hasher)?;
    Ok(hasher.0.finalize().into())
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_stream_begins_with_the_shorter() {
        let (mut short, mut long) = (Vec::new(), Vec::new());
        write(7, 100, &mut short).unwrap();
        write(7, 3 * BLOCK as u64 + 1, &mut long).unwrap();
        assert_eq!(long.len(), 3 * BLOCK + 1);
        assert!(long.starts_with(&short));
        assert_eq!(hash(7, 100).unwrap(), <[u8; 32]>::from(Sha256::digest(&short)));
        assert_ne!(hash(8, 100).unwrap(), hash(7, 100).unwrap());
    }
}
