//! The cards, and how they differ.

use core::fmt;

/// Which card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Desktop card on PCI; QEMU's `e1000`.
    I82540em,
    /// Server card on PCI-X, as EI (device id 0x1008) or GC (0x100c); the latter is QEMU's `e1000-82544gc`.
    I82544,
    /// Server card on PCI-X; QEMU's `e1000-82545em`.
    I82545em,
    /// Card on PCI Express; QEMU's `e1000e`.
    I82574l,
}

impl Model {
    /// Whether it sits on PCI Express, and says when it has no more requests of its own under way.
    pub(super) fn is_express(self) -> bool {
        self == Self::I82574l
    }

    /// Where the word's address begins in EERD, and the bit that says that the word is there (section 13.4.4; 82574L
    /// datasheet, EERD).
    pub(super) fn eeprom_layout(self) -> (u32, u32) {
        if self.is_express() { (2, 1 << 1) } else { (8, 1 << 4) }
    }

    /// The gaps between frames for copper (section 13.4.34, table 13-77), which a reset leaves undefined; `None` where the
    /// reset sets them.
    pub(super) fn frame_gaps(self) -> Option<u32> {
        let back_to_back = match self {
            Self::I82574l => return None,
            Self::I82544 => 8,
            Self::I82540em | Self::I82545em => 10,
        };
        Some(back_to_back | 8 << 10 | 6 << 20)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I82540em => "82540EM",
            Self::I82544 => "82544EI/GC",
            Self::I82545em => "82545EM",
            Self::I82574l => "82574L",
        })
    }
}
