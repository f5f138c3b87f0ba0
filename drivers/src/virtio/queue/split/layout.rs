//! The memory of a split virtqueue: where its three parts lie, and every access to them.
#![expect(unsafe_code, reason = "memory that is shared with a device is reached by raw pointer")]

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use nm_core::platform::{DmaMemory, OutOfDmaMemory, Platform};

use crate::shared_memory::{atomic16, atomic32, atomic64};
use crate::virtio::queue::QueueSize;
use crate::virtio::transport::QueuePlace;

/// The driver wants no interrupt (`VIRTQ_AVAIL_F_NO_INTERRUPT`, section 2.7.6).
pub(super) const NO_INTERRUPT: u16 = 1;
/// The device wants no doorbell (`VIRTQ_USED_F_NO_NOTIFY`, section 2.7.8).
pub(super) const NO_NOTIFY: u16 = 1;

/// What the driver writes and what the device writes lie on cache lines of their own.
const LINE: usize = 64;
const DESCRIPTOR_BYTES: usize = 16;
/// Bytes in front of the entries of the available and of the used ring: flags and index.
const RING_HEAD: usize = 4;
const AVAILABLE_ENTRY_BYTES: usize = 2;
const USED_ENTRY_BYTES: usize = 8;
/// Bytes behind the entries: `used_event` or `avail_event`.
const RING_TAIL: usize = 2;

/// How the parts of a queue lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Where they like, as a device is told of each.
    Free,
    /// As a device expects that is told of the first page alone (section 2.7.2): the available ring behind the descriptors,
    /// the used ring at the next multiple of [`LEGACY_PAGE`].
    Contiguous,
}

/// The page in which a legacy device counts, and to which the used ring is aligned.
pub const LEGACY_PAGE: usize = 4096;

/// Offsets of the parts in the queue's block of memory, for one size.
struct Layout {
    available: usize,
    used: usize,
    bytes: usize,
    /// What the block itself is aligned to.
    align: usize,
}

impl Layout {
    fn of(size: QueueSize, placement: Placement) -> Self {
        let entries = usize::from(size.get());
        let (available_align, align) = match placement {
            Placement::Free => (LINE, LINE),
            Placement::Contiguous => (1, LEGACY_PAGE),
        };
        let available = (entries * DESCRIPTOR_BYTES).next_multiple_of(available_align);
        let available_bytes = RING_HEAD + entries * AVAILABLE_ENTRY_BYTES + RING_TAIL;
        let used = (available + available_bytes).next_multiple_of(align);
        let bytes = used + RING_HEAD + entries * USED_ENTRY_BYTES + RING_TAIL;
        Self { available, used, bytes, align }
    }
}

/// The memory of one queue. Positions are taken modulo the queue's size, so that no value leads out of it.
#[derive(Debug)]
pub struct RingMemory {
    descriptors: NonNull<u8>,
    available: NonNull<u8>,
    used: NonNull<u8>,
    /// The size less one. All sizes are powers of two.
    mask: usize,
    size: QueueSize,
    placement: Placement,
    memory: Arc<DmaMemory>,
}

// SAFETY: the pointers lead into `memory`, which is `Send`, and are used for atomic access only.
unsafe impl Send for RingMemory {}

/// Setting up.
impl RingMemory {
    /// Allocates the zeroed memory of a queue of this size.
    pub fn allocate(
        platform: &Arc<dyn Platform>,
        size: QueueSize,
        placement: Placement,
    ) -> Result<Self, OutOfDmaMemory> {
        let layout = Layout::of(size, placement);
        let memory = DmaMemory::allocate(platform, layout.bytes, layout.align)?;
        let descriptors = memory.virt();
        // SAFETY: both offsets lie within the `layout.bytes` that were allocated.
        let (available, used) = unsafe { (descriptors.add(layout.available), descriptors.add(layout.used)) };
        let mask = usize::from(size.get()) - 1;
        Ok(Self { descriptors, available, used, mask, size, placement, memory: Arc::new(memory) })
    }

    /// What the device has to be told.
    pub fn place(&self) -> QueuePlace {
        let Layout { available, used, .. } = Layout::of(self.size, self.placement);
        let start = self.memory.phys();
        QueuePlace {
            size: self.size.get(),
            descriptors: start,
            available: start + available as u64,
            used: start + used as u64,
        }
    }

    /// The memory itself, for whoever has to keep it until the device has been stopped.
    pub fn memory(&self) -> &Arc<DmaMemory> {
        &self.memory
    }

    /// Number of entries.
    #[inline]
    pub fn size(&self) -> u16 {
        self.size.get()
    }
}

/// What the driver writes.
impl RingMemory {
    /// Writes a descriptor, all of its fields: what was in it before does not matter, and it is never read. `next` is
    /// that in which it continues, if `flags` say that it does.
    ///
    /// # Safety
    /// `number` is below [`size`](Self::size).
    #[inline]
    pub(super) unsafe fn write_descriptor(
        &self,
        number: u16,
        address: u64,
        bytes: u32,
        flags: u16,
        next: u16,
    ) {
        let offset = usize::from(number) * DESCRIPTOR_BYTES;
        // SAFETY: the caller keeps the offset within the descriptor table, whose start and entries are aligned to 16.
        unsafe {
            atomic64(self.descriptors, offset).store(address.to_le(), Ordering::Relaxed);
            atomic32(self.descriptors, offset + 8).store(bytes.to_le(), Ordering::Relaxed);
            // The flags, and above them the number of the next descriptor.
            let flags_and_next = u32::from(flags) | u32::from(next) << 16;
            atomic32(self.descriptors, offset + 12).store(flags_and_next.to_le(), Ordering::Relaxed);
        }
    }

