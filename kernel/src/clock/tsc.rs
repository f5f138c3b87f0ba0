//! The time stamp counter.
#![expect(unsafe_code, reason = "an instruction that the compiler wraps as unsafe")]

/// The counter now.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: reads a counter that every 64-bit processor has, and has no effect.
    unsafe { core::arch::x86_64::_rdtsc() }
}
