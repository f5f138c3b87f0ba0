//! The allocator on the memory maps of real machines, and against a page-by-page oracle.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn span(start: u64, end: u64) -> AddrRange {
    AddrRange::between(start, end).unwrap()
}

fn allocator<const N: usize>(ram: &[AddrRange], taken: &[AddrRange]) -> FrameAllocator<N> {
    let mut frames = FrameAllocator::new();
    frames.manage(ram, taken.iter().copied()).unwrap();
    frames
}

#[test]
fn a_guest_of_32_mib_keeps_its_low_memory_and_its_image() {
    let ram = [span(0, 0x9_fc00), span(MIB, 0x1fd_f000)];
    let mut frames = allocator::<64>(&ram, &[span(2 * MIB, 2 * MIB + 700_000), span(0x1234, 0x1300)]);
    assert_eq!(frames.managed_bytes(), 0x1fd_f000 - 2 * MIB - 700_000_u64.next_multiple_of(4096) + MIB);
    assert_eq!(frames.allocate(4096, 1), Some(span(MIB, MIB + 4096)));
    let run = frames.allocate(20 * MIB, 4096).unwrap();
    assert!(run.start() > 2 * MIB + 700_000);
    assert_eq!(frames.allocate(20 * MIB, 4096), None);
}

#[test]
fn memory_above_4_gib_is_used() {
    let mut frames = allocator::<64>(&[span(MIB, 2 * GIB), span(4 * GIB, 10 * GIB)], &[]);
    assert_eq!(frames.largest_run(), 6 * GIB);
    assert_eq!(frames.allocate(5 * GIB, 4096), Some(span(4 * GIB, 9 * GIB)));
    assert_eq!(frames.allocate(GIB, 1 << 21), Some(span(2 * MIB, GIB + 2 * MIB)));
    assert_eq!(frames.free_bytes(), GIB + (GIB - MIB));
}

#[test]
fn odd_requests_are_refused() {
    let mut frames = allocator::<64>(&[span(MIB, 16 * MIB)], &[]);
    assert_eq!(frames.allocate(0, 4096), None);
    assert_eq!(frames.allocate(4096, 3 * 4096), None);
    assert_eq!(frames.allocate(u64::MAX, 4096), None);
    assert_eq!(frames.allocate(4096, 1 << 63), None);
    assert_eq!(frames.live_runs(), 0);
}

#[test]
fn what_was_not_handed_out_is_not_taken_back() {
    let mut frames = allocator::<64>(&[span(MIB, 16 * MIB)], &[]);
    let run = frames.allocate(8192, 4096).unwrap();
    assert_eq!(frames.free(span(0, 4096)), Err(FreeError::Foreign));
    assert_eq!(frames.free(span(16 * MIB, 17 * MIB)), Err(FreeError::Foreign));
    assert_eq!(frames.free(span(run.start() + 1, run.end())), Err(FreeError::Foreign));
    assert_eq!(frames.free(span(run.start(), run.end() + 4096)), Err(FreeError::NotAllocated));
    assert_eq!(frames.free(run), Ok(()));
    assert_eq!(frames.free(run), Err(FreeError::NotAllocated));
    assert_eq!(frames.free_bytes(), frames.managed_bytes());
}

#[test]
fn a_map_that_does_not_fit_manages_nothing() {
    let ram: Vec<AddrRange> = (1..40).map(|i| span(i * MIB, i * MIB + 8192)).collect();
    let mut frames = FrameAllocator::<8>::new();
    assert_eq!(frames.manage(&ram, []), Err(Full));
    assert_eq!(frames.managed_bytes(), 0);
}

#[derive(Debug, Clone)]
enum Operation {
    Allocate { pages: u64, align_pages: u64 },
    Free(prop::sample::Index),
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (1u64..20, 0u32..5).prop_map(|(pages, shift)| Operation::Allocate { pages, align_pages: 1 << shift }),
        2 => any::<prop::sample::Index>().prop_map(Operation::Free),
    ]
}

/// One flag for each page; the lowest run that fits is the one to hand out.
struct Naive(Vec<bool>);

impl Naive {
    const PAGES: u64 = 1024;

    fn of(ram: &[AddrRange]) -> Self {
        let page = |i: u64| span(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
        Self(
            (0..Self::PAGES)
                .map(|i| i * PAGE_BYTES >= LOWEST && ram.iter().any(|s| s.contains(page(i))))
                .collect(),
        )
    }

    fn allocate(&mut self, pages: u64, align: u64) -> Option<u64> {
        let is_free = |at: &u64| (*at..at + pages).all(|i| self.0.get(i as usize) == Some(&true));
        let at = (0..Self::PAGES).step_by(align as usize).find(is_free)?;
        self.set(at, pages, false);
        Some(at)
    }

    fn set(&mut self, at: u64, pages: u64, is_free: bool) {
        self.0[at as usize..(at + pages) as usize].fill(is_free);
    }
}

proptest! {
    /// First fit, alignment, merging and accounting agree with the oracle; in the end everything is back.
    #[test]
    fn agrees_with_the_oracle(operations in prop::collection::vec(any_operation(), 0..200)) {
        let ram = [span(0, 0x9_fc00), span(MIB, MIB + 0x7_7777), span(0x18_3001, 0x30_0000)];
        let mut frames = allocator::<512>(&ram, &[]);
        let mut naive = Naive::of(&ram);
        let mut runs: Vec<AddrRange> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Allocate { pages, align_pages } => {
                    let run = frames.allocate(pages * PAGE_BYTES - 1, align_pages * PAGE_BYTES);
                    let expected = naive.allocate(pages, align_pages);
                    prop_assert_eq!(run.map(|r| r.start() / PAGE_BYTES), expected);
                    runs.extend(run);
                }
                Operation::Free(index) if !runs.is_empty() => {
                    let run = runs.swap_remove(index.index(runs.len()));
                    prop_assert_eq!(frames.free(run), Ok(()));
                    naive.set(run.start() / PAGE_BYTES, run.bytes() / PAGE_BYTES, true);
                }
                Operation::Free(_) => {}
            }
            let free = naive.0.iter().filter(|f| **f).count() as u64;
            prop_assert_eq!(frames.free_bytes(), free * PAGE_BYTES);
            prop_assert_eq!(frames.live_runs(), runs.len());
        }
        for run in runs {
            prop_assert_eq!(frames.free(run), Ok(()));
        }
        prop_assert_eq!(frames.free_bytes(), frames.managed_bytes());
    }

    /// However short the list, giving back never fails.
    #[test]
    fn giving_back_always_has_room(operations in prop::collection::vec(any_operation(), 0..200)) {
        let mut frames = allocator::<6>(&[span(MIB, 2 * MIB), span(3 * MIB, 4 * MIB)], &[]);
        let mut runs: Vec<AddrRange> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Allocate { pages, align_pages } => {
                    runs.extend(frames.allocate(pages * PAGE_BYTES, align_pages * PAGE_BYTES));
                }
                Operation::Free(index) if !runs.is_empty() => {
                    prop_assert_eq!(frames.free(runs.swap_remove(index.index(runs.len()))), Ok(()));
                }
                Operation::Free(_) => {}
            }
        }
    }
}
