//! How large the rings of an interface are.

use core::fmt;

use super::users::Rings;

/// Rings are not made smaller than this for want of buffers.
const SLOTS_MIN: u32 = 16;

/// Slots of each ring of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) tx: u32,
    pub(crate) rx: u32,
    /// Of the host rings, 0 without a stack.
    pub(crate) host: u32,
}

impl Slots {
    /// The sizes that fit into `share` buffers, as far as halving leads: host rings first, until they are no larger than
    /// the hardware's, then all.
    pub(super) fn shrink(mut self, rings: Rings, share: u32) -> Self {
        let half = |slots: u32| (slots / 2).max(slots.min(SLOTS_MIN));
        while self.total(rings) > u64::from(share) {
            let before = self;
            self.host = half(self.host);
            if before.host <= before.tx.max(before.rx) || before.host == self.host {
                (self.tx, self.rx) = (half(self.tx), half(self.rx));
            }
            if before == self {
                break;
            }
        }
        self
    }

    /// Slots of all rings.
    fn total(self, rings: Rings) -> u64 {
        let all = |rings: u16, slots: u32| u64::from(rings) * u64::from(slots);
        let Rings { tx, rx, host_tx, host_rx } = rings;
        all(tx, self.tx) + all(rx, self.rx) + all(host_tx, self.host) + all(host_rx, self.host)
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tx, self.rx)?;
        if self.host > 0 { write!(f, "/host {}", self.host) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_rings_shrink_first_and_no_ring_below_sixteen() {
        let rings = Rings { tx: 1, rx: 1, host_tx: 1, host_rx: 1 };
        let wanted = Slots { tx: 256, rx: 256, host: 1024 };
        let sizes = |share| {
            let Slots { tx, rx, host } = wanted.shrink(rings, share);
            (tx, rx, host)
        };
        assert_eq!(sizes(2560), (256, 256, 1024));
        assert_eq!(sizes(2559), (256, 256, 512));
        assert_eq!(sizes(1024), (256, 256, 256));
        assert_eq!(sizes(1023), (128, 128, 128));
        assert_eq!(sizes(0), (16, 16, 16));
        assert_eq!(Slots { tx: 8, rx: 64, host: 0 }.shrink(rings, 0), Slots { tx: 8, rx: 16, host: 0 });
        let few = Slots { tx: 64, rx: 64, host: 8 }.shrink(rings, 100);
        assert_eq!(few, Slots { tx: 32, rx: 32, host: 8 });
        let most = Rings { tx: 65535, rx: 65535, host_tx: 0, host_rx: 0 };
        let largest = Slots { tx: 65535, rx: 65535, host: 0 };
        assert_eq!(largest.shrink(most, u32::MAX), Slots { tx: 32767, rx: 32767, host: 0 });
    }
}
