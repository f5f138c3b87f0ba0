//! Memory that a device or a raw program reads and writes at any time, as atomics.
//!
//! ```text
//! SharedMemory    a block of DMA memory while it is divided into parts; no two parts overlap
//!  ├─ SharedArray<T>        elements one behind the other                        (descriptors, used entries, slots)
//!  └─ SharedObjects<H, E>   objects of the same length: a header, and entries behind it  (rings, interfaces, packet buffers)
//! ```
//!
//! Each access is one load or store of a whole word, and what is read is a copy, to be checked before use. Since parts do not
//! overlap, each byte is accessed by atomics of one size. So safe code can read nonsense here, but cannot break memory safety.
//!
//! A structure in shared memory is declared with [`shared_struct!`](crate::shared_struct).
#![expect(unsafe_code, reason = "parts of a block of memory become atomics here")]

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use crate::platform::{DmaMemory, OutOfDmaMemory, Platform};

/// What may be in shared memory: atomics and nothing else.
///
/// # Safety
/// All bit patterns are valid, and every access through a shared reference is atomic.
pub unsafe trait Shared: Sync {}

// SAFETY: an atomic.
unsafe impl Shared for AtomicU8 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU16 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU32 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicU64 {}
// SAFETY: an atomic.
unsafe impl Shared for AtomicI64 {}
// SAFETY: an array consists of its elements.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {}

/// Declares a structure of shared memory: `#[repr(C)]`, all of whose fields are [`Shared`].
///
/// ```
/// use core::sync::atomic::AtomicU32;
/// nm_driver::shared_struct! {
///     /// An entry of a used ring.
///     pub struct UsedEntry {
///         pub id: AtomicU32,
///         pub written: AtomicU32,
///     }
/// }
/// ```
///
/// A field that others could not write meanwhile does not compile:
///
/// ```compile_fail,E0277
/// nm_driver::shared_struct! {
///     pub struct Plain {
///         pub id: u32,
///     }
/// }
/// ```
#[macro_export]
macro_rules! shared_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        const _: () = {
            const fn check<T: $crate::shared::Shared>() {}
            $(check::<$type>();)*
            assert!(!::core::mem::needs_drop::<$name>());
        };

        // SAFETY: the structure consists of its fields, which were just checked, and padding.
        #[allow(unsafe_code, reason = "the macro has checked what the trait asks for")]
        unsafe impl $crate::shared::Shared for $name {}
    };
}

/// A block of DMA memory that is divided into parts, from its start to its end. A part that lies in front of the end of the one
/// before, that is not aligned for its type, or that does not fit into the block, is empty.
#[derive(Debug)]
pub struct SharedMemory {
    memory: Arc<DmaMemory>,
    /// Bytes that belong to parts, and those between them.
    used: usize,
}

impl SharedMemory {
    /// Allocates a zeroed block, as [`DmaMemory::allocate`].
    pub fn allocate(
        platform: &Arc<dyn Platform>,
        bytes: usize,
        align: usize,
    ) -> Result<Self, OutOfDmaMemory> {
        Ok(Self { memory: Arc::new(DmaMemory::allocate(platform, bytes, align)?), used: 0 })
    }

    /// Allocates a block with anything in it, as [`DmaMemory::allocate_unzeroed`].
    pub fn allocate_unzeroed(
        platform: &Arc<dyn Platform>,
        bytes: usize,
        align: usize,
    ) -> Result<Self, OutOfDmaMemory> {
        Ok(Self { memory: Arc::new(DmaMemory::allocate_unzeroed(platform, bytes, align)?), used: 0 })
    }

    /// The block itself. Its parts keep it, too.
    pub fn memory(&self) -> &Arc<DmaMemory> {
        &self.memory
    }

    /// The next part: an array of `len` elements, `offset` bytes from the start of the block.
    pub fn array<T: Shared>(&mut self, offset: usize, len: usize) -> SharedArray<T> {
        let bytes = len.checked_mul(size_of::<T>());
        let first = self.part(offset, bytes, align_of::<T>()).map(NonNull::cast);
        let len = if first.is_some() { len } else { 0 };
        SharedArray { first: first.unwrap_or(NonNull::dangling()), len, memory: self.memory.clone() }
    }

