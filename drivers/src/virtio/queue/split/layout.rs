//! The memory of a split virtqueue: where its three parts lie, and every access to them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use nm_driver::platform::{DmaMemory, OutOfDmaMemory, Platform};
use nm_driver::shared::{SharedArray, SharedMemory};

use crate::virtio::queue::QueueSize;
use crate::virtio::transport::{LEGACY_PAGE, QueuePlace};

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
/// Where flags and index of a ring are, and where the entries of the available ring begin, in words of 16 bits.
const FLAGS: usize = 0;
const INDEX: usize = 1;
const ENTRIES: usize = 2;
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

/// A descriptor (section 2.7.5): its address; its length, flags and next descriptor.
pub type Descriptor = [AtomicU64; 2];
/// An entry of the used ring (section 2.7.8): the id of a buffer, and how many bytes were written.
pub type UsedEntry = [AtomicU32; 2];

/// The memory of one queue. Positions are taken modulo the queue's size.
#[derive(Debug)]
pub struct RingMemory {
    descriptors: SharedArray<Descriptor>,
    /// Flags, index, the entries, and `used_event`.
    available: SharedArray<AtomicU16>,
    used_entries: SharedArray<UsedEntry>,
    /// Flags and index of the used ring.
    used_head: SharedArray<AtomicU16>,
    /// `avail_event`.
    used_tail: SharedArray<AtomicU16>,
    /// The size less one. All sizes are powers of two.
    mask: usize,
    size: QueueSize,
    placement: Placement,
    memory: Arc<DmaMemory>,
}

/// Setting up.
impl RingMemory {
    /// Allocates the zeroed memory of a queue of this size.
    pub fn allocate(
        platform: &Arc<dyn Platform>,
        size: QueueSize,
        placement: Placement,
    ) -> Result<Self, OutOfDmaMemory> {
        let Layout { available, used, bytes, align } = Layout::of(size, placement);
        let mut memory = SharedMemory::allocate(platform, bytes, align)?;
        let entries = usize::from(size.get());
        let used_tail = used + RING_HEAD + entries * USED_ENTRY_BYTES;
        Ok(Self {
            descriptors: memory.array(0, entries),
            available: memory.array(available, 2 + entries + 1),
            used_head: memory.array(used, 2),
            used_entries: memory.array(used + RING_HEAD, entries),
            used_tail: memory.array(used_tail, 1),
            mask: entries - 1,
            size,
            placement,
            memory: memory.memory().clone(),
        })
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

    /// The memory itself, to be kept until the device has been stopped.
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
    /// Descriptors from `number` (modulo the size) on, to the end of the table.
    #[inline]
    pub(super) fn descriptors_from(&self, number: u16) -> &[Descriptor] {
        self.descriptors.from(self.wrap(number))
    }

    /// Writes the address in descriptor `number` (modulo the size).
    pub(super) fn write_address(&self, number: u16, address: u64) {
        if let Some([at, _]) = self.descriptors.get(self.wrap(number)) {
            at.store(address.to_le(), Ordering::Relaxed);
        }
    }

    /// Writes all of descriptor `number` (modulo the size) but its address. `next` is that in which it continues, if `flags` say
    /// that it does.
    pub(super) fn write_rest(&self, number: u16, bytes: u32, flags: u16, next: u16) {
        let rest = u64::from(bytes) | u64::from(flags) << 32 | u64::from(next) << 48;
        if let Some([_, at]) = self.descriptors.get(self.wrap(number)) {
            at.store(rest.to_le(), Ordering::Relaxed);
        }
    }

    /// Writes an entry of the available ring: the number of a descriptor (modulo the size).
    pub(super) fn write_available(&self, position: u16, number: u16) {
        if let Some(entry) = self.available.get(ENTRIES + self.wrap(position)) {
            entry.store((self.wrap(number) as u16).to_le(), Ordering::Relaxed);
        }
    }

    /// Publishes the available ring up to `index`.
    ///
    /// Release: the device that reads this index reads the entries and descriptors in front of it as they were
    /// written. Without it, it could follow an entry that is not there yet.
    #[inline]
    pub(super) fn publish_available(&self, index: u16) {
        if let Some(at) = self.available.get(INDEX) {
            at.store(index.to_le(), Ordering::Release);
        }
    }

    /// Writes the flags of the available ring.
    pub(super) fn write_available_flags(&self, flags: u16) {
        if let Some(at) = self.available.get(FLAGS) {
            at.store(flags.to_le(), Ordering::Relaxed);
        }
    }

    /// Writes the index after whose entry the driver wants an interrupt (`used_event`).
    pub(super) fn write_used_event(&self, index: u16) {
        if let Some(at) = self.available.last() {
            at.store(index.to_le(), Ordering::Relaxed);
        }
    }
}

/// What the device writes.
impl RingMemory {
    /// How far the device has completed.
    ///
    /// Acquire: entries and buffers in front of this index are read as the device wrote them before it.
    #[inline]
    pub(super) fn used_index(&self) -> u16 {
        load(self.used_head.get(INDEX), Ordering::Acquire)
    }

    /// `count` entries of the used ring from a running index on, fewer where the ring ends; to be read behind
    /// [`used_index`](Self::used_index).
    #[inline]
    pub(super) fn used_from(&self, index: u16, count: u16) -> &[UsedEntry] {
        let entries = self.used_entries.from(self.wrap(index));
        entries.get(..usize::from(count)).unwrap_or(entries)
    }

    /// The id in an entry of the used ring, as for [`used_from`](Self::used_from).
    pub(super) fn used_id(&self, index: u16) -> u32 {
        let entry = self.used_entries.get(self.wrap(index));
        entry.map_or(u32::MAX, |[id, _]| u32::from_le(id.load(Ordering::Relaxed)))
    }

    /// The flags of the used ring.
    #[inline]
    pub(super) fn used_flags(&self) -> u16 {
        load(self.used_head.get(FLAGS), Ordering::Relaxed)
    }

    /// The index after whose entry the device wants a doorbell (`avail_event`).
    #[inline]
    pub(super) fn available_event(&self) -> u16 {
        load(self.used_tail.first(), Ordering::Relaxed)
    }

    /// A running index as a position below the queue's size.
    #[inline]
    pub(super) fn wrap(&self, index: u16) -> usize {
        usize::from(index) & self.mask
    }
}

#[inline]
fn load(word: Option<&AtomicU16>, order: Ordering) -> u16 {
    word.map_or(0, |word| u16::from_le(word.load(order)))
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
