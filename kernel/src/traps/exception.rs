//! Where the processor enters the kernel on an exception.
//!
//! There is one stub of 16 bytes for each vector. It evens out the error code that only some exceptions push,
//! pushes its vector, and joins the others in saving every general register as it was, before any Rust code
//! runs.
#![expect(unsafe_code, reason = "entry code in assembly, and what it passes on")]

use core::arch::global_asm;

use super::registers::Interrupted;
use super::{dump, vector};
use crate::processors;

/// Bytes of a stub.
const STUB_BYTES: u64 = 16;

global_asm!(
    r#"
    .section .text.exceptions, "ax"
    .balign {STUB_BYTES}
exception_stubs:
    .irp vector, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    .balign {STUB_BYTES}
    .if ({WITH_ERROR_CODE} >> \vector) & 1
    .else
    push 0
    .endif
    push \vector
    jmp exception_common
    .endr

    .balign {STUB_BYTES}
exception_common:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    xor ebp, ebp
    call {entry}
    ud2
    .text
    "#,
    STUB_BYTES = const STUB_BYTES,
    WITH_ERROR_CODE = const vector::WITH_ERROR_CODE,
    entry = sym exception_entry,
);

unsafe extern "C" {
    #[link_name = "exception_stubs"]
    safe static EXCEPTION_STUBS: u8;
}

/// Where the stub for `vector` begins; there are stubs for the 32 vectors of the architecture.
pub(super) fn address(vector: usize) -> u64 {
    &raw const EXCEPTION_STUBS as u64 + vector as u64 * STUB_BYTES
}

extern "C" fn exception_entry(interrupted: *const Interrupted) -> ! {
    // Another processor's report: there, the interrupt that nothing holds back.
    if processors::is_halted() {
        processors::stand_still();
    }
    // SAFETY: the stub passes the address of the frame that it has just completed, which stays as it is below
    // this call's own frame.
    dump::report(unsafe { &*interrupted })
}
