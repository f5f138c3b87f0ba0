//! Device registers: windows of memory-mapped io, and single registers in them.
//!
//! Bounds and alignment are checked when a [`Register`] is taken out of its [`MmioWindow`]; after that an access is
//! one volatile load or store.
#![expect(unsafe_code, reason = "device registers are reached by raw pointer")]

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::hal::Hal;

/// A range of device registers.
#[derive(Debug, Clone)]
pub struct MmioWindow {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: registers belong to no thread. All access is volatile, so two threads that write one register see the
// device's order of the two, which is what a device driver has to reckon with anyway.
unsafe impl Send for MmioWindow {}
// SAFETY: as above.
unsafe impl Sync for MmioWindow {}

/// Why there is no such window or register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MmioError {
    /// The machine cannot map this range.
    Unmappable {
        /// Physical address.
        phys: u64,
        /// Length in bytes.
        bytes: usize,
    },
    /// The access leaves the window.
    OutOfWindow {
        /// Where the access starts, in bytes from the start of the window.
        offset: usize,
        /// Length of the window in bytes.
        window: usize,
    },
    /// The register's address is not a multiple of its size.
    Misaligned {
        /// Where the access starts, in bytes from the start of the window.
        offset: usize,
    },
}

impl MmioWindow {
    /// Maps `bytes` of registers at the physical address `phys`.
    pub fn map(hal: &dyn Hal, phys: u64, bytes: usize) -> Result<Self, MmioError> {
        let base = hal.map_mmio(phys, bytes).ok_or(MmioError::Unmappable { phys, bytes })?;
        Ok(Self { base, bytes })
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The part of this window that starts at `offset` and is `bytes` long.
    pub fn window(&self, offset: usize, bytes: usize) -> Result<Self, MmioError> {
        Ok(Self { base: self.locate(offset, bytes)?, bytes })
    }

    /// The register at `offset`.
    pub fn register<T: RegisterValue, A: Access>(&self, offset: usize) -> Result<Register<T, A>, MmioError> {
        let at = self.locate(offset, size_of::<T>())?;
        if !at.addr().get().is_multiple_of(T::ALIGN) {
            return Err(MmioError::Misaligned { offset });
        }
        Ok(Register { at, kind: PhantomData })
    }

    /// Where the `bytes` from `offset` on are, if all of them lie in the window.
    fn locate(&self, offset: usize, bytes: usize) -> Result<NonNull<u8>, MmioError> {
        let end = offset.checked_add(bytes).filter(|&end| end <= self.bytes);
        if end.is_none() {
            return Err(MmioError::OutOfWindow { offset, window: self.bytes });
        }
        // SAFETY: `offset` is at most `self.bytes`, and the window is that long by the contract of `map_mmio`.
        Ok(unsafe { self.base.add(offset) })
    }
}

/// One register of a device: a value of type `T`, with the access that `A` allows.
pub struct Register<T, A = ReadWrite> {
    at: NonNull<u8>,
    kind: PhantomData<(T, A)>,
}

// SAFETY: as for `MmioWindow`, a part of which this is.
unsafe impl<T, A> Send for Register<T, A> {}
// SAFETY: as for `MmioWindow`.
unsafe impl<T, A> Sync for Register<T, A> {}

impl<T: RegisterValue, A: Readable> Register<T, A> {
    /// Reads the register.
    #[inline]
    pub fn read(&self) -> T {
        // SAFETY: `MmioWindow::register` checked that the register lies in a mapped window and is aligned.
        unsafe { T::read_from(self.at) }
    }
}

impl<T: RegisterValue, A: Writable> Register<T, A> {
    /// Writes the register.
    #[inline]
    pub fn write(&self, value: T) {
        // SAFETY: as in `read`.
        unsafe { value.write_to(self.at) }
    }
}

impl<T, A> Clone for Register<T, A> {
    fn clone(&self) -> Self {
        Self { at: self.at, kind: PhantomData }
    }
}

impl<T, A> fmt::Debug for Register<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Register({:p})", self.at)
    }
}

/// May be read, not written.
#[derive(Debug, Clone, Copy)]
pub enum ReadOnly {}
/// May be written, not read.
#[derive(Debug, Clone, Copy)]
pub enum WriteOnly {}
/// May be read and written.
#[derive(Debug, Clone, Copy)]
pub enum ReadWrite {}

/// What may be done with a register: one of [`ReadOnly`], [`WriteOnly`], [`ReadWrite`].
pub trait Access: sealed::Sealed {}
/// Access that includes reading.
pub trait Readable: Access {}
/// Access that includes writing.
pub trait Writable: Access {}

impl Access for ReadOnly {}
impl Access for WriteOnly {}
impl Access for ReadWrite {}
impl Readable for ReadOnly {}
impl Readable for ReadWrite {}
impl Writable for WriteOnly {}
impl Writable for ReadWrite {}

/// A type that a register can hold.
pub trait RegisterValue: sealed::Sealed + Copy {
    /// What the register's address must be a multiple of.
    const ALIGN: usize;

    /// Reads the value at `at`.
    ///
    /// # Safety
    /// `at` points to mapped registers of at least this size and is aligned to [`ALIGN`](Self::ALIGN).
    unsafe fn read_from(at: NonNull<u8>) -> Self;

    /// Writes the value to `at`.
    ///
    /// # Safety
    /// As for [`read_from`](Self::read_from).
    unsafe fn write_to(self, at: NonNull<u8>);
}

macro_rules! plain_register_value {
    ($($type:ty)*) => {$(
        impl sealed::Sealed for $type {}

        impl RegisterValue for $type {
            const ALIGN: usize = align_of::<$type>();

            #[inline]
            unsafe fn read_from(at: NonNull<u8>) -> Self {
                // SAFETY: mapped and aligned, as the caller promises.
                <$type>::from_le(unsafe { at.cast::<$type>().read_volatile() })
            }

            #[inline]
            unsafe fn write_to(self, at: NonNull<u8>) {
                // SAFETY: mapped and aligned, as the caller promises.
                unsafe { at.cast::<$type>().write_volatile(self.to_le()) }
            }
        }
    )*};
}

plain_register_value!(u8 u16 u32);

impl sealed::Sealed for u64 {}

/// Accessed as two halves, the lower first: devices need not take 64 bits at once (virtio 1.2, section 4.1.3.1).
impl RegisterValue for u64 {
    const ALIGN: usize = 4;

    unsafe fn read_from(at: NonNull<u8>) -> Self {
        // SAFETY: both halves lie in the eight bytes that the caller promises.
        let (low, high) = unsafe { (u32::read_from(at), u32::read_from(at.add(4))) };
        u64::from(high) << 32 | u64::from(low)
    }

    unsafe fn write_to(self, at: NonNull<u8>) {
        let [a, b, c, d, e, f, g, h] = self.to_le_bytes();
        // SAFETY: as in `read_from`.
        unsafe {
            u32::from_le_bytes([a, b, c, d]).write_to(at);
            u32::from_le_bytes([e, f, g, h]).write_to(at.add(4));
        }
    }
}

impl fmt::Display for MmioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmappable { phys, bytes } => {
                write!(f, "{bytes} bytes of registers at {phys:#x} cannot be mapped")
            }
            Self::OutOfWindow { offset, window } => {
                write!(f, "register at offset {offset:#x} lies outside its window of {window:#x} bytes")
            }
            Self::Misaligned { offset } => write!(f, "register at offset {offset:#x} is not aligned"),
        }
    }
}

impl core::error::Error for MmioError {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadOnly {}
    impl Sealed for super::WriteOnly {}
    impl Sealed for super::ReadWrite {}
}
