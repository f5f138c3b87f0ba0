//! The fake machine notices what it is there to notice.
#![expect(unsafe_code, reason = "blocks are released wrongly, to see that it is noticed")]

use std::ptr::NonNull;
use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, Misuse};
use nm_driver::platform::{DmaBlock, DmaMemory, Platform};

#[test]
fn blocks_are_counted_and_come_back() {
    let machine = FakeMachine::with_memory(8192);
    let platform: Arc<dyn Platform> = machine.clone();
    let first = DmaMemory::allocate(&platform, 8000, 64).unwrap();
    assert!(DmaMemory::allocate(&platform, 193, 64).is_err());
    assert_ne!(first.phys(), first.virt().addr().get() as u64);
    assert_eq!(machine.blocks(), 1);
    drop(first);
    assert!(DmaMemory::allocate(&platform, 8192, 64).is_ok());
    assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
}

#[test]
fn double_free_and_unknown_blocks_are_noticed() {
    let machine = FakeMachine::new();
    let DmaBlock { virt, phys, bytes } = machine.allocate_dma(100, 64).unwrap();
    let release = |virt, phys, bytes| {
        // SAFETY: not kept, which is the point; the fake frees only what it knows to be allocated.
        unsafe { machine.release_dma(DmaBlock { virt, phys, bytes }) }
    };
    release(virt, phys, bytes);
    release(virt, phys, bytes);
    release(virt, 0x5000, bytes);
    assert_eq!(
        machine.misuse(),
        [Misuse::ReleasedUnknown { phys }, Misuse::ReleasedUnknown { phys: 0x5000 }]
    );

    let DmaBlock { phys, bytes, .. } = machine.allocate_dma(100, 64).unwrap();
    release(NonNull::dangling(), phys, bytes);
    assert_eq!(machine.misuse().last(), Some(&Misuse::ReleasedAltered { phys }));
}

#[test]
fn memory_is_reached_within_one_block_only() {
    let machine = FakeMachine::new();
    let platform: Arc<dyn Platform> = machine.clone();
    let block = DmaMemory::allocate(&platform, 100, 64).unwrap();
    let phys = block.phys();
    assert!(machine.has(phys, 100) && machine.has(phys + 99, 1) && machine.has(phys + 100, 0));
    assert!(!machine.has(phys, 101) && !machine.has(phys + 100, 1) && !machine.has(phys - 1, 1));
    assert!(!machine.has(u64::MAX, usize::MAX));
    assert_eq!(machine.write(phys + 96, &[1, 2, 3, 4, 5]), None);
    assert_eq!(machine.write(phys + 96, &[1, 2, 3, 4]), Some(()));
    assert_eq!(machine.read(phys + 95, 5), Some(vec![0, 1, 2, 3, 4]));
    drop(block);
    assert_eq!(machine.read(phys, 1), None);
}
