//! kvm-clock: KVM writes to memory how a guest turns TSC ticks into time, which has the frequency in it (Linux,
//! Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW).
#![expect(unsafe_code, reason = "a model-specific register that has the hypervisor write to memory")]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use millrace_boot::tsc;
use x86_64::registers::model_specific::Msr;

use super::stated::{is_guest, leaf};

/// Where KVM's leaves can begin: behind those of Hyper-V, where it has these as well.
const FIRST_LEAVES: [u32; 2] = [0x4000_0000, 0x4000_0100];
/// In eax of the leaf behind the first: the clock is at the register below.
const HAS_CLOCK: u32 = 1 << 3;
/// Physical address of what is written, a multiple of 4, and a bit that has it written. Zero ends it.
const SYSTEM_TIME: Msr = Msr::new(0x4b56_4d01);
const ENABLE: u64 = 1;
/// Looks at what is written: it is there when the write to the register is over.
const LOOKS: u32 = 1000;

/// What KVM writes: `pvclock_vcpu_time_info`. Aligned so that it lies in one page.
#[repr(C, align(32))]
struct TimeInfo {
    /// Odd while the rest is being written; 0 at first.
    version: AtomicU32,
    padding: AtomicU32,
    tsc_timestamp: AtomicU64,
    system_time: AtomicU64,
    multiplier: AtomicU32,
    /// In the lowest byte; then flags.
    shift: AtomicU32,
}

const _: () = assert!(size_of::<TimeInfo>() == 32);

static TIME: TimeInfo = TimeInfo {
    version: AtomicU32::new(0),
    padding: AtomicU32::new(0),
    tsc_timestamp: AtomicU64::new(0),
    system_time: AtomicU64::new(0),
    multiplier: AtomicU32::new(0),
    shift: AtomicU32::new(0),
};

/// The frequency by which KVM scales its clock. For the first processor, once.
pub(super) fn hertz() -> Option<u64> {
    if !is_guest() || !FIRST_LEAVES.iter().any(|first| has_clock(*first)) {
        return None;
    }
    // The image is mapped at its own address.
    let address = &raw const TIME as u64;
    let mut register = SYSTEM_TIME;
    // SAFETY: KVM has the register, as its leaves say, and writes nothing but the 32 bytes of `TIME`, which are atomics.
    unsafe { register.write(address | ENABLE) };
    let scale = (0..LOOKS).find_map(|_| TIME.scale());
    // SAFETY: as above; from here on nothing is written.
    unsafe { register.write(0) };
    let (multiplier, shift) = scale?;
    tsc::from_pvclock(multiplier, shift)
}

fn has_clock(first: u32) -> bool {
    let signature = leaf(first, first + 1).map(|_| core::arch::x86_64::__cpuid(first));
    let is_kvm = signature.is_some_and(|leaf| tsc::is_kvm([leaf.ebx, leaf.ecx, leaf.edx]));
    is_kvm && leaf(first, first + 1).is_some_and(|features| features.eax & HAS_CLOCK != 0)
}

impl TimeInfo {
    /// Multiplier and shift; `None` when they were not written, or are being written.
    fn scale(&self) -> Option<(u32, i8)> {
        // Acquire: what is read below is not older than this version.
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version & 1 != 0 {
            spin_loop();
            return None;
        }
        // Acquire: the version that is read below is not older than these.
        let (multiplier, shift) =
            (self.multiplier.load(Ordering::Acquire), self.shift.load(Ordering::Acquire));
        let [shift, ..] = shift.to_le_bytes();
        (self.version.load(Ordering::Relaxed) == version).then_some((multiplier, shift.cast_signed()))
    }
}
