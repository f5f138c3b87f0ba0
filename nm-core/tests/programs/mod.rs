//! Programs as byte strings: what the heavy tests and the fuzz targets run.
//!
//! | module | what it runs | against |
//! |---|---|---|
//! | [`exchange`] | safe code that exchanges rings, slots and spares | each buffer in one place, each frame on its own interface |
//! | [`hostile`] | raw ports, written with anything | what must hold whatever they do; safe ports beside them |
//! | [`safe`] | safe ports | a naive ring and a naive card ([`naive`]) |
//! | [`words`] | names and tunables | what every name and value must keep |
//!
//! Every byte string is a program: it is read one operation at a time, an operation takes as many bytes as it needs, and
//! what is missing at the end counts as 0. So a generator, a fuzzer and a corpus can all write programs.
#![allow(dead_code, reason = "each test file and fuzz target uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

pub mod exchange;
pub mod hostile;
pub mod naive;
pub mod safe;
pub mod words;

/// What is left of a program.
pub struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next byte, if the program is not over.
    pub fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// A number below `n`, from one byte.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// Yes, once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    pub fn seed(&mut self) -> u64 {
        u64::from(self.word()) | u64::from(self.word()) << 32
    }

    /// A number that mostly is below `n`, and often enough one of those that break things.
    pub fn number(&mut self, n: u32) -> u32 {
        match self.byte() {
            byte @ 0..=215 => u32::from(byte) % (n + 2),
            216..=220 => n,
            221..=225 => n.wrapping_sub(1),
            226..=230 => u32::MAX,
            231..=235 => 1 << 31,
            236..=240 => 1 << 16,
            _ => self.word(),
        }
    }
}

/// Steele, Lea and Flood's SplitMix64, as a writer of programs.
pub struct SplitMix(pub u64);

impl SplitMix {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Fills `program` with the next one.
    pub fn write(&mut self, program: &mut [u8]) {
        program
            .chunks_mut(8)
            .for_each(|bytes| bytes.copy_from_slice(&self.next().to_le_bytes()[..bytes.len()]));
    }
}

/// Runs `run` for a program; when it fails, says which one it was.
pub fn named<R>(seed: u64, number: u64, run: impl FnOnce() -> R) -> R {
    struct Tell(u64, u64);
    impl Drop for Tell {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("program {} of seed {:#x} fails", self.1, self.0);
            }
        }
    }
    let _tell = Tell(seed, number);
    run()
}
