//! Interrupt descriptor table: one gate for each exception and each interrupt.
//!
//! The gates are written by hand rather than with `x86_64`'s table, whose entries are typed for handlers that
//! return and that cannot see the registers of the code they interrupted.
#![expect(unsafe_code, reason = "loads the table")]

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, Segment};
use x86_64::instructions::tables::lidt;
use x86_64::registers::control::{Cr4, Cr4Flags};
use x86_64::structures::DescriptorTablePointer;

use super::{exception, interrupt, vector};

/// Present, 64-bit interrupt gate, for the kernel.
const INTERRUPT_GATE: u8 = 0x8e;

/// A gate as the processor reads it (Intel SDM volume 3, figure 6-8).
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    attributes: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<Gate>() == 16);

static TABLE: Once<[Gate; vector::COUNT]> = Once::new();

/// Makes the processor that runs this report exceptions and handle interrupts: builds the table, unless that was done before,
/// loads it, and lets machine checks through. The processor's segments must be loaded before.
pub(crate) fn load() {
    let table = TABLE.call_once(|| core::array::from_fn(gate));
    let limit = (size_of_val(table) - 1) as u16;
    let pointer = DescriptorTablePointer { limit, base: VirtAddr::from_ptr(table) };
    // SAFETY: the table lives as long as the machine, and each gate leads to a stub for its vector.
    unsafe { lidt(&pointer) };
    // Without this a machine check shuts the processor down without a word.
    // SAFETY: there is a gate for it now.
    unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::MACHINE_CHECK_EXCEPTION)) };
}

fn gate(vector: usize) -> Gate {
    let is_exception = vector < vector::EXCEPTIONS;
    let handler = if is_exception { exception::address(vector) } else { interrupt::address(vector) };
    Gate {
        offset_low: handler as u16,
        selector: CS::get_reg().0,
        // The processor counts the stacks from 1; 0 stays on the current one.
        stack: vector::stack(vector).map_or(0, |stack| stack.index() as u8 + 1),
        attributes: INTERRUPT_GATE,
        offset_middle: (handler >> 16) as u16,
        offset_high: (handler >> 32) as u32,
        reserved: 0,
    }
}
