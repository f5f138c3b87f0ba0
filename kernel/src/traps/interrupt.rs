//! Where the processor enters the kernel on an interrupt, and how it goes back.
//!
//! There is one stub of 16 bytes for each vector. It pushes its vector and joins the others in saving what a call may
//! change: the registers that callers save, and the floating-point and vector registers, which the interrupted code may be
//! copying a frame with. Then [`interrupts::handle`](crate::interrupts::handle) runs, with interrupts held back, on the
//! stack that was in use.
#![expect(unsafe_code, reason = "entry code in assembly")]

use core::arch::global_asm;

use super::vector;

/// Bytes of a stub.
const STUB_BYTES: u64 = 16;

global_asm!(
    r#"
    .section .text.interrupts, "ax"
    .balign {STUB_BYTES}
interrupt_stubs:
    .set interrupt_vector, {FIRST}
    .rept {COUNT}
    .balign {STUB_BYTES}
    // push, with four bytes of operand
    .byte 0x68
    .long interrupt_vector
    jmp interrupt_common
    .set interrupt_vector, interrupt_vector + 1
    .endr

    .balign {STUB_BYTES}
interrupt_common:
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push rbp
    mov rbp, rsp
    mov edi, [rbp + 10 * 8]
    sub rsp, 512
    and rsp, -16
    fxsave64 [rsp]
    cld
    call {entry}
    fxrstor64 [rsp]
    mov rsp, rbp
    pop rbp
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 8
    iretq
    .text
    "#,
    STUB_BYTES = const STUB_BYTES,
    FIRST = const vector::EXCEPTIONS,
    COUNT = const vector::COUNT - vector::EXCEPTIONS,
    entry = sym interrupt_entry,
);

unsafe extern "C" {
    #[link_name = "interrupt_stubs"]
    safe static INTERRUPT_STUBS: u8;
}

/// Where the stub for `vector` begins; there are stubs for the vectors behind those of the architecture.
pub(super) fn address(vector: usize) -> u64 {
    let number = vector.saturating_sub(vector::EXCEPTIONS) as u64;
    &raw const INTERRUPT_STUBS as u64 + number * STUB_BYTES
}

extern "C" fn interrupt_entry(vector: u32) {
    crate::interrupts::handle(vector as u8);
}
