//! The registers of virtio-mmio (sections 4.2.2 and 4.2.4), and the rules of their use.

use alloc::sync::Arc;
use std::sync::{Mutex, MutexGuard};

use super::model::Model;
use super::{NetDevice, Violation};
use crate::registers::IoRegion;
use crate::testing::lock;
use crate::testing::machine::ModelRegion;
use crate::testing::region::RegisterModel;
use crate::virtio::transport::QueuePlace;

const CONFIG: usize = 0x100;
/// Length of all registers, with the card's configuration.
const BYTES: usize = 0x200;

/// A version of the registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MmioVersion {
    /// 1, for devices with [`Interface::Legacy`](super::Interface::Legacy).
    V1,
    /// 2, for devices with [`Interface::Modern`](super::Interface::Modern).
    V2,
}

/// For the driver.
impl NetDevice {
    /// The card's registers on virtio-mmio.
    pub fn mmio_registers(&self, version: MmioVersion) -> Arc<dyn IoRegion> {
        Arc::new(ModelRegion::new(Arc::new(MmioBank::new(self.clone(), version))))
    }
}

/// The registers of a [`NetDevice`] on virtio-mmio.
#[derive(Debug)]
struct MmioBank {
    device: NetDevice,
    version: MmioVersion,
    selection: Mutex<Selection>,
}

/// What the driver has selected, and written in parts.
#[derive(Debug, Default)]
struct Selection {
    offered_word: u32,
    accepted_word: u32,
    queue: u16,
    /// The queue was looked at since it was selected last.
    is_looked_at: bool,
    place: QueuePlace,
    /// Entries, as far as they were written; version 1 only, as the two below.
    entries: Option<u32>,
    align: Option<u32>,
    page_bytes: Option<u32>,
}

impl MmioBank {
    fn new(device: NetDevice, version: MmioVersion) -> Self {
        Self { device, version, selection: Mutex::default() }
    }

    fn selection(&self) -> MutexGuard<'_, Selection> {
        lock(&self.selection)
    }
}

impl RegisterModel for MmioBank {
    fn bytes(&self) -> usize {
        BYTES
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        if offset >= CONFIG || width != 4 {
            return self.device.read_config_in_bank(CONFIG, offset, width);
        }
        let value = self.selection().read(&mut self.device.lock(), self.version, offset);
        value.unwrap_or_else(|| {
            self.device.complain_of_register(offset);
            0
        })
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        let write = || self.selection().write(&mut self.device.lock(), self.version, offset, value);
        if width != 4 || write().is_none() {
            self.device.complain_of_register(offset);
        }
    }
}

impl Selection {
    /// Reads a register; `None` if that cannot be done.
    fn read(&mut self, model: &mut Model, version: MmioVersion, offset: usize) -> Option<u32> {
        let is_v1 = version == MmioVersion::V1;
        Some(match offset {
            0x000 => u32::from_le_bytes(*b"virt"),
            0x004 => 2 - u32::from(is_v1),
            0x008 => 1,
            // The vendor, which no driver reads.
            0x00c => 0,
            0x010 if is_v1 && self.offered_word != 0 => 0,
            0x010 => word(model.setup.offered.bits(), self.offered_word),
            0x034 => model.offered_queue_size(self.queue).into(),
            0x040 if is_v1 => {
                self.is_looked_at = true;
                u32::try_from(model.queue_start(self.queue) >> 12).unwrap_or(u32::MAX)
            }
            0x044 if !is_v1 => {
                self.is_looked_at = true;
                model.is_queue_enabled(self.queue).into()
            }
            0x060 => model.isr().into(),
            0x070 => model.read_status().into(),
            0x0fc if !is_v1 => {
                model.config_reads.look();
                model.generation
            }
            _ => return None,
        })
    }

    /// Writes a register; `None` if that cannot be done.
    fn write(&mut self, model: &mut Model, version: MmioVersion, offset: usize, value: u32) -> Option<()> {
        let is_v1 = version == MmioVersion::V1;
        match offset {
            0x014 => self.offered_word = value,
            0x020 => model.write_features(with_word(model.registers.accepted, self.accepted_word, value)),
            0x024 => self.accepted_word = value,
            0x028 if is_v1 => self.page_bytes = Some(value),
            0x030 => self.select(u16::try_from(value).unwrap_or(u16::MAX)),
            0x038 => {
                self.check_looked_at(model);
                model.write_queue_size(self.queue, u16::try_from(value).unwrap_or(u16::MAX));
                self.entries = Some(value);
            }
            0x03c if is_v1 => self.align = Some(value),
            0x040 if is_v1 => self.write_page(model, value),
            0x044 if !is_v1 && value == 1 => model.enable_queue(self.queue),
            0x050 => model.ring_doorbell(u16::try_from(value).unwrap_or(u16::MAX)),
            0x064 => model.acknowledge(u8::try_from(value).ok()?),
            0x070 => {
                model.write_status(u8::try_from(value).ok()?);
                if value == 0 {
                    *self = Self::default();
                }
            }
            0x080 | 0x084 | 0x090 | 0x094 | 0x0a0 | 0x0a4 if !is_v1 => {
                self.write_address(model, offset, value)
            }
            _ => return None,
        }
        Some(())
    }

    fn select(&mut self, queue: u16) {
        if queue != self.queue {
            let Self { offered_word, accepted_word, page_bytes, .. } = *self;
            *self = Self { offered_word, accepted_word, page_bytes, queue, ..Self::default() };
        }
    }

    /// One half of the address of a part of the queue.
    fn write_address(&mut self, model: &mut Model, offset: usize, value: u32) {
        self.check_looked_at(model);
        let QueuePlace { descriptors, available, used, .. } = &mut self.place;
        let part = match offset & !4 {
            0x080 => descriptors,
            0x090 => available,
            _ => used,
        };
        *part = with_word(*part, u32::from(offset & 4 != 0), value);
        model.write_queue_addresses(self.queue, self.place);
    }

    /// The number of the queue's first page.
    fn write_page(&mut self, model: &mut Model, page: u32) {
        let queue = self.queue;
        self.check_looked_at(model);
        match (self.page_bytes, self.align, self.entries) {
            _ if page == 0 => model.violations.push(Violation::PageZero { queue }),
            (Some(bytes), Some(align), Some(_)) if bytes.is_power_of_two() && align.is_power_of_two() => {
                model.write_queue_page(queue, u64::from(page) * u64::from(bytes), align.into());
            }
            _ => model.violations.push(Violation::PageOutOfOrder { queue }),
        }
    }

    fn check_looked_at(&self, model: &mut Model) {
        if !self.is_looked_at {
            model.violations.push(Violation::QueueNotLookedAt { queue: self.queue });
        }
    }
}

/// Word 0 or 1 of a register of 64 bits; zero beyond.
fn word(value: u64, number: u32) -> u32 {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    match number {
        0 => u32::from_le_bytes([a, b, c, d]),
        1 => u32::from_le_bytes([e, f, g, h]),
        _ => 0,
    }
}

/// The same register with word 0 or 1 replaced.
fn with_word(value: u64, number: u32, word: u32) -> u64 {
    match number {
        0 => value & !0xffff_ffff | u64::from(word),
        1 => value & 0xffff_ffff | u64::from(word) << 32,
        _ => value,
    }
}
