//! Configuration space made of bytes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use std::sync::Mutex;

use super::lock;
use crate::pci::Address;

/// Dwords in the configuration space of one function.
const DWORDS: usize = 64;

/// A function: what its registers hold, and which of their bits can be written.
#[derive(Debug, Clone)]
pub struct FakeFunction {
    dwords: [u32; DWORDS],
    writable: [u32; DWORDS],
}

impl Default for FakeFunction {
    /// A function with zeros in all registers, of which only the command register can be written.
    fn default() -> Self {
        let mut function = Self { dwords: [0; DWORDS], writable: [0; DWORDS] };
        function.set_writable(0x04, 0xffff);
        function
    }
}

impl FakeFunction {
    /// An endpoint with these ids.
    pub fn endpoint(vendor: u16, device: u16) -> Self {
        let mut function = Self::default();
        function.set(0x00, u32::from(device) << 16 | u32::from(vendor));
        function
    }

    /// A bridge to bus `secondary`.
    pub fn bridge(secondary: u8) -> Self {
        let mut function = Self::endpoint(0x1b36, 0x0001);
        function.set(0x08, 0x0604_0000);
        function.set(0x0c, 1 << 16);
        function.set(0x18, u32::from(secondary) << 8);
        function
    }

    /// Sets what the register at `offset` holds.
    pub fn set(&mut self, offset: u16, value: u32) {
        if let Some(dword) = self.dwords.get_mut(usize::from(offset / 4)) {
            *dword = value;
        }
    }

    /// Sets which bits of the register at `offset` can be written.
    pub fn set_writable(&mut self, offset: u16, bits: u32) {
        if let Some(dword) = self.writable.get_mut(usize::from(offset / 4)) {
            *dword = bits;
        }
    }

    /// Makes BAR `number` a memory BAR of `bytes` (a power of two) at `address`; of 64 bits, it takes `number + 1` too.
    pub fn set_memory_bar(&mut self, number: u8, address: u64, bytes: u64, is_64_bit: bool) {
        let offset = 0x10 + 4 * u16::from(number);
        let mask = !(bytes - 1);
        self.set(offset, low_half(address) | if is_64_bit { 4 } else { 0 });
        self.set_writable(offset, low_half(mask) & !0xf);
        if is_64_bit {
            self.set(offset + 4, low_half(address >> 32));
            self.set_writable(offset + 4, low_half(mask >> 32));
        }
    }

    /// Makes BAR `number` one of `ports` io ports (a power of two) from `first` on.
    pub fn set_port_bar(&mut self, number: u8, first: u16, ports: u16) {
        let offset = 0x10 + 4 * u16::from(number);
        self.set(offset, u32::from(first) | 1);
        self.set_writable(offset, !(u32::from(ports) - 1) & !3);
    }

    /// Puts a capability in front of the list: `body` follows its id and next pointer. `offset` is where, 0x40 or more.
    pub fn push_capability(&mut self, offset: u8, id: u8, body: &[u8]) {
        let next = self.get(0x34).to_le_bytes();
        let [next, ..] = next;
        let bytes: Vec<u8> = [id, next].iter().chain(body).copied().collect();
        for (i, chunk) in (0u16..).zip(bytes.chunks(4)) {
            let dword = chunk.iter().rev().fold(0, |dword, &byte| dword << 8 | u32::from(byte));
            self.set(u16::from(offset) + 4 * i, dword);
        }
        self.set(0x34, offset.into());
        self.set(0x04, self.get(0x04) | 1 << 20);
    }

    /// What the register at `offset` holds.
    pub fn get(&self, offset: u16) -> u32 {
        self.dwords.get(usize::from(offset / 4)).copied().unwrap_or(!0)
    }

    fn write(&mut self, offset: u16, value: u32) {
        let writable = self.writable.get(usize::from(offset / 4)).copied().unwrap_or(0);
        self.set(offset, self.get(offset) & !writable | value & writable);
    }
}

/// The low 32 bits.
fn low_half(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A configuration space with functions at chosen addresses. It notes every write.
#[derive(Debug, Default)]
pub struct FakePci {
    functions: Mutex<BTreeMap<Address, FakeFunction>>,
    writes: Mutex<Vec<(Address, u16, u32)>>,
}

impl FakePci {
    /// Puts a function at `address`.
    pub fn insert(&self, address: Address, function: FakeFunction) {
        lock(&self.functions).insert(address, function);
    }

    /// The function at `address` as it is now.
    pub fn function(&self, address: Address) -> Option<FakeFunction> {
        lock(&self.functions).get(&address).cloned()
    }

    /// All writes so far: where, offset, value.
    pub fn writes(&self) -> Vec<(Address, u16, u32)> {
        lock(&self.writes).clone()
    }
}

/// What a machine makes a [`ConfigSpace`](crate::pci::ConfigSpace) of.
impl FakePci {
    pub(super) fn read(&self, at: Address, offset: u16) -> u32 {
        lock(&self.functions).get(&at).map_or(!0, |function| function.get(offset))
    }

    pub(super) fn write(&self, at: Address, offset: u16, value: u32) {
        lock(&self.writes).push((at, offset, value));
        if let Some(function) = lock(&self.functions).get_mut(&at) {
            function.write(offset, value);
        }
    }
}
