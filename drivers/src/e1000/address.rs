//! The station address: from the card's registers, else from its EEPROM.

use nm_driver::platform::Platform;

use super::registers::{ADDRESS_VALID, Registers, eerd};
use super::{Model, Offset};
use crate::wait::wait_until;

/// How long a word of the EEPROM may take; a slow one needs about 30 µs.
const WORD_NS: u64 = 10_000_000;

/// The address that the card has after a reset: the one it loaded into its first filter, else the one in the first
/// three words of its EEPROM (section 5.6.1). `None` if neither is a station's.
pub(super) fn read(registers: &Registers, model: Model, platform: &dyn Platform) -> Option<[u8; 6]> {
    from_filter(registers).or_else(|| from_eeprom(registers, model, platform))
}

/// Has the card know `address` as its own.
pub(super) fn write(registers: &Registers, address: [u8; 6]) {
    let [a, b, c, d, e, f] = address;
    registers.write(Offset::Ral0, u32::from_le_bytes([a, b, c, d]));
    registers.write(Offset::Rah0, u32::from_le_bytes([e, f, 0, 0]) | ADDRESS_VALID);
}

fn from_filter(registers: &Registers) -> Option<[u8; 6]> {
    let [a, b, c, d] = registers.read(Offset::Ral0).to_le_bytes();
    let high = registers.read(Offset::Rah0);
    let [e, f, ..] = high.to_le_bytes();
    Some([a, b, c, d, e, f]).filter(|address| high & ADDRESS_VALID != 0 && is_station(*address))
}

fn from_eeprom(registers: &Registers, model: Model, platform: &dyn Platform) -> Option<[u8; 6]> {
    let word = |number| Some(read_word(registers, model, platform, number)?.to_le_bytes());
    let ([a, b], [c, d], [e, f]) = (word(0)?, word(1)?, word(2)?);
    Some([a, b, c, d, e, f]).filter(|address| is_station(*address))
}

fn read_word(registers: &Registers, model: Model, platform: &dyn Platform, number: u32) -> Option<u16> {
    let (address_shift, done) = model.eeprom_layout();
    registers.write(Offset::Eerd, number << address_shift | eerd::START);
    let is_there = wait_until(platform, WORD_NS, || registers.read(Offset::Eerd) & done != 0);
    is_there.then(|| (registers.read(Offset::Eerd) >> eerd::DATA_SHIFT) as u16)
}

/// Whether a station can have this address: it is no group's, and not all zeros.
fn is_station(address: [u8; 6]) -> bool {
    let [first, ..] = address;
    first & 1 == 0 && address != [0; 6]
}
