//! Device registers, however they are reached: in memory, in I/O ports, or in a device model.
//!
//! ```text
//! IoRegion ◄─┬─ MmioRegion    registers in memory                         (here)
//!            ├─ PortRegion    registers in I/O ports                      (kernel)
//!            └─ ModelRegion   registers of a device model, for tests      (testing)
//! ```
//!
//! The configuration registers of PCI functions have a trait of their own, [`ConfigSpace`]: it reaches all functions.
//!
//! Drivers hold an `Arc<dyn IoRegion>`. No register is accessed per packet; a doorbell is written once per batch, so that the
//! dynamic call does not matter.
#![expect(unsafe_code, reason = "device registers are reached by raw pointer")]

use core::fmt;
use core::ptr::NonNull;

use volatile::VolatilePtr;

use crate::pci::Address;

/// The registers of one device, at offsets from the start of the region in bytes.
///
/// An access that is out of range or not aligned to its width reads all ones and writes nothing, as on a bus where no device
/// answers. [`check`](Self::check) tells beforehand. Values are in the processor's byte order; the registers are
/// little-endian.
///
/// A write can make a device access memory. The code that holds the region answers for what it makes the device do; the region
/// of a device that has DMA belongs to the driver that has claimed the device ([`claims`](crate::claims)).
///
/// # Safety
/// An access reaches the register at that offset of the device that the region was made for, or nothing; it reaches no memory
/// that Rust code uses. Accesses are made in program order and none is left out, and what is read is the device's answer.
/// Drivers rely on it: a driver releases DMA memory once the device has confirmed a reset through its region.
///
/// ```compile_fail,E0200
/// struct Liar;
/// impl millrace_drivers::registers::IoRegion for Liar {
///     fn bytes(&self) -> usize { 0 }
///     fn read(&self, _: usize, _: usize) -> u32 { 0 }
///     fn write(&self, _: usize, _: usize, _: u32) {}
/// }
/// ```
pub unsafe trait IoRegion: Send + Sync {
    /// Length in bytes.
    fn bytes(&self) -> usize;

    /// Whether an access of `width` bytes (1, 2 or 4) at `offset` reaches a register.
    fn check(&self, offset: usize, width: usize) -> Result<(), RegisterError> {
        check_access(self.bytes(), 0, offset, width)
    }

    /// Reads `width` bytes (1, 2 or 4) at `offset`.
    fn read(&self, offset: usize, width: usize) -> u32;

    /// Writes the lower `width` bytes (1, 2 or 4) of `value` to `offset`.
    fn write(&self, offset: usize, width: usize, value: u32);

    /// Reads 8 bits.
    fn read8(&self, offset: usize) -> u8 {
        self.read(offset, 1) as u8
    }

    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16 {
        self.read(offset, 2) as u16
    }

    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32 {
        self.read(offset, 4)
    }

    /// Writes 8 bits.
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, 1, value.into());
    }

    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, 2, value.into());
    }

    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, 4, value);
    }
}

impl fmt::Debug for dyn IoRegion + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IoRegion({:#x} bytes)", self.bytes())
    }
}

impl dyn IoRegion + '_ {
    /// Writes 64 bits as two accesses of 32, the lower half first: a device need not take 64 bits at once (virtio 1.2,
    /// section 4.1.3.1).
    #[inline(never)]
    pub fn write64(&self, offset: usize, value: u64) {
        let [low, high] = halves(value);
        self.write32(offset, low);
        self.write32(offset.saturating_add(4), high);
    }
}

/// The configuration registers of the PCI functions of segment 0.
///
/// # Safety
/// An access reaches the register of that function, or nothing; it reaches no memory that Rust code uses. Accesses are made in
/// program order, and what is read is the function's answer. Drivers rely on it: the DMA memory of a device that does not stop
/// is released when its command register says that it is no bus master.
///
/// ```compile_fail,E0200
/// # use millrace_drivers::pci::{Address, ConfigSpace};
/// struct Liar;
/// impl ConfigSpace for Liar {
///     fn read32(&self, _: Address, _: u16) -> u32 { 0 }
///     fn write32(&self, _: Address, _: u16, _: u32) {}
/// }
/// ```
pub unsafe trait ConfigSpace: Send + Sync {
    /// Reads the 32-bit register at `offset` (a multiple of 4) of the function at `at`. All ones when there is no such
    /// function, or when this way does not reach that offset.
    fn read32(&self, at: Address, offset: u16) -> u32;

    /// Writes the 32-bit register at `offset` (a multiple of 4) of the function at `at`.
    fn write32(&self, at: Address, offset: u16, value: u32);
}

