//! Faults on purpose, for test images: what each kind of broken code ends in, and resets that no card asked for.
#![expect(unsafe_code, reason = "does what no correct code does")]

use alloc::boxed::Box;
use core::arch::asm;
use core::hint::black_box;

use millrace_boot::image;
use nm_core::Netmap;

use crate::{interrupts, logger, memory, processors};

/// The kinds of faults, by their names on the command line.
pub const KINDS: [(&str, fn()); 10] = [
    ("ud", invalid_opcode),
    ("gp", general_protection),
    ("null", null_pointer),
    ("page", unmapped_page),
    ("write-code", write_code),
    ("exec-data", execute_data),
    ("divide", divide),
    ("double", double_fault),
    ("stack", stack_overflow),
    ("panic", rust_panic),
];

/// Provokes the fault of this name. Returns only when there is none.
pub fn provoke(kind: &str) {
    if let Some((_, fault)) = KINDS.iter().find(|(name, _)| *name == kind) {
        fault();
    }
}

/// Resets the card of each interface that has ports, and says so; their rings go on.
pub fn reset_cards(netmap: &Netmap) {
    for interface in netmap.interfaces().into_iter().filter(|interface| interface.is_open) {
        match netmap.reset(&interface.name) {
            Ok(()) => logger::answer("reset", format_args!("{} runs again", interface.name)),
            Err(error) => log::error!(target: "reset", "{error}"),
        }
    }
}

/// Has the cards' lines that are levels interrupt no more, as if they had done so without end.
pub fn mask_levels() {
    interrupts::mask_levels();
}

/// Reads from the page that further processors start in. Comes back where there are none, so that it is still mapped.
pub fn read_low_page() {
    let address = memory::low_page().map_or(0, |page| page.start());
    // SAFETY: reads from RAM, or from a page that is not mapped, which ends in the exception handler.
    unsafe { asm!("mov al, [{address}]", address = in(reg) address, out("al") _) }
    logger::answer("faults", format_args!("the page that processors start in is mapped"));
}

/// Overflows the stack of the second processor, if it has no work. Comes back, and is halted some time later.
pub fn overflow_elsewhere() {
    if processors::run(1, Box::new(stack_overflow)).is_err() {
        log::error!(target: "faults", "there is no second processor without work");
    }
}

fn invalid_opcode() {
    // SAFETY: ends in the exception handler, which does not return.
    unsafe { asm!("ud2", options(noreturn)) }
}

fn general_protection() {
    // SAFETY: reads from an address that is not canonical, which ends in the exception handler.
    unsafe { asm!("mov rax, [{address}]", address = in(reg) 0x0800_0000_0000_0000_u64, out("rax") _) }
}

fn null_pointer() {
    // SAFETY: reads from a page that is not mapped, which ends in the exception handler.
    unsafe { asm!("mov al, [{address}]", address = in(reg) 8_u64, out("al") _) }
}

/// Known values in all the registers that an instruction can spare, so that a test can look for them in the
/// dump.
fn unmapped_page() {
    // SAFETY: writes to an address where nothing is mapped, which ends in the exception handler.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov rbx, 0x1111", "mov rbp, 0x2222",
            "mov [rdi], rbp",
            "pop rbp", "pop rbx",
            in("rdi") 0x7000_0000_1000_u64, in("rax") 0x3333, in("rcx") 0x4444, in("rdx") 0x5555, in("rsi") 0x6666,
            in("r8") 0x8888, in("r9") 0x9999, in("r10") 0xaaaa, in("r11") 0xbbbb, in("r12") 0xcccc, in("r13") 0xdddd,
            in("r14") 0xeeee, in("r15") 0xffff,
        )
    }
}

fn write_code() {
    let code = image::text().map_or(0, |text| text.start());
    // SAFETY: writes to a page that is mapped read-only, which ends in the exception handler.
    unsafe { asm!("mov byte ptr [{code}], 0", code = in(reg) code) }
}

fn execute_data() {
    let data = image::data().map_or(0, |data| data.start());
    // SAFETY: jumps to a page that is mapped as not executable, which ends in the exception handler.
    unsafe { asm!("jmp {data}", data = in(reg) data, options(noreturn)) }
}

fn divide() {
    // SAFETY: divides by zero, which ends in the exception handler.
    unsafe {
        asm!("xor edx, edx", "xor ecx, ecx", "div ecx", inout("eax") 1 => _, out("ecx") _, out("edx") _)
    }
}

/// A divide error that cannot be delivered, because the stack pointer is not canonical.
fn double_fault() {
    let nowhere = 0x8000_0000_0000_0000_u64;
    // SAFETY: ends in the exception handler, on a stack of its own.
    unsafe {
        asm!("mov rsp, {nowhere}", "xor ecx, ecx", "div ecx", nowhere = in(reg) nowhere, options(noreturn))
    }
}

fn stack_overflow() {
    black_box(deeper(0));
}

/// Uses stack without end: each call keeps a block of it in use until the deeper ones return.
#[expect(unconditional_recursion, reason = "the point of it")]
fn deeper(depth: u64) -> u64 {
    let block = black_box([depth; 64]);
    let below = deeper(black_box(depth + 1));
    black_box(block).iter().sum::<u64>() + below
}

#[expect(clippy::panic, reason = "the point of it")]
fn rust_panic() {
    panic!("a panic on purpose")
}
