//! The registers of virtio over PCI by the legacy interface (section 4.1.4.10), and the rules of their use.

use alloc::sync::Arc;
use std::sync::Mutex;

use super::{NetDevice, Violation};
use crate::registers::{IoRegion, halves};
use crate::testing::lock;
use crate::testing::machine::ModelRegion;
use crate::testing::region::RegisterModel;

const CONFIG: usize = 0x14;
/// Length of all registers, with the card's configuration.
const BYTES: usize = 32;
/// What the device multiplies the number of a page with, and aligns the used ring to.
const PAGE: u64 = 4096;

/// For the driver.
impl NetDevice {
    /// The card's registers on PCI, by the legacy interface.
    pub fn legacy_pci_registers(&self) -> Arc<dyn IoRegion> {
        Arc::new(ModelRegion::new(Arc::new(LegacyPciBank::new(self.clone()))))
    }
}

/// The registers of a [`NetDevice`] in io ports; it is one with [`Interface::Legacy`](super::Interface::Legacy).
#[derive(Debug)]
struct LegacyPciBank {
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
    fn new(device: NetDevice) -> Self {
        Self { device, selected: Mutex::default() }
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

impl RegisterModel for LegacyPciBank {
    fn bytes(&self) -> usize {
        BYTES
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        match (offset, width) {
            (0x00, 4) => {
                let [offered, _] = halves(self.device.lock().setup.offered.bits());
                offered
            }
            (0x08, 4) => {
                let mut selected = lock(&self.selected);
                selected.is_looked_at = true;
                u32::try_from(self.device.lock().queue_start(selected.queue) / PAGE).unwrap_or(u32::MAX)
            }
            (0x0c, 2) => self.device.queue_size(lock(&self.selected).queue).into(),
            (0x12, 1) => self.device.read_status().into(),
            (0x13, 1) => {
                let mut model = self.device.lock();
                let isr = model.isr();
                model.acknowledge(isr);
                isr.into()
            }
            _ => self.device.read_config_in_bank(CONFIG, offset, width),
        }
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        match (offset, width) {
            (0x04, 4) => self.device.write_features(value.into()),
            (0x08, 4) => self.write_page(value),
            (0x0e, 2) => {
                let mut selected = lock(&self.selected);
                let queue = value as u16;
                let is_looked_at = selected.is_looked_at && selected.queue == queue;
                *selected = Selected { queue, is_looked_at };
            }
            (0x10, 2) => self.device.ring_doorbell(value as u16),
            (0x12, 1) => {
                self.device.write_status(value as u8);
                if value == 0 {
                    *lock(&self.selected) = Selected::default();
                }
            }
            _ => self.device.complain_of_register(offset),
        }
    }
}
