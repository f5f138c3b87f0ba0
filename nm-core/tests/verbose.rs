//! What is logged: in detail when it is asked for, and what a program does wrong without being asked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]
#![allow(unsafe_code, reason = "a raw port is used through memory")]

mod common;

use common::{assert_all_home, frame, lines, netmap};
use log::Level;
use nm_core::host::{HostRings, Outgoing};
use nm_core::raw::RawOptions;
use nm_core::testing::{CardSpec, FakeStack, Order, Wire, card};
use nm_core::tunables::Verbose;
use nm_core::{Attachment, Netmap, SyncError};

fn interface(name: &str) -> (Netmap, Wire) {
    lines::install();
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, 8, Order::Posted));
    let rings = HostRings { slots: 8, ..HostRings::default() };
    netmap.attach_as(name, Attachment::rings(nic).with_stack(FakeStack::new(), rings)).unwrap();
    (netmap, wire)
}

fn texts(name: &str) -> Vec<String> {
    lines::about(name).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn each_bit_asks_for_its_own_lines_and_none_for_none() {
    let (netmap, _wire) = interface("verbose0");
    let host = netmap.host("verbose0").unwrap();
    let all = |bits: Verbose| {
        netmap.knobs().set("verbose", bits.bits()).unwrap();
        lines::about("verbose0");
        let mut port = netmap.open("verbose0*").unwrap();
        host.transmit(Outgoing::new(&frame(1, 60))).unwrap();
        let rings = port.all_rings();
        rings.host_tx[0].slots().next().unwrap().copy_from(&frame(2, 99)).unwrap();
        rings.host_tx[0].advance(1);
        rings.host_tx[0].txsync().unwrap();
        rings.tx[0].slots().next().unwrap().copy_from(&frame(3, 60)).unwrap();
        rings.tx[0].advance(1);
        rings.tx[0].txsync().unwrap();
        rings.rx[0].rxsync().unwrap();
        texts("verbose0")
    };
    assert_eq!(all(Verbose::empty()), [""; 0]);
    assert_eq!(
        all(Verbose::BINDING),
        ["verbose0: a port binds transmit rings [0, 1] and receive rings [0, 1], Exclusive"]
    );
    assert_eq!(
        all(Verbose::HOST),
        ["verbose0: 60 bytes from the stack, queued", "verbose0: 99 bytes for the stack, taken"]
    );
    assert_eq!(
        all(Verbose::TXSYNC),
        [
            "verbose0 tx0: before txsync head=1 cur=1 tail=7 hwcur=0 hwtail=7",
            "verbose0 tx0: after txsync head=1 cur=1 tail=0 hwcur=1 hwtail=0",
        ]
    );
    assert_eq!(
        all(Verbose::RXSYNC),
        [
            "verbose0 rx0: before rxsync head=0 cur=0 tail=0 hwcur=0 hwtail=0",
            "verbose0 rx0: after rxsync head=0 cur=0 tail=0 hwcur=0 hwtail=0",
        ]
    );
    assert_eq!(
        all(Verbose::from_bits_retain(0xffff_0000)),
        [""; 0],
        "bits without a meaning ask for nothing"
    );
}

#[test]
fn impossible_indices_are_explained_once_and_counted_each_time() {
    let (netmap, wire) = interface("reinit0");
    let port = netmap.open_raw("reinit0", RawOptions::default()).unwrap();
    let ring = port.tx_ring(0).unwrap();
    // SAFETY: the port is open, and these are words of its ring and of its first two slots.
    let write = |head: u32, buf_idx: u32, len: u16| unsafe {
        let slots = ring.cast::<u8>().add(nm_core::abi::SLOTS_OFFSET).cast::<nm_core::abi::Slot>();
        (&raw mut (*slots.as_ptr()).buf_idx).write_volatile(buf_idx);
        (&raw mut (*slots.add(1).as_ptr()).len).write_volatile(len);
        (&raw mut (*ring.as_ptr()).head).write_volatile(head);
        (&raw mut (*ring.as_ptr()).cur).write_volatile(head);
    };
    write(77, 5_000_000, 60_000);
    assert_eq!(port.txsync(), Err(SyncError::BadIndices { head: 77, cur: 77 }));
    let said = lines::about("reinit0");
    assert_eq!(said[0].0, Level::Warn);
    assert_eq!(
        said[0].1,
        "reinit0 tx0: head 77 or cur 77 is outside 0..=7; the ring was reinitialised, 2 slots had an invalid buffer or \
         length. Further cases are only counted (reinit, bad_slots)"
    );
    write(8, 0, 1);
    assert_eq!(port.txsync(), Err(SyncError::BadIndices { head: 8, cur: 8 }));
    assert_eq!(texts("reinit0").len(), 0, "once is enough");
    let counters = netmap.counters();
    assert!(counters[0].to_string().ends_with(" reinit=2 bad_slots=2"), "{}", counters[0]);
    assert!(!counters[1].to_string().contains(" reinit="), "a ring without such trouble does not mention it");
    assert_eq!(port.txsync(), Ok(()));
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}
