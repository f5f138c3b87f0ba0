//! What kind of card.

use alloc::vec::Vec;
use core::fmt;

use crate::nic::NicInfo;

/// In which order a card finishes with buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they were posted.
    Posted,
    /// The youngest first.
    Reversed,
    /// Any, by a generator with this seed.
    Shuffled(u64),
}

/// What kind of card. All that it does by chance comes from the seed of its [`Order`], so it does it again next time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardSpec {
    /// What it says of itself.
    pub info: NicInfo,
    /// The most queues that it will ever have, each way; `None` for those that it has.
    pub queues_max: Option<(u16, u16)>,
    /// How it completes.
    pub order: Order,
    /// Whether [`Nic::start`](crate::nic::Nic::start) succeeds.
    pub starts: bool,
    /// Whether the card stops when it is told to. If not, it goes on with the buffers that it has.
    pub stops: bool,
    /// The longest time that each transmit queue takes to report a sent frame, counted in looks at the card. Queues beyond
    /// the list take none.
    pub tx_delays: Vec<u32>,
    /// The longest time that each receive queue takes to show a frame, counted likewise.
    pub rx_delays: Vec<u32>,
    /// One `put` in so many is answered by "full" though there is room; 0 for none.
    pub full_one_in: u32,
    /// The card breaks down when it has moved so many frames, and again after each start.
    pub breaks_after: Option<u64>,
}

impl CardSpec {
    /// A card with one ring of `slots` slots each way that completes in `order`, without delay; `number` makes its
    /// address unique. It spreads frames over several receive buffers of any length, and sends frames of several slots.
    pub fn new(number: u8, slots: u16, order: Order) -> Self {
        let mac = [0x52, 0x54, 0, 0, 0, number];
        Self {
            info: NicInfo::scattering(mac, (1, 1), slots),
            queues_max: None,
            order,
            starts: true,
            stops: true,
            tx_delays: Vec::new(),
            rx_delays: Vec::new(),
            full_one_in: 0,
            breaks_after: None,
        }
    }

    /// The same card with this many queues.
    pub fn with_queues(mut self, tx: u16, rx: u16) -> Self {
        (self.info.tx_queues, self.info.rx_queues) = (tx, rx);
        self
    }

    /// The same card, which can come to have this many queues ([`Wire::reconfigure`](super::Wire::reconfigure)).
    pub fn with_queues_max(mut self, tx: u16, rx: u16) -> Self {
        self.queues_max = Some((tx, rx));
        self
    }

    /// A card that `seed` draws: up to four queues each way, rings of 2 to 65 slots, each queue with a delay of its own,
    /// completions out of order, queues that are full for no reason. It does not break down.
    pub fn simulated(number: u8, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut below = |n: u64| random.below(n) as u16;
        let (tx, rx) = (1 + below(4), 1 + below(4));
        let mut spec = Self::new(number, 2 + below(64), Order::Shuffled(seed)).with_queues(tx, rx);
        spec.info.rx_slots = 2 + below(64);
        spec.tx_delays = (0..tx).map(|_| u32::from(below(6))).collect();
        spec.rx_delays = (0..rx).map(|_| u32::from(below(6))).collect();
        spec.full_one_in = 5 * u32::from(below(3));
        spec
    }
}

/// The fake card was told not to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardError;

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card was told not to start")
    }
}

impl core::error::Error for CardError {}

/// Marsaglia's xorshift64: small, and the same numbers for the same seed.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Similar seeds give different numbers.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`; 0 if there is none.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n.max(1)
    }
}