/// Why a register cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RegisterError {
    /// The machine cannot map this range.
    Unmappable {
        /// Physical address.
        phys: u64,
        /// Length in bytes.
        bytes: usize,
    },
    /// The access leaves the region.
    OutOfRange {
        /// Offset of the access in bytes.
        offset: usize,
        /// Length of the region in bytes.
        bytes: usize,
    },
    /// The register's address is not a multiple of its width.
    Misaligned {
        /// Offset of the access in bytes.
        offset: usize,
    },
}

/// The lower and the upper 32 bits.
pub(crate) fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// What [`IoRegion::check`] says about a region of `bytes` at the address `start`.
pub(crate) fn check_access(
    bytes: usize,
    start: usize,
    offset: usize,
    width: usize,
) -> Result<(), RegisterError> {
    let end = offset.checked_add(width);
    if end.is_none_or(|end| end > bytes) {
        return Err(RegisterError::OutOfRange { offset, bytes });
    }
    if !start.wrapping_add(offset).is_multiple_of(width) {
        return Err(RegisterError::Misaligned { offset });
    }
    Ok(())
}

/// Registers in memory.
#[derive(Debug)]
pub struct MmioRegion {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: registers belong to no thread. Each access is a single volatile one, so that two threads that access one register
// see the device's order of the two accesses, and never a mixture.
unsafe impl Send for MmioRegion {}
// SAFETY: as above.
unsafe impl Sync for MmioRegion {}

/// An integer that a register can hold.
trait RegisterValue: Copy {
    /// As a little-endian register holds it. The conversion is its own inverse.
    fn little_endian(self) -> Self;
}

macro_rules! register_value {
    ($($type:ty)*) => {$(
        impl RegisterValue for $type {
            fn little_endian(self) -> Self {
                self.to_le()
            }
        }
    )*};
}

register_value!(u8 u16 u32);

impl MmioRegion {
    /// The `bytes` of registers at `base`.
    ///
    /// # Safety
    /// They are the registers of a device (or memory that nothing else uses), mapped uncached, for as long as the region is
    /// used. `base + bytes` does not overflow.
    pub unsafe fn new(base: NonNull<u8>, bytes: usize) -> Self {
        Self { base, bytes }
    }

    /// The register at `offset`, if there is one.
    #[inline]
    fn register<T: RegisterValue>(&self, offset: usize) -> Option<VolatilePtr<'_, T>> {
        self.check(offset, size_of::<T>()).ok()?;
        // SAFETY: by the check and by the contract of `new`, the register lies in mapped registers and is aligned. Any value
        // of its bytes is a value of `T`, an integer.
        Some(unsafe { VolatilePtr::new(self.base.add(offset).cast()) })
    }

    #[inline]
    fn load<T: RegisterValue>(&self, offset: usize) -> Option<T> {
        Some(self.register::<T>(offset)?.read().little_endian())
    }

    #[inline]
    fn store<T: RegisterValue>(&self, offset: usize, value: T) {
        if let Some(register) = self.register(offset) {
            register.write(value.little_endian());
        }
    }
}

// SAFETY: by the contract of `new` these are the device's registers. Each access is a volatile one: it is made, in order.
unsafe impl IoRegion for MmioRegion {
    fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    fn check(&self, offset: usize, width: usize) -> Result<(), RegisterError> {
        check_access(self.bytes, self.base.addr().get(), offset, width)
    }

    #[inline]
    fn read(&self, offset: usize, width: usize) -> u32 {
        match width {
            1 => self.load::<u8>(offset).map_or(!0, u32::from),
            2 => self.load::<u16>(offset).map_or(!0, u32::from),
            _ => self.load::<u32>(offset).unwrap_or(!0),
        }
    }

    #[inline]
    fn write(&self, offset: usize, width: usize, value: u32) {
        match width {
            1 => self.store(offset, value as u8),
            2 => self.store(offset, value as u16),
            _ => self.store(offset, value),
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmappable { phys, bytes } => {
                write!(f, "{bytes} bytes of registers at {phys:#x} cannot be mapped")
            }
            Self::OutOfRange { offset, bytes } => {
                write!(f, "the register at offset {offset:#x} lies outside its region of {bytes:#x} bytes")
            }
            Self::Misaligned { offset } => write!(f, "the register at offset {offset:#x} is not aligned"),
        }
    }
}

/// As displayed. Many error types hold one, and a derived implementation would be inlined into each of theirs.
impl fmt::Debug for RegisterError {
    #[inline(never)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for RegisterError {}
