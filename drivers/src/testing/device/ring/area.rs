//! Where the memory of a queue is, and the descriptors in it.

use alloc::sync::Arc;

use super::place::{Place, Terms};
use crate::testing::FakeMachine;
use crate::testing::device::Violation;

/// Where the memory is, and whose.
#[derive(Debug, Clone)]
pub struct Area {
    pub machine: Arc<FakeMachine>,
    pub queue: u16,
    pub place: Place,
    pub terms: Terms,
}

/// A descriptor, taken apart. Its last four bytes have another meaning in each format.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    pub bytes: [u8; 16],
    pub address: u64,
    pub len: u32,
    pub last: [u16; 2],
}

impl Area {
    /// The bytes of a descriptor, unless they do not lie in memory.
    pub fn descriptor_bytes(&self, number: u16) -> Option<[u8; 16]> {
        self.machine.read_array(self.place.descriptors + 16 * u64::from(number))
    }

    pub fn descriptor(&self, number: u16) -> Result<Descriptor, Violation> {
        let bytes = self.descriptor_bytes(number).ok_or(self.gone())?;
        let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, x0, x1, y0, y1] = bytes;
        Ok(Descriptor {
            bytes,
            address: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            last: [u16::from_le_bytes([x0, x1]), u16::from_le_bytes([y0, y1])],
        })
    }

    /// The queue's memory is not there.
    pub fn gone(&self) -> Violation {
        Violation::QueueOutsideMemory { queue: self.queue }
    }
}