    /// The next part: `count` objects, the first `offset` bytes from the start of the block, the others each `stride` bytes
    /// further. The first `RESERVED` of them are there, but are not handed out.
    pub fn objects<H: Shared, E: Shared, const RESERVED: u32>(
        &mut self,
        offset: usize,
        count: u32,
        stride: u32,
    ) -> SharedObjects<H, E, RESERVED> {
        let align = const {
            assert!(size_of::<H>().is_multiple_of(align_of::<E>()), "entries begin behind the header");
            if align_of::<H>() > align_of::<E>() { align_of::<H>() } else { align_of::<E>() }
        };
        let is_possible = stride as usize >= size_of::<H>() && (stride as usize).is_multiple_of(align);
        let bytes = (count as usize).checked_mul(stride as usize).filter(|_| is_possible);
        let first = self.part(offset, bytes, align);
        let usable = if first.is_some() { count.saturating_sub(RESERVED) } else { 0 };
        let first = first.unwrap_or(NonNull::dangling());
        SharedObjects {
            table: ObjectTable { first, stride, usable, content: PhantomData },
            offset,
            memory: self.memory.clone(),
        }
    }

    /// The start of the next part, if it lies behind those before it and in the block, and is aligned.
    fn part(&mut self, offset: usize, bytes: Option<usize>, align: usize) -> Option<NonNull<u8>> {
        let end = offset.checked_add(bytes?)?;
        if offset < self.used || end > self.memory.bytes() {
            return None;
        }
        // SAFETY: the offset was just seen to lie in the block.
        let start = unsafe { self.memory.virt().add(offset) };
        if !start.addr().get().is_multiple_of(align) {
            return None;
        }
        self.used = end;
        Some(start)
    }
}

/// An array in shared memory, which it keeps.
pub struct SharedArray<T> {
    first: NonNull<T>,
    len: usize,
    memory: Arc<DmaMemory>,
}

// SAFETY: the pointer leads into the block, which any thread may use, and elements are accessed atomically.
unsafe impl<T: Shared> Send for SharedArray<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for SharedArray<T> {}

impl<T: Shared> SharedArray<T> {
    /// The elements from `first` on; none when there is no such element.
    #[inline]
    pub fn from(&self, first: usize) -> &[T] {
        self.get(first..).unwrap_or_default()
    }

    /// The first `len` elements, if there are more.
    pub fn truncated(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// The block that the array is in.
    pub fn memory(&self) -> &Arc<DmaMemory> {
        &self.memory
    }

    /// Address of the first element.
    #[inline]
    pub fn as_non_null(&self) -> NonNull<T> {
        self.first
    }
}

impl<T: Shared> Deref for SharedArray<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: as many aligned elements lie in a part of the block, which this value keeps and only arrays of this type reach.
        // The bytes of a block have values (contract of `Platform`), and all are valid for a `Shared` type, which allows others
        // to write them meanwhile.
        unsafe { core::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> Clone for SharedArray<T> {
    fn clone(&self) -> Self {
        Self { first: self.first, len: self.len, memory: self.memory.clone() }
    }
}

impl<T> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray").field("first", &self.first).field("len", &self.len).finish()
    }
}

/// One structure in shared memory, which it keeps.
pub struct SharedRef<T> {
    at: NonNull<T>,
    memory: Arc<DmaMemory>,
}

// SAFETY: as for `SharedArray`.
unsafe impl<T: Shared> Send for SharedRef<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for SharedRef<T> {}

impl<T: Shared> SharedRef<T> {
    /// Address of the structure.
    pub fn as_non_null(&self) -> NonNull<T> {
        self.at
    }
}

impl<T: Shared> Deref for SharedRef<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: as in `SharedArray::deref`, for one structure.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Clone for SharedRef<T> {
    fn clone(&self) -> Self {
        Self { at: self.at, memory: self.memory.clone() }
    }
}

impl<T> fmt::Debug for SharedRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedRef").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Objects of the same length, each a header and entries behind it.
pub struct SharedObjects<H, E, const RESERVED: u32 = 0> {
    table: ObjectTable<'static, H, E, RESERVED>,
    offset: usize,
    memory: Arc<DmaMemory>,
}

