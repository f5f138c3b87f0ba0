//! The vectors of the processor, and its exceptions (Intel SDM volume 3, 6.3.1; AMD manual volume 2, 8.2).

use crate::cpu::ExceptionStack;

/// Vectors that there are.
pub(super) const COUNT: usize = 256;
/// Those that the architecture keeps for exceptions: the first.
pub(super) const EXCEPTIONS: usize = 32;

/// What an exception's error code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorCode {
    /// The processor pushes none.
    None,
    /// Pushed, and always zero.
    Zero,
    /// Names a segment or a gate.
    Selector,
    /// Says what kind of access failed.
    PageFault,
    /// A number with a meaning of its own.
    Other,
}

/// The name of a vector.
pub(super) fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        _ => "reserved exception",
    }
}

/// The vectors for which the processor pushes an error code, one bit each.
pub(super) const WITH_ERROR_CODE: u32 = {
    let mut mask = 0;
    let mut vector = 0;
    while vector < EXCEPTIONS as u64 {
        if !matches!(error_code(vector), ErrorCode::None) {
            mask |= 1 << vector;
        }
        vector += 1;
    }
    mask
};

/// What the error code of a vector says.
pub(super) const fn error_code(vector: u64) -> ErrorCode {
    match vector {
        8 | 17 => ErrorCode::Zero,
        10..=13 => ErrorCode::Selector,
        14 => ErrorCode::PageFault,
        21 | 29 | 30 => ErrorCode::Other,
        _ => ErrorCode::None,
    }
}

/// The stack that a vector is taken on, when it is not the one that is in use.
pub(super) fn stack(vector: usize) -> Option<ExceptionStack> {
    match vector {
        2 => Some(ExceptionStack::Nmi),
        8 => Some(ExceptionStack::DoubleFault),
        14 => Some(ExceptionStack::PageFault),
        18 => Some(ExceptionStack::MachineCheck),
        _ => None,
    }
}