    /// Writes an entry of the available ring: the number of a descriptor.
    #[inline]
    pub(super) fn write_available(&self, position: u16, number: u16) {
        let offset = RING_HEAD + self.wrap(position) * AVAILABLE_ENTRY_BYTES;
        // SAFETY: `wrap` keeps the offset within the available ring, which is aligned.
        unsafe { atomic16(self.available, offset).store(number.to_le(), Ordering::Relaxed) }
    }

    /// Publishes the available ring up to `index`.
    ///
    /// Release: the device that reads this index reads the entries and descriptors in front of it as they were
    /// written. Without it, it could follow an entry that is not there yet.
    #[inline]
    pub(super) fn publish_available(&self, index: u16) {
        // SAFETY: the index is the second field of the available ring.
        unsafe { atomic16(self.available, 2).store(index.to_le(), Ordering::Release) }
    }

    /// Writes the flags of the available ring.
    pub(super) fn write_available_flags(&self, flags: u16) {
        // SAFETY: the flags are the first field of the available ring.
        unsafe { atomic16(self.available, 0).store(flags.to_le(), Ordering::Relaxed) }
    }

    /// Writes the index after whose entry the driver wants an interrupt (`used_event`).
    pub(super) fn write_used_event(&self, index: u16) {
        let offset = RING_HEAD + usize::from(self.size.get()) * AVAILABLE_ENTRY_BYTES;
        // SAFETY: `used_event` lies right behind the entries of the available ring.
        unsafe { atomic16(self.available, offset).store(index.to_le(), Ordering::Relaxed) }
    }
}

/// What the device writes.
impl RingMemory {
    /// How far the device has completed.
    ///
    /// Acquire: entries and buffers in front of this index are read as the device wrote them before it.
    #[inline]
    pub(super) fn used_index(&self) -> u16 {
        // SAFETY: the index is the second field of the used ring.
        u16::from_le(unsafe { atomic16(self.used, 2).load(Ordering::Acquire) })
    }

    /// The id in an entry of the used ring; to be read behind [`used_index`](Self::used_index).
    #[inline]
    pub(super) fn used_id(&self, position: u16) -> u32 {
        let offset = RING_HEAD + self.wrap(position) * USED_ENTRY_BYTES;
        // SAFETY: `wrap` keeps the offset within the used ring, whose entries are aligned to 4.
        u32::from_le(unsafe { atomic32(self.used, offset).load(Ordering::Relaxed) })
    }

    /// How many bytes were written, in an entry of the used ring; to be read as [`used_id`](Self::used_id).
    #[inline]
    pub(super) fn used_written(&self, position: u16) -> u32 {
        let offset = RING_HEAD + self.wrap(position) * USED_ENTRY_BYTES + 4;
        // SAFETY: as in `used_id`.
        u32::from_le(unsafe { atomic32(self.used, offset).load(Ordering::Relaxed) })
    }

    /// The flags of the used ring.
    #[inline]
    pub(super) fn used_flags(&self) -> u16 {
        // SAFETY: the flags are the first field of the used ring.
        u16::from_le(unsafe { atomic16(self.used, 0).load(Ordering::Relaxed) })
    }

    /// The index after whose entry the device wants a doorbell (`avail_event`).
    #[inline]
    pub(super) fn available_event(&self) -> u16 {
        let offset = RING_HEAD + usize::from(self.size.get()) * USED_ENTRY_BYTES;
        // SAFETY: `avail_event` lies right behind the entries of the used ring.
        u16::from_le(unsafe { atomic16(self.used, offset).load(Ordering::Relaxed) })
    }

    /// A running index as a position below the queue's size.
    #[inline]
    fn wrap(&self, index: u16) -> usize {
        usize::from(index) & self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_aligned_and_do_not_overlap() {
        for power in 0..=12 {
            let size = QueueSize::within(1 << power).unwrap();
            let entries = usize::from(size.get());
            for placement in [Placement::Free, Placement::Contiguous] {
                let layout = Layout::of(size, placement);
                assert!(layout.available >= 16 * entries && layout.available.is_multiple_of(2));
                assert!(layout.used >= layout.available + 6 + 2 * entries && layout.used.is_multiple_of(4));
                assert!(layout.bytes >= layout.used + 6 + 8 * entries);
                assert_eq!(layout.used % LINE, 0);
            }
        }
    }

    /// The numbers are those of the formula in section 2.7.2, worked out by hand.
    #[test]
    fn a_contiguous_queue_lies_as_a_legacy_device_computes_it() {
        for (entries, available, used) in [
            (1, 16, 4096),
            (2, 32, 4096),
            (128, 2048, 4096),
            (256, 4096, 8192),
            (1024, 16384, 20480),
            (4096, 65536, 77824),
        ] {
            let layout = Layout::of(QueueSize::within(entries).unwrap(), Placement::Contiguous);
            assert_eq!((layout.available, layout.used, layout.align), (available, used, 4096), "{entries}");
        }
    }
}
