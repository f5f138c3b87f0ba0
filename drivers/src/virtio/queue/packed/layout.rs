//! The memory of a packed virtqueue: where its three parts lie, and every access to them.
#![expect(unsafe_code, reason = "memory that is shared with a device is reached by raw pointer")]

use alloc::sync::Arc;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use nm_core::platform::{DmaMemory, OutOfDmaMemory, Platform};

use super::place::{Circle, DESCRIPTOR_BYTES, Place};
use crate::shared_memory::{atomic32, atomic64};
use crate::virtio::queue::QueueSize;
use crate::virtio::transport::QueuePlace;

/// What the driver writes, what the device writes and what both write lie on cache lines of their own.
const LINE: usize = 64;
const LENGTH: usize = 8;
/// The last word of a descriptor: the id, and the flags in the upper half.
const ID_AND_FLAGS: usize = 12;

/// Offsets of the parts in the queue's block of memory, for one size. The descriptors are at its start.
struct Layout {
    driver_event: usize,
    device_event: usize,
    bytes: usize,
}

impl Layout {
    fn of(size: QueueSize) -> Self {
        let driver_event = (usize::from(size.get()) * DESCRIPTOR_BYTES as usize).next_multiple_of(LINE);
        let device_event = driver_event + LINE;
        Self { driver_event, device_event, bytes: device_event + LINE }
    }
}

/// An event suppression structure (section 2.8.14): when one side wants to be notified by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suppression {
    /// The place that `flags` may refer to; see [`Circle::event`].
    pub(super) place: u16,
    /// Which it is to be.
    pub(super) flags: u16,
}

/// The memory of one queue.
#[derive(Debug)]
pub struct PackedMemory {
    descriptors: NonNull<u8>,
    driver_event: NonNull<u8>,
    device_event: NonNull<u8>,
    circle: Circle,
    size: QueueSize,
    memory: Arc<DmaMemory>,
}

// SAFETY: the pointers lead into `memory`, which is `Send`, and are used for atomic access only.
unsafe impl Send for PackedMemory {}

/// Setting up.
impl PackedMemory {
    /// Allocates the zeroed memory of a queue of this size.
    pub fn allocate(platform: &Arc<dyn Platform>, size: QueueSize) -> Result<Self, OutOfDmaMemory> {
        let layout = Layout::of(size);
        let memory = DmaMemory::allocate(platform, layout.bytes, LINE)?;
        let descriptors = memory.virt();
        // SAFETY: both offsets lie within the `layout.bytes` that were allocated.
        let (driver_event, device_event) =
            unsafe { (descriptors.add(layout.driver_event), descriptors.add(layout.device_event)) };
        let circle = Circle::of(size);
        Ok(Self { descriptors, driver_event, device_event, circle, size, memory: Arc::new(memory) })
    }

    /// What the device has to be told: the driver's event suppression structure is its "available", the device's its "used"
    /// part. Each lies on a cache line.
    pub fn place(&self) -> QueuePlace {
        let Layout { driver_event, device_event, .. } = Layout::of(self.size);
        let start = self.memory.phys();
        QueuePlace {
            size: self.size.get(),
            descriptors: start,
            available: start + driver_event as u64,
            used: start + device_event as u64,
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

    /// The way around its ring.
    #[inline]
    pub(super) fn circle(&self) -> Circle {
        self.circle
    }
}

/// What the driver writes.
impl PackedMemory {
    /// Writes the descriptor at a place, all of its fields, and makes it available: from then on it and the buffer
    /// are the device's. `flags` are those besides the two that make it so.
    ///
    /// Release: the device that finds the descriptor available reads address, length and buffer as they were written.
    /// Without it, it could follow an address that is not there yet.
    ///
    /// # Safety
    /// The place is one of this ring: it comes from [`Place::START`] by ways of its [`circle`](Self::circle).
    #[inline]
    pub(super) unsafe fn write_descriptor(
        &self,
        place: Place,
        address: u64,
        bytes: u32,
        id: u16,
        flags: u16,
    ) {
        let (offset, id_and_flags) = (place.offset(), place.available(id, flags));
        // SAFETY: the offset is that of an entry of the ring, which starts at a multiple of 16.
        unsafe {
            atomic64(self.descriptors, offset).store(address.to_le(), Ordering::Relaxed);
            atomic32(self.descriptors, offset + LENGTH).store(bytes.to_le(), Ordering::Relaxed);
            atomic32(self.descriptors, offset + ID_AND_FLAGS).store(id_and_flags.to_le(), Ordering::Release);
        }
    }

    /// Says when the driver wants to be interrupted. In one store: a device never sees new flags with an old place.
    pub(super) fn write_driver_event(&self, Suppression { place, flags }: Suppression) {
        let word = u32::from(place) | u32::from(flags) << 16;
        // SAFETY: the structure is a word, and aligned.
        unsafe { atomic32(self.driver_event, 0).store(word.to_le(), Ordering::Relaxed) }
    }
}

/// What the device writes.
impl PackedMemory {
    /// The id in the descriptor at a place, if the device has used it. Id and flags are one word, which is read once.
    ///
    /// Acquire: the length in the descriptor and the buffer are read as the device wrote them before the flags.
    ///
    /// # Safety
    /// As for [`write_descriptor`](Self::write_descriptor).
    #[inline]
    pub(super) unsafe fn used_id(&self, place: Place) -> Option<u16> {
        let offset = place.offset() + ID_AND_FLAGS;
        // SAFETY: the offset is that of a word in an entry of the ring.
        let word = u32::from_le(unsafe { atomic32(self.descriptors, offset).load(Ordering::Acquire) });
        place.is_used(word).then_some(word as u16)
    }

    /// How many bytes were written, in a used descriptor; to be read behind [`used_id`](Self::used_id).
    ///
    /// By section 2.8.4 the length counts only if the descriptor has the WRITE flag. It is not looked at: QEMU has never set
    /// it there, and does set the length.
    ///
    /// # Safety
    /// As for [`write_descriptor`](Self::write_descriptor).
    #[inline]
    pub(super) unsafe fn used_written(&self, place: Place) -> u32 {
        let offset = place.offset() + LENGTH;
        // SAFETY: as in `used_id`.
        u32::from_le(unsafe { atomic32(self.descriptors, offset).load(Ordering::Relaxed) })
    }

    /// Whether the device wants a doorbell: the flags of its event suppression structure.
    #[inline]
    pub(super) fn device_event_flags(&self) -> u16 {
        // SAFETY: the structure is a word, and aligned.
        let word = u32::from_le(unsafe { atomic32(self.device_event, 0).load(Ordering::Relaxed) });
        (word >> 16) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alignments and sizes are those of the table in section 2.8.10.1.
    #[test]
    fn parts_are_aligned_and_do_not_overlap() {
        for power in 0..=12 {
            let size = QueueSize::within(1 << power).unwrap();
            let layout = Layout::of(size);
            assert!(layout.driver_event >= 16 * usize::from(size.get()));
            assert!(
                layout.device_event >= layout.driver_event + 4 && layout.bytes >= layout.device_event + 4
            );
            for part in [layout.driver_event, layout.device_event, layout.bytes] {
                assert!(part.is_multiple_of(LINE), "a cache line of its own");
            }
        }
    }
}
