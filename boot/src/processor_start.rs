//! How a further processor gets from its start in real mode to Rust in long mode.
//!
//! ```text
//! start message      real mode, cs:ip = the first byte of a page below 1 MiB (Intel SDM volume 3, 9.4)
//!    │  a copy of `real_mode`: segments of the image, protected mode
//!    ▼
//! protected_mode     the trampoline's page tables, long mode
//!    │
//!    ▼
//! long_mode          the kernel's page tables, the processor's own stack
//!    └─► entry(argument) -> !
//! ```
//!
//! The low page holds nothing but the few bytes of [`real_mode`], which leave it for good; the trampoline's tables are
//! used because the kernel's may lie, and map, where 32 bits do not reach.
//!
//! Processors are started one after the other: what one finds is what [`prepare`] was told last. One takes it; another, which
//! was told to start before and comes late, finds nothing and stands still.
#![expect(unsafe_code, reason = "entry code in assembly, and symbols that only it defines")]

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::trampoline;

/// What a processor that starts takes along.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Physical address of the page tables, which map the image at its own address.
    pub tables: u64,
    /// Upper end of its stack, a multiple of 16.
    pub stack_top: u64,
    /// Where it goes, with `argument`.
    pub entry: extern "C" fn(argument: u64) -> !,
    /// What `entry` is called with.
    pub argument: u64,
}

static TABLES: AtomicU64 = AtomicU64::new(0);
/// 0 when there is nothing to take.
static STACK_TOP: AtomicU64 = AtomicU64::new(0);
static ENTRY: AtomicU64 = AtomicU64::new(0);
static ARGUMENT: AtomicU64 = AtomicU64::new(0);

/// Leaves this for the processor that is started next.
///
/// # Safety
/// What was prepared before was taken, or [withdrawn](withdraw). The tables map the image, with its permissions, and the
/// stack, which has no other user, for as long as a processor that is started after this runs.
pub unsafe fn prepare(start: Start) {
    TABLES.store(start.tables, Ordering::Relaxed);
    ENTRY.store(start.entry as usize as u64, Ordering::Relaxed);
    ARGUMENT.store(start.argument, Ordering::Relaxed);
    // Release: who takes the stack finds the rest.
    STACK_TOP.store(start.stack_top, Ordering::Release);
}

/// From now on no processor takes what was prepared. One may have.
pub fn withdraw() {
    STACK_TOP.swap(0, Ordering::AcqRel);
}

/// The code for the page that a processor starts in. It works at the first byte of any page below 1 MiB.
pub fn real_mode() -> &'static [u8] {
    let first = &raw const FIRST;
    let bytes = (&raw const END as usize).saturating_sub(first as usize);
    // SAFETY: the assembly below has that many bytes of constants between the two symbols.
    unsafe { core::slice::from_raw_parts(first, bytes) }
}

unsafe extern "C" {
    #[link_name = "real_mode_start"]
    safe static FIRST: u8;
    #[link_name = "real_mode_end"]
    safe static END: u8;
}

// The two instructions in bytes have operands of 32 bits in code of 16: lgdt, of what lies at the end of the page's code,
// and the jump to protected mode.
global_asm!(
    r#"
    .section .rodata.entry, "a"
    .code16
real_mode_start:
    cli
    cld
    mov ax, cs
    mov ds, ax
    .byte 0x66, 0x0f, 0x01, 0x16
    .short real_mode_gdt_pointer - real_mode_start
    mov eax, cr0
    or al, {PROTECTED_MODE}
    mov cr0, eax
    .byte 0x66, 0xea
    .long processor_protected_mode
    .short {CODE_32}
    .balign 4
real_mode_gdt_pointer:
    .short {GDT_LIMIT}
    .long boot_gdt
real_mode_end:

    .section .text.entry, "ax"
    .code32
processor_protected_mode:
    mov eax, {DATA_32}
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov edi, offset processor_long_mode
    jmp switch_to_long_mode

    .code64
processor_long_mode:
    xor eax, eax
    xchg rax, [rip + {stack_top}]
    test rax, rax
    jz 2f
    mov rcx, [rip + {tables}]
    mov cr3, rcx
    mov rsp, rax
    mov rdi, [rip + {argument}]
    xor ebp, ebp
    call [rip + {entry}]
2:  hlt
    jmp 2b
    .text
    "#,
    PROTECTED_MODE = const 1,
    CODE_32 = const trampoline::CODE_32,
    DATA_32 = const trampoline::DATA_32,
    GDT_LIMIT = const trampoline::GDT_LIMIT,
    tables = sym TABLES,
    stack_top = sym STACK_TOP,
    argument = sym ARGUMENT,
    entry = sym ENTRY,
);
