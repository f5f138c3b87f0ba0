//! The symbol that the trampoline calls.
#![expect(unsafe_code, reason = "defines a symbol by name, and passes on what only assembly vouches for")]

/// Called by the trampoline of `millrace-boot`, in long mode on the boot stack, with the address of what the
/// loader handed over, which loader it was, and the time stamp counter at the image's entry.
#[unsafe(no_mangle)]
extern "C" fn kernel_entry(hand_over: u64, loader: u32, entry_tsc: u64) -> ! {
    // SAFETY: only the trampoline calls this, once, with these very values.
    unsafe { millrace::start::start(hand_over, loader, entry_tsc, crate::appliance::run) }
}
