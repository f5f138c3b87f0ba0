//! I/O APICs: which vector of which processor the lines of devices lead to (Intel 82093AA datasheet, chapter 3).
//!
//! Where they are, the MADT says. On a machine without one (microvm with `acpi=off`) the place that every PC has for its
//! first is looked at: there is one if its version register says so.

use alloc::sync::Arc;
use alloc::vec::Vec;

use millrace_acpi::tables::{Description, InterruptInput, IoApic, Polarity, Trigger};
use millrace_drivers::hal::{Hal, Message};
use millrace_drivers::registers::IoRegion;
use spin::Mutex;
use x86_64::instructions::interrupts::without_interrupts;

/// Bytes of its registers: one selects another, whose content is in the second.
const BYTES: usize = 0x20;
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;

/// The version, with the number of the last input.
const VERSION: u32 = 1;
/// The first entry of the table, of two registers each.
const TABLE: u32 = 0x10;
/// In an entry: the input does not interrupt.
const MASKED: u32 = 1 << 16;
const LEVEL: u32 = 1 << 15;
const LOW: u32 = 1 << 13;
/// The most inputs that one can have: the table ends with the registers.
const INPUTS_MAX: u32 = 120;

/// Where the first is on a machine that does not say (3.1).
const USUAL: IoApic = IoApic { address: 0xfec0_0000, gsi_base: 0 };

/// The controllers of this machine.
pub(super) struct IoApics(Vec<Controller>);

struct Controller {
    /// Taken with interrupts held back: handlers take it, too.
    registers: Mutex<Registers>,
    gsi_base: u32,
    inputs: u32,
}

/// The two registers by which the others are reached.
struct Registers(Arc<dyn IoRegion>);

impl IoApics {
    /// Maps those that `acpi` describes, or the usual one. Inputs that were not requested do not interrupt.
    pub(super) fn find(hal: &dyn Hal, acpi: &Description) -> Self {
        let usual = [USUAL];
        let listed = if acpi.io_apics.is_empty() { &usual } else { acpi.io_apics.as_slice() };
        Self(listed.iter().filter_map(|io_apic| Controller::find(hal, *io_apic)).collect())
    }

    /// Those of a machine that has none.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Whether there is such an input.
    pub(super) fn has(&self, gsi: u32) -> bool {
        self.0.iter().any(|controller| controller.input(gsi).is_some())
    }

    /// Inputs of all of them.
    pub(super) fn inputs(&self) -> u32 {
        self.0.iter().map(|controller| controller.inputs).sum()
    }

    /// Has the input of `line` send `message`; whether there is such an input.
    pub(super) fn connect(&self, line: InterruptInput, message: Message) -> bool {
        let level = if line.trigger == Trigger::Level { LEVEL } else { 0 };
        let low = if line.polarity == Polarity::Low { LOW } else { 0 };
        // A message has the number of the processor where its address differs from others' (Intel SDM volume 3, 11.11.1).
        let processor = (message.address >> 12) as u32 & 0xff;
        self.with_entry(line.gsi, |registers, entry| {
            registers.write(entry, MASKED);
            registers.write(entry + 1, processor << 24);
            registers.write(entry, level | low | message.data & 0xff);
        })
    }

    /// Has the input not interrupt any more.
    pub(super) fn mask(&self, gsi: u32) {
        self.with_entry(gsi, |registers, entry| {
            let before = registers.read(entry);
            registers.write(entry, before | MASKED);
        });
    }

    fn with_entry(&self, gsi: u32, change: impl FnOnce(&mut Registers, u32)) -> bool {
        let found =
            self.0.iter().find_map(|controller| Some((controller, TABLE + 2 * controller.input(gsi)?)));
        let Some((controller, entry)) = found else { return false };
        without_interrupts(|| change(&mut controller.registers.lock(), entry));
        true
    }
}

impl Controller {
    /// Which of its inputs has this number.
    fn input(&self, gsi: u32) -> Option<u32> {
        gsi.checked_sub(self.gsi_base).filter(|input| *input < self.inputs)
    }

    /// Maps the registers, and masks all inputs. `None` when none are there.
    fn find(hal: &dyn Hal, place: IoApic) -> Option<Self> {
        let mut registers = Registers(hal.map_mmio(place.address, BYTES)?);
        let version = registers.read(VERSION);
        let inputs = (version >> 16 & 0xff) + 1;
        // Where nothing is, all ones or all zeros are read.
        if version & 0xff == 0 || version == !0 || inputs > INPUTS_MAX {
            return None;
        }
        (0..inputs).for_each(|input| registers.write(TABLE + 2 * input, MASKED));
        Some(Self { registers: Mutex::new(registers), gsi_base: place.gsi_base, inputs })
    }
}

impl Registers {
    fn read(&mut self, register: u32) -> u32 {
        self.0.write32(SELECT, register);
        self.0.read32(WINDOW)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.0.write32(SELECT, register);
        self.0.write32(WINDOW, value);
    }
}
