//! What the device owns.

use alloc::vec::Vec;

use crate::testing::FakeMachine;

/// A buffer that the device owns.
#[derive(Debug, Clone)]
pub struct Owned {
    /// Its descriptors, in order.
    pub parts: Vec<Part>,
    /// What was in the buffer, where the device is to read it.
    pub contents: Option<Vec<u8>>,
}

/// One descriptor of it.
#[derive(Debug, Clone)]
pub struct Part {
    pub id: u16,
    pub address: u64,
    pub bytes: u32,
    /// The descriptor as it was.
    pub descriptor: [u8; 16],
}

impl Owned {
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
