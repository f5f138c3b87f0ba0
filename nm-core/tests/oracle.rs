//! Operation lists over several safe ports, against naive rings and cards (`programs::naive`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod programs;

use nm_core::testing::HeapPlatform;
use programs::{SplitMix, named, safe};

const PROGRAMS: u64 = if cfg!(miri) { 3 } else { 400 };
const LENGTH: usize = if cfg!(miri) { 150 } else { 1000 };

#[test]
fn rings_and_cards_show_what_naive_ones_show() {
    let (heap, seed) = (HeapPlatform::new(4 << 20), 0x0dd);
    let (mut operations, mut moved) = (0, 0);
    for number in 0..PROGRAMS {
        let mut program = vec![0; LENGTH];
        SplitMix(seed ^ number << 20).write(&mut program);
        let done = named(seed, number, || safe::run(&heap, &program));
        (operations, moved) = (operations + done.0, moved + done.1);
    }
    println!("{operations} operations, {moved} frames");
    assert!(cfg!(miri) || moved > operations / 30, "{operations} operations moved {moved} frames");
}
