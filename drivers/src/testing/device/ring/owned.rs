//! What the device owns.

use alloc::vec::Vec;

use super::area::Descriptor;
use crate::testing::FakeMachine;

/// A buffer that the device owns.
#[derive(Debug, Clone)]
pub struct Owned {
    /// Its descriptors, in order.
    pub parts: Vec<Part>,
    /// How many of the queue's positions it takes.
    pub positions: u64,
    /// What was in the buffer, where the device is to read it.
    pub contents: Option<Vec<u8>>,
}

/// One descriptor of it.
#[derive(Debug, Clone)]
pub struct Part {
    /// Which of the queue's descriptors it is.
    pub number: u16,
    pub address: u64,
    pub bytes: u32,
    /// Its flags but those that say who owns it.
    pub flags: u16,
    /// The descriptor as it was.
    pub descriptor: [u8; 16],
}

impl Part {
    pub fn new(number: u16, descriptor: &Descriptor, flags: u16) -> Self {
        let Descriptor { bytes, address, len, .. } = *descriptor;
        Self { number, address, bytes: len, flags, descriptor: bytes }
    }
}

impl Owned {
    /// Address and length of its parts.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u32)> {
        self.parts.iter().map(|part| (part.address, part.bytes))
    }

    /// Bytes in all parts.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes as usize).sum()
    }

    /// What is in it, if all of it lies in memory.
    pub fn read(&self, machine: &FakeMachine) -> Option<Vec<u8>> {
        let parts = self.parts.iter().map(|part| machine.read(part.address, part.bytes as usize));
        Some(parts.collect::<Option<Vec<_>>>()?.concat())
    }

    /// Writes to its start, if the parts that it takes lie in memory.
    pub fn write(&self, machine: &FakeMachine, mut packet: &[u8]) -> Option<()> {
        for part in &self.parts {
            let (here, behind) = packet.split_at_checked(part.bytes as usize).unwrap_or((packet, &[]));
            machine.write(part.address, here)?;
            packet = behind;
        }
        Some(())
    }
}
