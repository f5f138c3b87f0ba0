//! The registers of code that an exception has interrupted.

/// The interrupted code's registers, as the stubs leave them on the stack.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Interrupted {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) r11: u64,
    pub(super) r10: u64,
    pub(super) r9: u64,
    pub(super) r8: u64,
    pub(super) rbp: u64,
    pub(super) rdi: u64,
    pub(super) rsi: u64,
    pub(super) rdx: u64,
    pub(super) rcx: u64,
    pub(super) rbx: u64,
    pub(super) rax: u64,
    pub(super) vector: u64,
    /// Pushed by the processor, or 0 by the stub.
    pub(super) error_code: u64,
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) rflags: u64,
    pub(super) rsp: u64,
    pub(super) ss: u64,
}

// The stack is aligned to 16 bytes when the processor begins to push; the frame must keep that for the call.
const _: () = assert!(size_of::<Interrupted>() == 22 * 8 && size_of::<Interrupted>().is_multiple_of(16));
