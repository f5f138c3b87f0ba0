//! From the loader's 32-bit entry to Rust in long mode.
//!
//! ```text
//! multiboot2_entry     protected mode, paging off, eax = magic number, ebx = boot information
//! pvh_entry            protected mode, paging off, ebx = start_info (Xen, docs/misc/pvh)
//!   │  each notes who loaded us: esi = `LOADER_…`
//!   ▼
//! enter_long_mode      ebp = what was handed over
//!   │  TSC noted; page tables: the first 4 GiB as they are, by 2 MiB pages, writable and executable
//!   │  PAE, SSE, no-execute pages, write protection, long mode, paging
//!   ▼
//! long_entry           boot stack
//!   └─► kernel_entry(hand_over: u64, loader: u32, entry_tsc: u64) -> !
//! ```
//!
//! Further processors join at `switch_to_long_mode` (see [`processor_start`](crate::processor_start)).
//!
//! The page tables live until the kernel builds its own, which set permissions and take the guard page away
//! from under the boot stack.
//!
//! A processor without 64-bit mode or no-execute pages is reported on COM1 and to QEMU's `isa-debug-exit`. Where that is
//! not, the machine halts: it does not know its power-off yet, and a reset would change nothing.
//!
//! Each loader has an entry of its own, since PVH says nothing of eax. Multiboot2 does: whatever a loader leaves
//! there goes on as its number, and the kernel refuses one that it does not know.
#![expect(unsafe_code, reason = "entry code in assembly, and symbols that only it defines")]

use core::arch::global_asm;

use crate::multiboot2::BOOT_MAGIC;
use crate::{AddrRange, Loader, PAGE_BYTES};

/// Bytes of the stack that the kernel starts on, and that the application runs on.
pub const BOOT_STACK_BYTES: u64 = 128 * 1024;

const LOADER_PVH: u32 = 1;
const LOADER_MULTIBOOT2: u32 = BOOT_MAGIC;

/// Selectors of the trampoline's segments, all flat.
const CODE_64: u16 = 0x08;
const DATA_64: u16 = 0x10;
pub(crate) const CODE_32: u16 = 0x18;
pub(crate) const DATA_32: u16 = 0x20;
/// Offset of the last byte of the table with them.
pub(crate) const GDT_LIMIT: u16 = 5 * 8 - 1;

const CR0_PROTECTED_MODE: u32 = 1 << 0;
const CR0_MONITOR_COPROCESSOR: u32 = 1 << 1;
const CR0_EMULATION: u32 = 1 << 2;
const CR0_TASK_SWITCHED: u32 = 1 << 3;
const CR0_NUMERIC_ERROR: u32 = 1 << 5;
const CR0_WRITE_PROTECT: u32 = 1 << 16;
const CR0_CACHE_OFF: u32 = 3 << 29;
const CR0_PAGING: u32 = 1 << 31;
const CR4_PAE: u32 = 1 << 5;
const CR4_FXSR: u32 = 1 << 9;
const CR4_SIMD_EXCEPTIONS: u32 = 1 << 10;
const EFER: u32 = 0xc000_0080;
const EFER_LONG_MODE: u32 = 1 << 8;
const EFER_NO_EXECUTE: u32 = 1 << 11;
/// CPUID 0x8000_0001, edx: no-execute pages and long mode.
const CPUID_NEEDED: u32 = 1 << 20 | 1 << 29;
/// What the kernel calls `ExitCode::Application`: the machine does not fit, and a reset would not change that.
const EXIT_CODE: u32 = 0x11;
/// First I/O port of COM1, the offset of its line status, and the bit there that says that it accepts a byte.
const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = 5;
const ACCEPTS: u8 = 1 << 5;
/// Status reads for a byte; each takes a microsecond or less, and a byte at 115200 baud 87 of them.
const PATIENCE: u32 = 100_000;
/// Present, writable.
const TABLE: u32 = 0b11;
/// Present, writable, 2 MiB.
const LARGE_PAGE: u32 = 0b1000_0011;

/// The loader that the trampoline's number stands for.
pub fn loader(number: u32) -> Option<Loader> {
    match number {
        LOADER_PVH => Some(Loader::Pvh),
        LOADER_MULTIBOOT2 => Some(Loader::Multiboot2),
        _ => None,
    }
}

/// The boot stack, without its guard page.
pub fn boot_stack() -> Option<AddrRange> {
    AddrRange::sized(&raw const BOOT_STACK_BOTTOM as u64, BOOT_STACK_BYTES)
}

/// The page under the boot stack, which the kernel leaves unmapped.
pub fn boot_stack_guard() -> Option<AddrRange> {
    AddrRange::sized(&raw const BOOT_STACK_GUARD as u64, PAGE_BYTES)
}

unsafe extern "C" {
    #[link_name = "boot_stack_guard"]
    safe static BOOT_STACK_GUARD: u8;
    #[link_name = "boot_stack_bottom"]
    safe static BOOT_STACK_BOTTOM: u8;
}