impl<H: Shared, E: Shared, const RESERVED: u32> SharedObjects<H, E, RESERVED> {
    /// Bytes from the start of the block to object `index`, whether or not there is one.
    #[inline]
    pub fn offset(&self, index: u32) -> usize {
        self.offset + index as usize * self.table.stride as usize
    }

    /// Header and entries of object `index`.
    pub fn get(&self, index: u32) -> Option<(SharedRef<H>, SharedArray<E>)> {
        let (at, first) = self.table.at(index)?;
        let (len, memory) = (self.table.entries(), || self.memory.clone());
        Some((SharedRef { at, memory: memory() }, SharedArray { first, len, memory: memory() }))
    }

    /// Where the objects are, as a value that a loop keeps in registers.
    #[inline]
    pub fn table(&self) -> ObjectTable<'_, H, E, RESERVED> {
        self.table
    }
}

impl<H, E, const RESERVED: u32> fmt::Debug for SharedObjects<H, E, RESERVED> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedObjects")
            .field("offset", &self.offset)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl<H, E, const RESERVED: u32> Clone for SharedObjects<H, E, RESERVED> {
    fn clone(&self) -> Self {
        Self { table: self.table, offset: self.offset, memory: self.memory.clone() }
    }
}

/// Where objects are, for as long as their [`SharedObjects`] is borrowed.
pub struct ObjectTable<'a, H, E, const RESERVED: u32 = 0> {
    first: NonNull<u8>,
    stride: u32,
    usable: u32,
    content: PhantomData<(&'a (), H, E)>,
}

// SAFETY: as for `SharedArray`.
unsafe impl<H: Shared, E: Shared, const RESERVED: u32> Send for ObjectTable<'_, H, E, RESERVED> {}
// SAFETY: as above.
unsafe impl<H: Shared, E: Shared, const RESERVED: u32> Sync for ObjectTable<'_, H, E, RESERVED> {}

/// One object.
#[derive(Debug)]
pub struct Object<'a, H, E> {
    /// What it begins with.
    pub header: &'a H,
    /// What is behind the header: as many entries as there is room for.
    pub entries: &'a [E],
}

impl<'a, H: Shared, E: Shared, const RESERVED: u32> ObjectTable<'a, H, E, RESERVED> {
    /// Bytes from one object to the next.
    #[inline]
    pub fn stride(&self) -> u32 {
        self.stride
    }

    /// Whether there is object `index`, and it is not reserved.
    #[inline]
    pub fn contains(&self, index: u32) -> bool {
        index.wrapping_sub(RESERVED) < self.usable
    }

    /// Object `index`, if [`contains`](Self::contains) says so.
    #[inline]
    pub fn get(&self, index: u32) -> Option<Object<'a, H, E>> {
        let (header, first) = self.at(index)?;
        // SAFETY: header and entries lie in a part of a block that is kept for `'a`. `SharedMemory::objects` has seen that they are
        // aligned. What `SharedArray::deref` says of bytes holds here, too.
        unsafe {
            let entries = core::slice::from_raw_parts(first.as_ptr(), self.entries());
            Some(Object { header: header.as_ref(), entries })
        }
    }

    /// Where header and entries of object `index` are.
    #[inline]
    fn at(&self, index: u32) -> Option<(NonNull<H>, NonNull<E>)> {
        if !self.contains(index) {
            return None;
        }
        // SAFETY: the object lies in the part. `SharedMemory::objects` has seen that it is at least as long as the header.
        unsafe {
            let header = self.first.add(index as usize * self.stride as usize).cast::<H>();
            Some((header, header.add(1).cast()))
        }
    }

    /// Entries of each object.
    #[inline]
    fn entries(&self) -> usize {
        (self.stride as usize - size_of::<H>()) / size_of::<E>().max(1)
    }
}

impl<H, E, const RESERVED: u32> Clone for ObjectTable<'_, H, E, RESERVED> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H, E, const RESERVED: u32> Copy for ObjectTable<'_, H, E, RESERVED> {}

impl<H, E, const RESERVED: u32> fmt::Debug for ObjectTable<'_, H, E, RESERVED> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectTable")
            .field("stride", &self.stride)
            .field("usable", &self.usable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
