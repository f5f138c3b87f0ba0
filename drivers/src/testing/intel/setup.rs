//! What a model of the card is, and how it misbehaves.

use crate::e1000::Model;
use crate::testing::Slow;

/// What the card is.
#[derive(Debug, Clone)]
pub struct IntelSetup {
    /// Which card.
    pub model: Model,
    /// The station address in its first filter after a reset; `None` if that is not valid.
    pub filter_mac: Option<[u8; 6]>,
    /// The station address in its EEPROM; `None` if it cannot be read.
    pub eeprom_mac: Option<[u8; 6]>,
    /// The link has a carrier.
    pub is_link_up: bool,
    /// Misbehaviour.
    pub quirks: IntelQuirks,
}

/// Misbehaviour; by default there is none.
#[derive(Debug, Clone, Default)]
pub struct IntelQuirks {
    /// How many looks do not show the end of a reset yet.
    pub slow_reset: Slow,
    /// How many looks show requests on PCI Express after they were forbidden.
    pub slow_quiet: Slow,
    /// A reset leaves the registers of the rings as they are, as QEMU's cards do.
    pub keeps_rings: bool,
    /// Nothing cuts the card off from memory.
    pub cannot_be_cut_off: bool,
    /// It does not answer: all registers read as ones.
    pub is_gone: bool,
}

impl Default for IntelSetup {
    /// QEMU's `e1000`.
    fn default() -> Self {
        let mac = Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        Self {
            model: Model::I82540em,
            filter_mac: mac,
            eeprom_mac: mac,
            is_link_up: true,
            quirks: IntelQuirks::default(),
        }
    }
}

impl IntelSetup {
    /// The default, as this card.
    pub fn of(model: Model) -> Self {
        Self { model, ..Self::default() }
    }
}