global_asm!(
    r#"
    .section .text.entry, "ax"
    .code32
    .global pvh_entry, multiboot2_entry, switch_to_long_mode
multiboot2_entry:
    mov esi, eax
    jmp enter_long_mode
pvh_entry:
    mov esi, {LOADER_PVH}

enter_long_mode:
    mov ebp, ebx
    cli
    cld
    mov esp, offset boot_stack_top
    rdtsc
    mov [entry_tsc], eax
    mov [entry_tsc + 4], edx

    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb processor_too_old
    mov eax, 0x80000001
    cpuid
    and edx, {CPUID_NEEDED}
    cmp edx, {CPUID_NEEDED}
    jne processor_too_old

    mov eax, offset boot_page_directories + {TABLE}
    mov edi, offset boot_directory_pointers
    mov ecx, 4
2:  mov [edi], eax
    add eax, 4096
    add edi, 8
    loop 2b
    mov eax, {LARGE_PAGE}
    mov edi, offset boot_page_directories
    mov ecx, 4 * 512
3:  mov [edi], eax
    add eax, 0x200000
    add edi, 8
    loop 3b
    mov eax, offset boot_directory_pointers + {TABLE}
    mov [boot_page_map], eax

    mov edi, offset long_entry

// Goes to edi in long mode. Everything but esi and ebp may change.
switch_to_long_mode:
    mov eax, offset boot_page_map
    mov cr3, eax
    mov eax, {CR4}
    mov cr4, eax
    mov ecx, {EFER}
    rdmsr
    or eax, {EFER_BITS}
    wrmsr
    mov eax, cr0
    and eax, {CR0_KEPT}
    or eax, {CR0_SET}
    mov cr0, eax

    lgdt [boot_gdt_pointer]
    // A jump to another code segment.
    .byte 0xea
    .long long_mode
    .short {CODE_64}

processor_too_old:
    mov esi, offset too_old_text
    call write_text
    mov eax, {EXIT_CODE}
    out 0xf4, eax
    mov esi, offset halted_text
    call write_text
4:  hlt
    jmp 4b

// Writes the text at esi, up to its zero byte, to COM1. A byte that the port does not accept for a while is lost.
write_text:
    lodsb
    test al, al
    jz 7f
    mov ah, al
    mov ecx, {PATIENCE}
    mov dx, {COM1} + {LINE_STATUS}
5:  in al, dx
    test al, {ACCEPTS}
    loopz 5b
    mov al, ah
    mov dx, {COM1}
    out dx, al
    jmp write_text
7:  ret

    .code64
long_mode:
    mov eax, {DATA_64}
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    // The upper half is whatever it was.
    mov edi, edi
    jmp rdi

long_entry:
    mov rsp, offset boot_stack_top
    mov edi, ebp
    xor ebp, ebp
    mov rdx, [entry_tsc]
    call kernel_entry
    ud2

    .section .rodata.entry, "a"
too_old_text:
    .asciz "EXIT code=0x11 reason=processor without 64-bit mode or no-execute pages\r\n"
halted_text:
    .asciz "halted: this processor cannot run the image; end the machine from its host\r\n"
    .balign 8
    .global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00209b0000000000
    .quad 0x0000930000000000
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .short {GDT_LIMIT}
    .quad boot_gdt

    .section .bss.entry, "aw", @nobits
    .balign 4096
    .global boot_stack_guard, boot_stack_bottom
boot_stack_guard:
    .skip {PAGE}
boot_stack_bottom:
    .skip {BOOT_STACK_BYTES}
boot_stack_top:
boot_page_map:
    .skip {PAGE}
boot_directory_pointers:
    .skip {PAGE}
boot_page_directories:
    .skip 4 * {PAGE}
entry_tsc:
    .skip 8
    .text
    "#,
    LOADER_PVH = const LOADER_PVH,
    CODE_64 = const CODE_64,
    DATA_64 = const DATA_64,
    GDT_LIMIT = const GDT_LIMIT,
    CPUID_NEEDED = const CPUID_NEEDED,
    EXIT_CODE = const EXIT_CODE,
    COM1 = const COM1,
    LINE_STATUS = const LINE_STATUS,
    ACCEPTS = const ACCEPTS,
    PATIENCE = const PATIENCE,
    TABLE = const TABLE,
    LARGE_PAGE = const LARGE_PAGE,
    CR4 = const CR4_PAE | CR4_FXSR | CR4_SIMD_EXCEPTIONS,
    EFER = const EFER,
    EFER_BITS = const EFER_LONG_MODE | EFER_NO_EXECUTE,
    CR0_KEPT = const !(CR0_EMULATION | CR0_TASK_SWITCHED | CR0_CACHE_OFF),
    CR0_SET = const CR0_PROTECTED_MODE | CR0_MONITOR_COPROCESSOR | CR0_NUMERIC_ERROR | CR0_WRITE_PROTECT | CR0_PAGING,
    PAGE = const PAGE_BYTES,
    BOOT_STACK_BYTES = const BOOT_STACK_BYTES,
);
