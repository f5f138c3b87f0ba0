//! The capability list (section 6.7).

use super::config::{STATUS_CAPABILITIES, register};
use super::{Address, ConfigSpace};

/// Most capabilities that fit: 192 bytes behind the header, 4 bytes the shortest.
const MAX_STEPS: u8 = 48;

/// In the message control register of MSI, the upper half of the first dword: messages are sent, and INTx is not used.
pub(crate) const MSI_ENABLE: u32 = 1 << 16;
/// The same in that of MSI-X.
pub(crate) const MSI_X_ENABLE: u32 = 1 << (16 + 15);

/// Kind of a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityId(pub u8);

impl CapabilityId {
    /// MSI: interrupts as messages, from registers.
    pub const MSI: Self = Self(0x05);
    /// MSI-X: interrupts as messages, from a table.
    pub const MSI_X: Self = Self(0x11);
    /// Vendor specific: what is in it, the vendor says (virtio uses it).
    pub const VENDOR: Self = Self(0x09);
}

/// One capability of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Its kind.
    pub id: CapabilityId,
    /// Where it starts in configuration space, a multiple of 4, 0x40 to 0xfc.
    pub offset: u16,
    address: Address,
}

impl Capability {
    /// Reads the dword `byte` bytes (a multiple of 4) behind the capability's start. `None` beyond the 256 bytes that
    /// capabilities live in.
    pub fn read32(&self, config: &dyn ConfigSpace, byte: u16) -> Option<u32> {
        Some(config.read32(self.address, self.register(byte)?))
    }

    /// Writes the dword `byte` bytes behind the capability's start, as [`read32`](Self::read32) reads it.
    pub fn write32(&self, config: &dyn ConfigSpace, byte: u16, value: u32) -> Option<()> {
        config.write32(self.address, self.register(byte)?, value);
        Some(())
    }

    fn register(&self, byte: u16) -> Option<u16> {
        let offset = self.offset.checked_add(byte)?;
        (offset <= 0xfc && offset.is_multiple_of(4)).then_some(offset)
    }
}

/// Iterator over a function's capabilities, in the list's order.
///
/// It ends at the first pointer into the header, at the first capability seen before, and after 48 steps at most.
pub struct Capabilities<'a> {
    config: &'a dyn ConfigSpace,
    address: Address,
    next: u8,
    steps: u8,
    /// One bit for each dword that a capability was found at.
    visited: u64,
}

impl<'a> Capabilities<'a> {
    pub(super) fn of(config: &'a dyn ConfigSpace, address: Address) -> Self {
        let has_list = config.read32(address, register::COMMAND_AND_STATUS) & STATUS_CAPABILITIES != 0;
        let next = if has_list { pointer(config.read32(address, register::CAPABILITIES_POINTER)) } else { 0 };
        Self { config, address, next, steps: 0, visited: 0 }
    }
}

impl Iterator for Capabilities<'_> {
    type Item = Capability;

    fn next(&mut self) -> Option<Capability> {
        let seen = 1u64 << (self.next >> 2);
        if self.next < 0x40 || self.steps == MAX_STEPS || self.visited & seen != 0 {
            return None;
        }
        self.steps += 1;
        self.visited |= seen;
        let offset = u16::from(self.next);
        let head = self.config.read32(self.address, offset);
        let [id, ..] = head.to_le_bytes();
        self.next = pointer(head >> 8);
        Some(Capability { id: CapabilityId(id), offset, address: self.address })
    }
}

impl core::fmt::Debug for Capabilities<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Capabilities")
            .field("address", &self.address)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The pointer in the lowest byte; its two low bits are reserved and to be masked.
fn pointer(register: u32) -> u8 {
    let [low, ..] = register.to_le_bytes();
    low & !3
}
