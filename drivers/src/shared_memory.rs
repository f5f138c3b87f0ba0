//! Words of memory that a device reads and writes at any time.
//!
//! They are reached as atomics: each access is one load or store of the whole word, and the orderings say what a device
//! may rely on.
#![expect(unsafe_code, reason = "memory that is shared with a device is reached by raw pointer")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// The byte at `offset`.
///
/// # Safety
/// As for [`atomic16`].
#[inline]
pub(crate) unsafe fn atomic8<'a>(base: NonNull<u8>, offset: usize) -> &'a AtomicU8 {
    // SAFETY: as the caller promises.
    unsafe { AtomicU8::from_ptr(base.as_ptr().add(offset)) }
}

/// The two bytes at `offset`.
///
/// # Safety
/// They lie in memory that stays valid, aligned, and are used atomically only while the reference lives.
#[inline]
pub(crate) unsafe fn atomic16<'a>(base: NonNull<u8>, offset: usize) -> &'a AtomicU16 {
    // SAFETY: as the caller promises.
    unsafe { AtomicU16::from_ptr(base.as_ptr().add(offset).cast()) }
}

/// The four bytes at `offset`.
///
/// # Safety
/// As for [`atomic16`].
#[inline]
pub(crate) unsafe fn atomic32<'a>(base: NonNull<u8>, offset: usize) -> &'a AtomicU32 {
    // SAFETY: as the caller promises.
    unsafe { AtomicU32::from_ptr(base.as_ptr().add(offset).cast()) }
}

/// The eight bytes at `offset`.
///
/// # Safety
/// As for [`atomic16`].
#[inline]
pub(crate) unsafe fn atomic64<'a>(base: NonNull<u8>, offset: usize) -> &'a AtomicU64 {
    // SAFETY: as the caller promises.
    unsafe { AtomicU64::from_ptr(base.as_ptr().add(offset).cast()) }
}
