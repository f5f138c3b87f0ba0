//! The memory of a packed virtqueue: where its three parts lie, and every access to them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nm_driver::platform::{DmaMemory, OutOfDmaMemory, Platform};
use nm_driver::shared::{SharedArray, SharedMemory};

use super::place::{RingLayout, RingPosition, WrapCounter, id_of};
use crate::virtio::queue::{QueueSize, Used};
use crate::virtio::transport::QueuePlace;

/// What the driver writes, what the device writes and what both write lie on cache lines of their own.
const LINE: usize = 64;
const DESCRIPTOR_BYTES: usize = size_of::<Descriptor>();

/// Offsets of the parts in the queue's block of memory, for one size. The descriptors are at its start.
struct Layout {
    driver_event: usize,
    device_event: usize,
    bytes: usize,
}

impl Layout {
    fn of(size: QueueSize) -> Self {
        let driver_event = (usize::from(size.get()) * DESCRIPTOR_BYTES).next_multiple_of(LINE);
        let device_event = driver_event + LINE;
        Self { driver_event, device_event, bytes: device_event + LINE }
    }
}

/// An event suppression structure (section 2.8.14): when one side wants to be notified by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suppression {
    /// The place that `flags` may refer to; see [`RingLayout::event`].
    pub(super) place: u16,
    /// Which it is to be.
    pub(super) flags: u16,
}

/// A descriptor (section 2.8.13): its address; its length, id and flags.
pub type Descriptor = [AtomicU64; 2];

/// The memory of one queue.
#[derive(Debug)]
pub struct PackedMemory {
    descriptors: SharedArray<Descriptor>,
    driver_event: SharedArray<AtomicU32>,
    device_event: SharedArray<AtomicU32>,
    layout: RingLayout,
    size: QueueSize,
    memory: Arc<DmaMemory>,
}

/// Setting up.
impl PackedMemory {
    /// Allocates the zeroed memory of a queue of this size.
    pub fn allocate(platform: &Arc<dyn Platform>, size: QueueSize) -> Result<Self, OutOfDmaMemory> {
        let Layout { driver_event, device_event, bytes } = Layout::of(size);
        let mut memory = SharedMemory::allocate(platform, bytes, LINE)?;
        Ok(Self {
            descriptors: memory.array(0, size.get().into()),
            driver_event: memory.array(driver_event, 1),
            device_event: memory.array(device_event, 1),
            layout: RingLayout::of(size),
            size,
            memory: memory.memory().clone(),
        })
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

    /// The memory itself, to be kept until the device has been stopped.
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
    pub(super) fn layout(&self) -> RingLayout {
        self.layout
    }

    /// The descriptors from a place on, to the end of the ring.
    #[inline]
    pub(super) fn from(&self, place: RingPosition) -> &[Descriptor] {
        self.descriptors.from(place.position())
    }
}

/// Writes a descriptor, all of its fields, and makes it available: from then on it and the buffer are the device's.
///
/// Release: the device that finds the descriptor available reads address and buffer as they were written. Without it, it could
/// follow an address that is not there yet.
#[inline]
pub(super) fn write_descriptor([address, last]: &Descriptor, word: u64, at: u64) {
    address.store(at.to_le(), Ordering::Relaxed);
    last.store(word.to_le(), Ordering::Release);
}

/// The last word of a descriptor, read once: length, id and flags.
///
/// Acquire: the buffer is read as the device wrote it before the flags.
#[inline]
pub(super) fn last_word([_, last]: &Descriptor) -> u64 {
    u64::from_le(last.load(Ordering::Acquire))
}

/// The id in a descriptor, and how many bytes were written, if the device has used it.
///
/// By section 2.8.4 the length counts only if the descriptor has the WRITE flag. It is not looked at: QEMU has never set
/// it there, and does set the length.
#[inline]
pub(super) fn used(descriptor: &Descriptor, counter: WrapCounter) -> Option<Used> {
    let word = last_word(descriptor);
    // No cut: the length is the lower half.
    counter.is_used(word).then_some(Used { id: id_of(word).into(), written: word as u32 })
}

/// What the two sides tell each other.
impl PackedMemory {
    /// What the device says in the descriptor at a place: see [`used`].
    pub(super) fn used(&self, place: RingPosition) -> Option<Used> {
        used(self.from(place).first()?, place.counter())
    }

    /// Says when the driver wants to be interrupted. In one store: a device never sees new flags with an old place.
    pub(super) fn write_driver_event(&self, Suppression { place, flags }: Suppression) {
        let word = u32::from(place) | u32::from(flags) << 16;
        if let Some(at) = self.driver_event.first() {
            at.store(word.to_le(), Ordering::Relaxed);
        }
    }

    /// Whether the device wants a doorbell: the flags of its event suppression structure.
    #[inline]
    pub(super) fn device_event_flags(&self) -> u16 {
        let word = self.device_event.first().map_or(0, |at| u32::from_le(at.load(Ordering::Relaxed)));
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
