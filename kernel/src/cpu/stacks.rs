//! The stacks, each with a page under it that is never mapped: who runs off the end of one faults at once
//! instead of overwriting its neighbour.
#![expect(unsafe_code, reason = "memory that the processor writes by itself")]

use core::cell::UnsafeCell;

use millrace_boot::{AddrRange, PAGE_BYTES, trampoline};

/// Bytes of a stack for exceptions.
pub(crate) const EXCEPTION_STACK_BYTES: usize = 16 * 1024;
/// How many of them a processor has.
pub(crate) const EXCEPTION_STACKS: usize = ExceptionStack::ALL.len();

/// A stack that the processor switches to when it takes an exception (TSS, interrupt stack table).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExceptionStack {
    /// So that an overflow of any other stack can be reported.
    PageFault,
    /// So that a broken stack pointer can be reported.
    DoubleFault,
    /// May come at any instruction.
    Nmi,
    /// May come at any instruction.
    MachineCheck,
}

impl ExceptionStack {
    /// All of them, in the order of their places in the interrupt stack table.
    const ALL: [Self; 4] = [Self::PageFault, Self::DoubleFault, Self::Nmi, Self::MachineCheck];

    /// The place in the interrupt stack table, from 0.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Self::PageFault => "page fault stack",
            Self::DoubleFault => "double fault stack",
            Self::Nmi => "NMI stack",
            Self::MachineCheck => "machine check stack",
        }
    }

    fn memory(self) -> &'static GuardedStack {
        let [page_fault, double_fault, nmi, machine_check] = &STACKS;
        match self {
            Self::PageFault => page_fault,
            Self::DoubleFault => double_fault,
            Self::Nmi => nmi,
            Self::MachineCheck => machine_check,
        }
    }

    /// Where the first processor's stack starts, at its upper end.
    fn top(self) -> u64 {
        let memory = self.memory();
        memory.stack.get() as u64 + EXCEPTION_STACK_BYTES as u64
    }

    fn guard(self) -> Option<AddrRange> {
        AddrRange::sized(self.memory().guard.get() as u64, PAGE_BYTES)
    }
}

/// Memory that only the processor and the code running on it use, never through Rust references.
#[repr(transparent)]
struct StackMemory<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: the only thing done with it through a shared reference is to take its address.
unsafe impl<const BYTES: usize> Sync for StackMemory<BYTES> {}

impl<const BYTES: usize> StackMemory<BYTES> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }

    fn get(&self) -> *mut [u8; BYTES] {
        self.0.get()
    }
}

#[repr(C, align(4096))]
struct GuardedStack {
    guard: StackMemory<{ PAGE_BYTES as usize }>,
    stack: StackMemory<EXCEPTION_STACK_BYTES>,
}

static STACKS: [GuardedStack; 4] =
    [const { GuardedStack { guard: StackMemory::new(), stack: StackMemory::new() } }; 4];

/// The upper ends of the first processor's stacks for exceptions, in the order of their places in the interrupt stack
/// table.
pub(super) fn first_tops() -> [u64; EXCEPTION_STACKS] {
    ExceptionStack::ALL.map(ExceptionStack::top)
}

/// What a message calls the stacks for exceptions, in the same order.
pub(crate) fn names() -> [&'static str; EXCEPTION_STACKS] {
    ExceptionStack::ALL.map(ExceptionStack::name)
}

/// Every page that is left unmapped under a stack of the first processor, with the name of that stack. Those under the
/// stacks of others were never mapped.
pub fn guard_pages() -> impl Iterator<Item = (&'static str, AddrRange)> {
    let boot = trampoline::boot_stack_guard().map(|guard| ("boot stack", guard));
    let exceptions = ExceptionStack::ALL.into_iter().filter_map(|stack| Some((stack.name(), stack.guard()?)));
    boot.into_iter().chain(exceptions)
}
