//! What the tests of ports and rings share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test ends here when it fails")]

pub mod lines;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use nm_core::host::{HostInterface, HostRings};
use nm_core::platform::Platform;
use nm_core::testing::{CardSpec, FakeStack, HeapPlatform, Order, Wire, card};
use nm_core::tunables::Tunables;
use nm_core::{Attachment, Netmap, Port};

pub const MEMORY: usize = 64 << 20;

/// A netmap with `buf_num` buffers on its own platform.
pub fn netmap(buf_num: u32) -> (Arc<HeapPlatform>, Netmap) {
    let heap = HeapPlatform::new(MEMORY);
    let platform: Arc<dyn Platform> = heap.clone();
    let tunables = Tunables { buf_num, ..Tunables::default() };
    let netmap = Netmap::new(&platform, tunables).unwrap();
    (heap, netmap)
}

/// A netmap with one card of `slots` slots, opened as `em0`.
pub fn one_card(slots: u16, order: Order) -> (Netmap, Port, Wire) {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, slots, order));
    netmap.attach("em0", nic).unwrap();
    let port = netmap.open("netmap:em0").unwrap();
    (netmap, port, wire)
}

/// A frame of `len` bytes that tells its number apart from any other.
pub fn frame(number: u64, len: usize) -> Vec<u8> {
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..len).map(|i| (seed >> (i % 8 * 8)) as u8 ^ i as u8).collect()
}

/// Every buffer is in the pool, no card was mistreated.
pub fn assert_all_home(netmap: &Netmap, wires: &[&Wire]) {
    let report = netmap.memory();
    assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
    for wire in wires {
        assert!(!wire.is_running());
        assert_eq!(wire.breaches(), Vec::<String>::new());
    }
}

/// Where two threads meet, over and over. They do not sleep, so that they go on at the same moment.
#[derive(Default)]
pub struct Meeting(AtomicUsize);

impl Meeting {
    /// Waits for the other thread.
    pub fn wait(&self) {
        let all = self.0.fetch_add(1, SeqCst) / 2 * 2 + 2;
        for looks in 0u32.. {
            if self.0.load(SeqCst) >= all {
                break;
            }
            if looks.is_multiple_of(1000) {
                thread::yield_now();
            }
        }
    }
}

/// A netmap with one card of `slots` slots, and a stack that has `rings`.
pub fn with_stack(slots: u16, order: Order, rings: HostRings) -> Hosted {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, slots, order));
    let stack = FakeStack::new();
    netmap.attach_as("em0", Attachment::rings(nic).with_stack(stack.clone(), rings)).unwrap();
    let host = netmap.host("em0").unwrap();
    Hosted { netmap, wire, stack, host }
}

/// What [`with_stack`] makes.
pub struct Hosted {
    pub netmap: Netmap,
    pub wire: Wire,
    pub stack: Arc<FakeStack>,
    pub host: HostInterface,
}
