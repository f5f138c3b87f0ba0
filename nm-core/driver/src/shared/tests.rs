use alloc::boxed::Box;
use core::sync::atomic::Ordering::Relaxed;
use std::alloc::{Layout, alloc, dealloc};
use std::vec::Vec;

use super::*;
use crate::platform::DmaBlock;

const ALIGN: usize = 64;

/// The heap, full of [`STALE`] bytes.
struct Heap;
const STALE: u8 = 0xa5;

// SAFETY: the heap gives memory of this kind, all of it written once. No device uses the addresses.
unsafe impl Platform for Heap {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        let layout = Layout::from_size_align(bytes, ALIGN).ok().filter(|_| align <= ALIGN && bytes > 0)?;
        // SAFETY: the layout is not empty.
        let virt = NonNull::new(unsafe { alloc(layout) })?;
        // SAFETY: the block is as long as the layout says.
        unsafe { virt.write_bytes(STALE, bytes) };
        Some(DmaBlock { virt, phys: 0x1000, bytes })
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        let layout = Layout::from_size_align(block.bytes, ALIGN).unwrap();
        // SAFETY: the block was allocated with this layout.
        unsafe { dealloc(block.virt.as_ptr(), layout) }
    }

    fn now_ns(&self) -> u64 {
        0
    }
}

fn memory(bytes: usize) -> SharedMemory {
    let platform: Arc<dyn Platform> = Arc::new(Heap);
    SharedMemory::allocate(&platform, bytes, ALIGN).unwrap()
}

#[test]
fn parts_never_overlap_and_stay_in_the_block() {
    let mut memory = memory(256);
    assert_eq!(memory.array::<AtomicU32>(0, 4).len(), 4);
    for (offset, len) in [(12, 1), (0, 1), (15, 1), (17, 1), (18, 1), (256, 1), (252, 2), (usize::MAX - 3, 1)]
    {
        assert_eq!(memory.array::<AtomicU32>(offset, len).len(), 0, "{len} at {offset}");
    }
    assert_eq!(memory.array::<AtomicU64>(24, usize::MAX).len(), 0);
    assert_eq!(memory.array::<AtomicU8>(16, 1).len(), 1, "a part that was not possible takes no place");
    let objects = memory.objects::<AtomicU64, AtomicU32, 0>(24, 3, 24);
    assert!(objects.get(2).is_some() && objects.get(3).is_none());
    assert_eq!(memory.array::<AtomicU8>(95, 1).len(), 0);
    assert_eq!(memory.array::<AtomicU8>(96, 160).len(), 160);
    assert_eq!(memory.array::<AtomicU8>(256, 1).len(), 0);
}

/// How many objects of `RESERVED` and more there are.
fn objects<const RESERVED: u32>(offset: usize, count: u32, stride: u32) -> usize {
    let objects = memory(256).objects::<AtomicU64, AtomicU32, RESERVED>(offset, count, stride);
    let found: Vec<u32> = (0..20).filter(|&index| objects.get(index).is_some()).collect();
    assert!(found.iter().copied().eq((RESERVED..20).take(found.len())));
    assert!(objects.get(u32::MAX).is_none() && objects.table().get(u32::MAX).is_none());
    assert!((0..20).all(|index| objects.table().contains(index) == found.contains(&index)));
    found.len()
}

#[test]
fn objects_are_aligned_and_long_enough_or_there_are_none() {
    for (offset, count, stride, expected) in [
        (0, 4, 16, 4),
        (0, 4, 8, 4),
        (0, 4, 0, 0),
        (0, 4, 12, 0),
        (4, 4, 16, 0),
        (8, 15, 16, 15),
        (8, 16, 16, 0),
        (0, u32::MAX, u32::MAX - 7, 0),
    ] {
        assert_eq!(objects::<0>(offset, count, stride), expected, "{count} of {stride} bytes at {offset}");
    }
    assert_eq!((objects::<2>(0, 4, 16), objects::<4>(0, 4, 16), objects::<5>(0, 4, 16)), (2, 0, 0));
}

/// Each word of a block is reached once, whichever way it is divided.
#[test]
fn header_and_entries_of_objects_lie_one_behind_the_other() {
    let mut memory = memory(8 + 3 * 24);
    let front = memory.array::<AtomicU32>(0, 2);
    let objects = memory.objects::<[AtomicU32; 2], AtomicU32, 0>(8, 3, 24);
    let mut next = 0..;
    let mut number = |word: &AtomicU32| word.store(next.next().unwrap(), Relaxed);
    front.iter().for_each(&mut number);
    for index in 0..3 {
        let (header, entries) = objects.get(index).unwrap();
        assert_eq!(objects.offset(index), 8 + 24 * index as usize);
        header.iter().chain(entries.iter()).for_each(&mut number);
        let Object { header: same, entries: also } = objects.table().get(index).unwrap();
        assert!(core::ptr::eq(same, &raw const *header) && core::ptr::eq(also, &raw const *entries));
    }
    let start = memory.memory().virt().cast::<u32>();
    // SAFETY: the block has twenty words, and there is one thread.
    let words: Vec<u32> = (0..20).map(|n| unsafe { start.add(n).read() }).collect();
    assert!(words.into_iter().eq(0..20));
}

#[test]
fn parts_keep_the_block() {
    let mut memory = memory(64);
    let (array, objects) = (memory.array::<AtomicU8>(0, 8), memory.objects::<AtomicU8, AtomicU8, 0>(8, 2, 8));
    let block = Arc::downgrade(memory.memory());
    drop(memory);
    let (header, entries) = objects.get(1).unwrap();
    let parts: [Box<dyn Send>; 4] = [Box::new(array), Box::new(objects), Box::new(header), Box::new(entries)];
    for part in parts {
        assert!(block.upgrade().is_some());
        drop(part);
    }
    assert!(block.upgrade().is_none());
}
