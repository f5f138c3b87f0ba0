//! What an exception means, in words: the error code decoded, and a sentence about the cause.

use core::fmt;

use bitflags::bitflags;
use millrace_boot::{AddrRange, PAGE_BYTES, image};

use super::registers::Interrupted;
use super::vector::{self, ErrorCode};
use crate::{cpu, processors};

bitflags! {
    /// The error code of a page fault (Intel SDM volume 3, 4.7).
    #[derive(Debug, Clone, Copy)]
    struct PageFault: u64 {
        const PRESENT = 1 << 0;
        const WRITE = 1 << 1;
        const USER = 1 << 2;
        const RESERVED_BIT = 1 << 3;
        const FETCH = 1 << 4;
        const PROTECTION_KEY = 1 << 5;
        const SHADOW_STACK = 1 << 6;
    }
}

impl PageFault {
    fn of(interrupted: &Interrupted) -> Self {
        Self::from_bits_retain(interrupted.error_code)
    }
}

/// An error code, decoded by what its vector uses it for.
pub(super) struct Decoded<'a>(pub(super) &'a Interrupted);

impl fmt::Display for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.error_code;
        match vector::error_code(self.0.vector) {
            ErrorCode::None => f.write_str("none"),
            ErrorCode::Zero | ErrorCode::Other => write!(f, "{code:#x}"),
            ErrorCode::Selector if code == 0 => f.write_str("0x0 (no selector involved)"),
            ErrorCode::Selector => write!(f, "{code:#x} ({})", Selector(code)),
            ErrorCode::PageFault => write!(f, "{code:#x} ({})", PageFault::of(self.0)),
        }
    }
}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match (self.contains(Self::FETCH), self.contains(Self::WRITE)) {
            (true, _) => "instruction fetch",
            (false, true) => "write",
            (false, false) => "read",
        };
        let page = if self.contains(Self::PRESENT) {
            "page is mapped, access forbidden"
        } else {
            "page is not mapped"
        };
        write!(f, "{access}, {page}")?;
        let rest = [
            (Self::USER, "from user mode"),
            (Self::RESERVED_BIT, "reserved bit in a page table"),
            (Self::PROTECTION_KEY, "protection key"),
            (Self::SHADOW_STACK, "shadow stack"),
        ];
        rest.into_iter()
            .filter(|(flag, _)| self.contains(*flag))
            .try_for_each(|(_, text)| write!(f, ", {text}"))
    }
}

/// The error code of a segment exception (Intel SDM volume 3, 6.13).
struct Selector(u64);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = match self.0 >> 1 & 0b11 {
            0 => "GDT",
            2 => "LDT",
            _ => "IDT",
        };
        write!(f, "{table} entry {}", self.0 >> 3 & 0x1fff)?;
        if self.0 & 1 != 0 { f.write_str(", while an event was delivered") } else { Ok(()) }
    }
}

/// One sentence about what happened.
pub(super) struct Meaning<'a> {
    /// The interrupted code.
    pub(super) interrupted: &'a Interrupted,
    /// The address whose access failed, meaningful for a page fault.
    pub(super) cr2: u64,
}

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self.interrupted.vector {
            0 => "a division by zero, or a quotient that does not fit",
            2 => "the machine reports a hardware error or was told to stop",
            3 => "a breakpoint that no debugger handles",
            6 => "an invalid instruction, or ud2 in code that must not be reached",
            8 => "an exception could not be delivered: most likely the stack pointer is not usable",
            13 => "an address that is not canonical, or a privileged operation with a forbidden value",
            14 => return self.page_fault(f),
            18 => "the processor reports a hardware error",
            _ => "an exception that this kernel does not expect",
        };
        f.write_str(sentence)
    }
}

impl Meaning<'_> {
    fn page_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = PageFault::of(self.interrupted);
        let address = self.cr2;
        let is_in = |span: AddrRange| (span.start()..span.end()).contains(&address);
        let is_fetch = error.contains(PageFault::FETCH);
        let of_first = cpu::guard_pages().find(|(_, guard)| is_in(*guard)).map(|(stack, _)| stack);
        if let Some(stack) = of_first.or_else(|| processors::guard_page(address)) {
            write!(f, "stack overflow: the guard page under the {stack} was hit")
        } else if address < PAGE_BYTES {
            write!(f, "an access through a null pointer, at {address:#x}")
        } else if image::text().is_some_and(is_in) {
            write!(f, "code at {address:#x} is read-only")
        } else if image::rodata().is_some_and(is_in) && !is_fetch {
            write!(f, "constants at {address:#x} are read-only")
        } else if is_fetch && error.contains(PageFault::PRESENT) {
            write!(f, "data at {address:#x} cannot be executed")
        } else {
            write!(f, "nothing is mapped at {address:#x}")
        }
    }
}
