//! The registers of virtio over PCI by the legacy interface (section 4.1.4.10), and the rules of their use.

use std::sync::Mutex;

use super::{NetDevice, Violation};
use crate::bank::RegisterBank;
use crate::testing::lock;

const CONFIG: usize = 0x14;
/// Length of all registers, with the card's configuration.
const BYTES: usize = 32;
/// What the device multiplies the number of a page with, and aligns the used ring to.
const PAGE: u64 = 4096;

/// The registers of a [`NetDevice`] in io ports; it is one with [`Interface::Legacy`](super::Interface::Legacy).
#[derive(Debug)]
pub struct LegacyPciBank {
    device: NetDevice,
    selected: Mutex<Selected>,
}

/// The queue that is selected.
#[derive(Debug, Default)]
struct Selected {
    queue: u16,
    /// It was looked at since then.
    is_looked_at: bool,
}

impl LegacyPciBank {
    pub(super) fn new(device: NetDevice) -> Self {
        Self { device, selected: Mutex::default() }
    }

    /// Bytes of the configuration; all ones for a register of another length.
    fn read_config<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.device.read_config_in_bank(CONFIG, offset)
    }

    fn complain(&self, offset: usize) {
        self.device.complain_of_register(offset);
    }

    /// The number of the selected queue's first page.
    fn write_page(&self, page: u32) {
        let Selected { queue, is_looked_at } = *lock(&self.selected);
        let mut model = self.device.lock();
        if !is_looked_at {
            model.violations.push(Violation::QueueNotLookedAt { queue });
        }
        if page == 0 {
            model.violations.push(Violation::PageZero { queue });
        } else {
            model.write_queue_page(queue, u64::from(page) * PAGE, PAGE);
        }
    }
}

impl RegisterBank for LegacyPciBank {
    fn bytes(&self) -> usize {
        BYTES
    }

    fn read8(&self, offset: usize) -> u8 {
        match offset {
            0x12 => self.device.read_status(),
            0x13 => {
                let mut model = self.device.lock();
                let isr = model.isr();
                model.acknowledge(isr);
                isr
            }
            _ => u8::from_le_bytes(self.read_config(offset)),
        }
    }

    fn read16(&self, offset: usize) -> u16 {
        match offset {
            0x0c => self.device.queue_size(lock(&self.selected).queue),
            _ => u16::from_le_bytes(self.read_config(offset)),
        }
    }

    fn read32(&self, offset: usize) -> u32 {
        match offset {
            0x00 => {
                let [a, b, c, d, ..] = self.device.lock().setup.offered.bits().to_le_bytes();
                u32::from_le_bytes([a, b, c, d])
            }
            0x08 => {
                let mut selected = lock(&self.selected);
                selected.is_looked_at = true;
                u32::try_from(self.device.lock().queue_start(selected.queue) / PAGE).unwrap_or(u32::MAX)
            }
            _ => u32::from_le_bytes(self.read_config(offset)),
        }
    }

    fn write8(&self, offset: usize, value: u8) {
        if offset != 0x12 {
            return self.complain(offset);
        }
        self.device.write_status(value);
        if value == 0 {
            *lock(&self.selected) = Selected::default();
        }
    }

    fn write16(&self, offset: usize, value: u16) {
        match offset {
            0x0e => {
                let mut selected = lock(&self.selected);
                let is_looked_at = selected.is_looked_at && selected.queue == value;
                *selected = Selected { queue: value, is_looked_at };
            }
            0x10 => self.device.ring_doorbell(value),
            _ => self.complain(offset),
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        match offset {
            0x04 => self.device.write_features(value.into()),
            0x08 => self.write_page(value),
            _ => self.complain(offset),
        }
    }
}
