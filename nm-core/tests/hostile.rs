//! Raw ports in hostile hands: random programs, many of them.
//!
//! A program that fails is named by the seed and its number; [`program`] writes it again.
#![allow(unsafe_code, reason = "raw ports are used through memory")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]

mod common;
mod programs;

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;

use common::{Hosted, with_stack};
use nm_core::SyncError;
use nm_core::host::{HostRings, Outgoing};
use nm_core::poll::{Interest, Timeout};
use nm_core::raw::RawOptions;
use nm_core::testing::{HeapPlatform, Order};
use programs::hostile::{Done, View, run};
use programs::{SplitMix, named};

/// Bytes of a program, about three for each operation.
const LENGTH: usize = if cfg!(miri) { 300 } else { 12_000 };

/// Miri sees a write beside a block by itself.
fn heap() -> Arc<HeapPlatform> {
    if cfg!(miri) { HeapPlatform::new(4 << 20) } else { HeapPlatform::fenced(4 << 20) }
}

/// Program `number` of a seed.
fn program(seed: u64, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; LENGTH];
    SplitMix(seed ^ number << 20).write(&mut bytes);
    bytes
}

/// Runs programs until they have done so many operations.
fn run_programs(seed: u64, operations: u64) -> Done {
    let (heap, mut done) = (heap(), Done::default());
    for number in 0.. {
        if done.operations >= operations {
            break;
        }
        done.add(named(seed, number, || run(&heap, &program(seed, number))));
    }
    println!("seed {seed:#x}: {done:?}");
    done
}

/// Programs that are refused all the time would show nothing.
fn assert_busy(done: Done) {
    let Done { operations, syncs, refused, opened, frames, beside } = done;
    assert!(syncs > operations / 20 && refused > operations / 100, "{done:?}");
    assert!(opened > operations / 200 && frames > operations / 20 && beside > operations / 50, "{done:?}");
}

#[test]
fn raw_ports_may_be_written_with_anything() {
    let done = run_programs(0x5eed, if cfg!(miri) { 150 } else { 200_000 });
    if !cfg!(miri) {
        assert_busy(done);
    }
}

/// `./qemu-run.sh test` runs it, optimised and with debug assertions.
#[test]
#[ignore = "takes half a minute without optimisation"]
fn ten_million_hostile_operations() {
    assert_busy(run_programs(0x00c0_ffee, 10_000_000));
}

/// Words of rings, written by a thread that no lock stops.
struct Words(Vec<NonNull<u32>>);

// SAFETY: the words are those of rings that stay open, and everybody accesses them atomically.
unsafe impl Send for Words {}

impl Words {
    fn scribble(self, random: &mut SplitMix, is_over: &AtomicBool) {
        while !is_over.load(Relaxed) {
            let (at, value) = (random.next() as usize % self.0.len(), random.next());
            let value = if value % 4 == 0 { value >> 32 } else { value % 9 };
            // SAFETY: as above.
            unsafe { AtomicU32::from_ptr(self.0[at].as_ptr()) }.store(value as u32, Relaxed);
            if cfg!(miri) {
                thread::yield_now();
            }
        }
    }
}

/// Says that it is over, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A sync of rings that others sync and write to tells what it is documented to tell.
fn assert_told(outcome: Result<(), SyncError>) {
    use SyncError::{BadBuffer, BadIndices, Busy};
    assert!(matches!(outcome, Ok(()) | Err(BadIndices { .. } | BadBuffer { .. } | Busy)), "{outcome:?}");
}

/// netmap's rule is that a program writes between two syncs only. One that does not keep it, and writes what has just
/// been checked, while two ports sync the rings: nothing is believed twice.
#[test]
fn a_program_may_write_while_a_sync_reads() {
    let Hosted { netmap, wire, stack, host } =
        with_stack(8, Order::Shuffled(7), HostRings { tx: 1, rx: 2, slots: 8 });
    let open = || netmap.open_raw("em0*", RawOptions::default()).unwrap();
    let (port, other) = (open(), open());
    let tx = (0..2).map(|ring| port.tx_ring(ring));
    let rings = tx.chain((0..3).map(|ring| port.rx_ring(ring)));
    let words = Words(rings.flat_map(|ring| View::new(ring.unwrap(), 8).words()).collect());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| words.scribble(&mut SplitMix(1), &is_over));
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                [other.txsync(), other.rxsync()].into_iter().for_each(assert_told);
                thread::yield_now();
            }
        });
        for round in 0..if cfg!(miri) { 20 } else { 60_000 } {
            netmap.knobs().set("fwd", round / 100 % 2).unwrap();
            wire.send(&[0x11; 60]);
            let _ = host.transmit(Outgoing { queue: round as u16, ..Outgoing::new(&[0x22; 60]) });
            let polled = port.poll(Interest::all(), Timeout::Now).map_err(|error| error.cause);
            [port.txsync(), port.rxsync(), polled.map(|_| ())].into_iter().for_each(assert_told);
            assert!(wire.sent().iter().chain(&stack.received()).all(|frame| frame.len() <= 1984));
        }
    });
    drop((port, other));
    let report = netmap.memory();
    assert_eq!((report.free, report.held), (report.total, 0), "{report}");
}
