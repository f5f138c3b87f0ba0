//! Slots with offsets: where the bytes of a frame are, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here when it fails")]
#![allow(unsafe_code, reason = "raw ports are used through memory")]

mod common;

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use common::{assert_all_home, frame, netmap, with_stack};
use nm_core::abi::{RingFlags, RingHeader, SLOTS_OFFSET, Slot, SlotFlags};
use nm_core::host::{HostRings, Outgoing};
use nm_core::nic::{Link, Nic, NicInfo, Queues, StartParams, Stopped};
use nm_core::raw::{RawOptions, RawPort, Sharing};
use nm_core::testing::{CardSpec, FakeCard, Order, Wire, card, frame_device, pipe};
use nm_core::{Attachment, MtuError, Netmap, NullRings, Offsets, OffsetsError, OpenError, SyncError, errno};

const SLOTS: u16 = 8;
const OFFSETS: Offsets = Offsets { max_offset: 300, initial_offset: 20, offset_bits: 12 };

fn options(offsets: Offsets) -> RawOptions {
    RawOptions { offsets: Some(offsets), ..RawOptions::default() }
}

/// A ring as a C program sees it.
#[derive(Clone, Copy)]
struct View(NonNull<RingHeader>);

impl View {
    fn header(self) -> RingHeader {
        // SAFETY: the port that the ring belongs to is open in every test.
        unsafe { self.0.read_volatile() }
    }

    fn slot(self, at: u32) -> Slot {
        // SAFETY: `at` is below the ring's number of slots.
        unsafe { self.at(at).read_volatile() }
    }

    fn at(self, at: u32) -> NonNull<Slot> {
        // SAFETY: as above.
        unsafe { self.0.cast::<u8>().add(SLOTS_OFFSET).cast::<Slot>().add(at as usize) }
    }

    /// NETMAP_WOFFSET, length and flags.
    fn set(self, at: u32, offset: u64, len: u16, flags: SlotFlags) {
        let mask = self.header().offset_mask;
        let slot = self.slot(at);
        let ptr = slot.ptr & !mask | offset & mask;
        // SAFETY: as above, and any value may be written.
        unsafe { self.at(at).write_volatile(Slot { len, flags: flags.bits(), ptr, ..slot }) }
    }

    /// The bytes of the buffer of a slot, and the offset: NETMAP_BUF and NETMAP_ROFFSET.
    fn buffer(self, at: u32) -> (&'static mut [u8], usize) {
        let (header, slot) = (self.header(), self.slot(at));
        let offset = (slot.ptr & header.offset_mask) as usize;
        // SAFETY: the slot names a buffer of the region, which no device and no other thread uses meanwhile.
        unsafe {
            let payload = self.0.cast::<u8>().offset(header.buf_ofs as isize);
            let payload = payload.add((slot.buf_idx * header.nr_buf_size) as usize);
            (std::slice::from_raw_parts_mut(payload.as_ptr(), 1984), offset)
        }
    }

    /// The frame in a slot.
    fn frame(self, at: u32) -> Vec<u8> {
        let (buffer, offset) = self.buffer(at);
        buffer[offset..][..self.slot(at).len.into()].to_vec()
    }

    /// Puts a frame at an offset, between bytes that nothing else has.
    fn put(self, at: u32, offset: u64, bytes: &[u8], flags: SlotFlags) {
        self.set(at, offset, bytes.len() as u16, flags);
        let (buffer, offset) = self.buffer(at);
        buffer.fill(0x5a);
        buffer[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Whether only the frame, and a header of the device in front of it, are in a buffer that was filled by [`put`](Self::put).
    fn is_clean(self, at: u32) -> bool {
        let (len, (buffer, offset)) = (usize::from(self.slot(at).len), self.buffer(at));
        let mut around = buffer[..offset.saturating_sub(16)].iter().chain(&buffer[offset + len..]);
        around.all(|byte| *byte == 0x5a)
    }

    fn set_head(self, head: u32) {
        // SAFETY: as above.
        unsafe {
            (&raw mut (*self.0.as_ptr()).head).write_volatile(head);
            (&raw mut (*self.0.as_ptr()).cur).write_volatile(head);
        }
    }
}

fn interface(order: Order) -> (Netmap, Wire) {
    let (_, netmap) = netmap(4096);
    let (nic, wire) = card(CardSpec::new(1, SLOTS, order));
    netmap.attach("em0", nic).unwrap();
    (netmap, wire)
}

fn rings(port: &RawPort) -> (View, View) {
    (View(port.tx_ring(0).unwrap()), View(port.rx_ring(0).unwrap()))
}

fn refused(netmap: &Netmap, name: &str, options: RawOptions) -> (OffsetsError, i32) {
    let error = netmap.open_raw(name, options).unwrap_err();
    let number = error.errno();
    let OpenError::Offsets { cause, .. } = error else { unreachable!("{error:?}") };
    (cause, number)
}

#[test]
fn a_program_finds_the_mask_and_the_initial_offset_in_all_rings() {
    let hosted = with_stack(SLOTS, Order::Posted, HostRings { tx: 1, rx: 1, slots: 8 });
    for (bits, mask) in [(12, 0xfff), (9, 0x1ff), (0, u64::MAX), (64, u64::MAX)] {
        let port = hosted.netmap.open_raw("em0*", options(Offsets { offset_bits: bits, ..OFFSETS })).unwrap();
        for ring in [port.tx_ring(0), port.tx_ring(1), port.rx_ring(0), port.rx_ring(1)] {
            let ring = View(ring.unwrap());
            assert_eq!((ring.header().offset_mask, ring.header().buf_align), (mask, 0));
            assert!((0..SLOTS.into()).all(|at| ring.slot(at).ptr == 20));
        }
    }
    let port = hosted.netmap.open_raw("em0*", RawOptions::default()).unwrap();
    let (tx, _) = rings(&port);
    assert_eq!((tx.header().offset_mask, tx.slot(0).ptr), (0, 0), "nothing is left of an earlier port");
}

#[test]
fn a_card_sends_from_offsets_and_receives_at_them() {
    for order in [Order::Posted, Order::Shuffled(5)] {
        let (netmap, wire) = interface(order);
        let port = netmap.open_raw("em0", options(OFFSETS)).unwrap();
        let (tx, rx) = rings(&port);
        for number in 0..40 {
            let offset = [0, 1, 7, 12, 20, 300][number as usize % 6];
            let len = 60 + number as usize;
            let at = tx.header().head;
            tx.put(at, offset, &frame(number, len), SlotFlags::REPORT);
            tx.set_head((at + 1) % u32::from(SLOTS));
            port.txsync().unwrap();
            assert_eq!(wire.sent(), [frame(number, len)]);
            assert!(tx.is_clean(at), "offset {offset}");

            wire.send(&frame(number, len));
            port.rxsync().unwrap();
            let at = rx.header().head;
            assert_eq!(rx.frame(at), frame(number, len));
            // The slots begin with the initial offset. A released slot keeps the offset that it has when it is released.
            let expected = if number < 8 { 20 } else { 3 * ((number - 8) % 90) };
            if order == Order::Posted {
                assert_eq!((rx.slot(at).ptr, rx.slot(at).flags), (expected, 0));
                let in_front = rx.buffer(at).0[..expected as usize].iter();
                assert!(in_front.rev().skip(16).all(|byte| number < 8 || *byte == 0x5a));
            }
            rx.put(at, 3 * (number % 90), &[], SlotFlags::BUF_CHANGED);
            rx.set_head((at + 1) % u32::from(SLOTS));
            port.rxsync().unwrap();
        }
        drop(port);
        assert_all_home(&netmap, &[&wire]);
    }
}

#[test]
fn frames_of_several_slots_have_an_offset_in_each() {
    let (netmap, wire) = interface(Order::Posted);
    let offsets = Offsets { max_offset: 1900, initial_offset: 1, offset_bits: 0 };
    let port = netmap.open_raw("em0", options(offsets)).unwrap();
    let (tx, rx) = rings(&port);
    // 84 bytes fit a slot, whatever its offset.
    let sent = frame(1, 200);
    tx.put(0, 1900, &sent[..84], SlotFlags::MOREFRAG);
    tx.put(1, 0, &sent[84..150], SlotFlags::MOREFRAG);
    tx.put(2, 77, &sent[150..], SlotFlags::empty());
    tx.set_head(3);
    port.txsync().unwrap();
    assert_eq!(wire.sent().concat(), sent);
    wire.send(&sent);
    port.rxsync().unwrap();
    assert_eq!(
        (0..3).map(|at| (rx.slot(at).len, rx.slot(at).ptr)).collect::<Vec<_>>(),
        [(84, 1), (84, 1), (32, 1)]
    );
    assert_eq!((0..3).flat_map(|at| rx.frame(at)).collect::<Vec<_>>(), sent);
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

/// Both adapters agree on what is invalid, and on what becomes of it.
#[test]
fn invalid_offsets_are_dropped_on_transmit_and_bounded_on_receive() {
    let (netmap, wire) = interface(Order::Posted);
    let (device, line) = frame_device(1);
    netmap.knobs().set("generic_ringsize", SLOTS.into()).unwrap();
    netmap.attach_frames("gen0", device).unwrap();
    for name in ["em0", "gen0"] {
        let send = |frame: &[u8]| if name == "em0" { wire.send(frame) } else { line.send(frame) };
        let sent = || if name == "em0" { wire.sent() } else { line.sent() };
        let port = netmap.open_raw(name, options(OFFSETS)).unwrap();
        let (tx, rx) = rings(&port);
        let counters = |direction| {
            let all = netmap.counters();
            let ring = all.into_iter().find(|ring| &*ring.interface == name && ring.direction == direction);
            ring.unwrap().counters
        };
        tx.set(0, 301, 60, SlotFlags::empty());
        tx.set(1, 0xfff, 60, SlotFlags::empty());
        tx.set(2, 300, 1685, SlotFlags::empty());
        tx.put(3, 300, &frame(1, 1500), SlotFlags::empty());
        tx.set_head(4);
        port.txsync().unwrap();
        assert_eq!(sent(), [frame(1, 1500)], "{name}");
        let of_tx = counters(nm_core::stats::Direction::Tx);
        assert_eq!((of_tx.drop_invalid.get(), of_tx.packets.get()), (3, 1), "{name}");
        // Slots that are the core's: a card has posted all but the last.
        (0..SLOTS.into()).for_each(|at| rx.set(at, 0xffe, 0, SlotFlags::empty()));
        for number in 0..u64::from(SLOTS) + 3 {
            send(&frame(number, 1000));
            port.rxsync().unwrap();
            let at = rx.header().head;
            assert_eq!(rx.frame(at), frame(number, 1000), "{name}");
            let is_posted_before = name == "em0" && number < 7;
            assert_eq!(rx.slot(at).ptr, if is_posted_before { 20 } else { 300 }, "{name} {number}");
            rx.set(at, 301, 0, SlotFlags::empty());
            rx.set_head((at + 1) % u32::from(SLOTS));
            port.rxsync().unwrap();
        }
        drop(port);
    }
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn the_generic_adapter_and_the_stack_use_offsets() {
    let (device, line) = frame_device(1);
    let (_, netmap) = netmap(4096);
    netmap.attach_frames("gen0", device).unwrap();
    let port = netmap.open_raw("gen0", options(OFFSETS)).unwrap();
    let (tx, rx) = rings(&port);
    tx.put(0, 33, &frame(1, 90), SlotFlags::empty());
    tx.set_head(1);
    port.txsync().unwrap();
    assert_eq!(line.sent(), [frame(1, 90)]);
    rx.put(0, 41, &[], SlotFlags::empty());
    line.send(&frame(2, 1000));
    port.rxsync().unwrap();
    assert_eq!((rx.frame(0), rx.slot(0).ptr), (frame(2, 1000), 41));
    assert!(rx.is_clean(0));

    let hosted = with_stack(SLOTS, Order::Posted, HostRings { tx: 1, rx: 1, slots: 8 });
    let port = hosted.netmap.open_raw("em0*", options(OFFSETS)).unwrap();
    let (up, down) = (View(port.tx_ring(1).unwrap()), View(port.rx_ring(1).unwrap()));
    up.put(0, 55, &frame(3, 77), SlotFlags::empty());
    up.set_head(1);
    port.txsync().unwrap();
    assert_eq!(hosted.stack.received(), [frame(3, 77)]);
    hosted.host.transmit(Outgoing::new(&frame(4, 88))).unwrap();
    port.rxsync().unwrap();
    assert_eq!((down.frame(0), down.slot(0).ptr), (frame(4, 88), 20));
}

/// In transparent mode a frame keeps its place in the buffer.
#[test]
fn forwarded_frames_take_their_offsets_with_them() {
    let hosted = with_stack(SLOTS, Order::Posted, HostRings { tx: 1, rx: 1, slots: 8 });
    let port = hosted.netmap.open_raw("em0*", options(OFFSETS)).unwrap();
    let (card_tx, card_rx, host_rx) =
        (View(port.tx_ring(0).unwrap()), View(port.rx_ring(0).unwrap()), View(port.rx_ring(1).unwrap()));
    card_tx.set(0, 99, 0, SlotFlags::empty());
    hosted.wire.send(&frame(1, 60));
    hosted.host.transmit(Outgoing::new(&frame(2, 70))).unwrap();
    port.rxsync().unwrap();
    for ring in [card_rx, host_rx] {
        let bytes = ring.frame(0);
        // Moved by the program.
        ring.put(0, 150, &bytes, SlotFlags::FORWARD);
        // SAFETY: the port is open.
        unsafe { (&raw mut (*ring.0.as_ptr()).flags).write_volatile(RingFlags::FORWARD.bits()) };
        ring.set_head(1);
    }
    port.rxsync().unwrap();
    assert_eq!((hosted.stack.received(), hosted.wire.sent()), (vec![frame(1, 60)], vec![frame(2, 70)]));
    assert_eq!((card_tx.slot(0).ptr, host_rx.slot(0).ptr), (150, 99), "the free buffer went the other way");
}

#[test]
fn a_reset_and_a_new_port_leave_no_frame_at_another_place() {
    let (netmap, wire) = interface(Order::Posted);
    let port = netmap.open_raw("em0", options(OFFSETS)).unwrap();
    let (_, rx) = rings(&port);
    (0..SLOTS.into()).for_each(|at| rx.set(at, 111, 0, SlotFlags::empty()));
    netmap.reset("em0").unwrap();
    wire.send(&frame(1, 60));
    port.rxsync().unwrap();
    assert_eq!((rx.frame(0), rx.slot(0).ptr), (frame(1, 60), 20), "posted again where it was before");
    // Others keep the session open, and leave ring 0 free.
    let host = netmap.open_raw("em0", options(OFFSETS)).unwrap();
    drop(port);
    wire.send(&frame(2, 60));
    host.rxsync().unwrap();
    let (_, rx) = rings(&host);
    let at = (rx.header().tail + 7) % 8;
    assert_eq!(rx.frame(at), frame(2, 60));
    drop(host);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn ports_at_a_time_have_the_same_offsets() {
    let (netmap, wire) = interface(Order::Posted);
    let in_use = |wanted, current| (OffsetsError::InUse { wanted, current }, errno::EBUSY);
    let port = netmap.open_raw("em0", options(OFFSETS)).unwrap();
    let other = Offsets { max_offset: 299, ..OFFSETS };
    let initial = Offsets { initial_offset: 0, ..OFFSETS };
    for wanted in [Some(other), Some(initial), None] {
        let options = RawOptions { offsets: wanted, ..RawOptions::default() };
        assert_eq!(refused(&netmap, "em0", options), in_use(wanted, Some(OFFSETS)));
    }
    let error = netmap.open("em0").unwrap_err();
    assert_eq!(error.errno(), errno::EBUSY);
    let text = "em0: it is open with max_offset=300 initial_offset=20 offset_bits=12; \
                it cannot be opened with no offsets at the same time";
    assert_eq!(error.to_string(), text);
    let same = netmap.open_raw("em0", options(OFFSETS)).unwrap();
    drop((port, same));
    let safe = netmap.open("em0").unwrap();
    let shared = RawOptions { sharing: Sharing::Shared, ..options(OFFSETS) };
    assert_eq!(refused(&netmap, "em0", shared), in_use(Some(OFFSETS), None));
    drop(safe);
    assert_all_home(&netmap, &[&wire]);
}

#[test]
fn offsets_that_cannot_be_are_refused() {
    let (netmap, wire) = interface(Order::Posted);
    let with = |max_offset, initial_offset, offset_bits| {
        refused(&netmap, "em0", options(Offsets { max_offset, initial_offset, offset_bits }))
    };
    let buffer_len = 1984;
    assert_eq!(with(1985, 0, 0), (OffsetsError::AboveBuffer { max_offset: 1985, buffer_len }, errno::EINVAL));
    let initial = OffsetsError::InitialAboveMax { initial_offset: 101, max_offset: 100 };
    assert_eq!(with(100, 101, 0), (initial, errno::EINVAL));
    for (max_offset, offset_bits) in [(256, 8), (1, 65), (300, 255)] {
        let cause = OffsetsError::Bits { offset_bits, max_offset };
        assert_eq!(with(max_offset, 0, offset_bits), (cause, errno::EINVAL));
    }
    // What is left of a buffer has to be enough for 64 of them to hold a frame.
    for (max_offset, is_enough) in [(1960, true), (1961, false), (1984, false)] {
        let offsets = Offsets { max_offset, initial_offset: 0, offset_bits: 0 };
        assert_eq!(netmap.open_raw("em0", options(offsets)).is_ok(), is_enough, "{max_offset}");
    }
    assert_all_home(&netmap, &[&wire]);

    let (one, other) = pipe(8);
    netmap.attach_as("p0", one).unwrap();
    netmap.attach_as("p1", other).unwrap();
    assert_eq!(refused(&netmap, "p0", options(OFFSETS)), (OffsetsError::Unsupported, errno::EOPNOTSUPP));
    netmap.attach_as("null0", Attachment::null(NullRings::default())).unwrap();
    let port = netmap.open_raw("null0", options(OFFSETS)).unwrap();
    assert_eq!(rings(&port).1.slot(9).ptr, 20);
}

#[test]
fn a_card_that_spreads_no_frame_needs_the_room_for_one_behind_the_largest_offset() {
    let (_, netmap) = netmap(4096);
    let mut spec = CardSpec::new(1, SLOTS, Order::Posted);
    spec.info.scatter_min = None;
    let (nic, _wire) = card(spec);
    netmap.attach("em0", nic).unwrap();
    let open = |max_offset| {
        netmap.open_raw("em0", options(Offsets { max_offset, initial_offset: 0, offset_bits: 0 }))
    };
    // 1984 bytes less 1522.
    open(462).unwrap();
    let error = open(463).unwrap_err();
    let OpenError::Mtu { cause: MtuError::Buffers { buffer_len: 1521, max_offset: 463, .. }, .. } = &error
    else {
        unreachable!("{error:?}")
    };
    let text = "em0: with mtu=1500 a frame has up to 1522 bytes, and a receive buffer 1521 (netmap.buf_size=2048, \
                max_offset=463); the card needs netmap.buf_size=2112 or more, or mtu=1499 or less";
    assert_eq!((error.to_string().as_str(), error.errno()), (text, errno::EINVAL));
}

/// A released slot that names no buffer is an error, with an offset as without.
#[test]
fn a_released_slot_without_a_buffer_fails_the_sync() {
    let (netmap, wire) = interface(Order::Posted);
    let port = netmap.open_raw("em0", options(OFFSETS)).unwrap();
    let (_, rx) = rings(&port);
    wire.send(&frame(1, 60));
    port.rxsync().unwrap();
    // The slot in front of the window's end is the next to be posted.
    let last = u32::from(SLOTS) - 1;
    let slot = rx.slot(last);
    // SAFETY: the slot is one of the ring's, and any value may be written.
    unsafe { rx.at(last).write_volatile(Slot { buf_idx: 1, ..slot }) };
    rx.set_head(1);
    assert_eq!(port.rxsync(), Err(SyncError::BadBuffer { buf_idx: 1 }));
    // SAFETY: as above.
    unsafe { rx.at(last).write_volatile(slot) };
    port.rxsync().unwrap();
    drop(port);
    assert_all_home(&netmap, &[&wire]);
}

/// A card that notes the length of the buffers that it is started with.
struct Noting(FakeCard, Arc<Mutex<Vec<u16>>>);

// SAFETY: all is done by the card inside.
unsafe impl Nic for Noting {
    type Error = <FakeCard as Nic>::Error;

    fn info(&self) -> NicInfo {
        self.0.info()
    }

    fn link(&self) -> Link {
        self.0.link()
    }

    fn start(&mut self, params: &StartParams) -> Result<Queues, Self::Error> {
        self.1.lock().unwrap().push(params.buffer_len);
        self.0.start(params)
    }

    fn stop(&mut self) -> Stopped {
        self.0.stop()
    }
}

/// A card is told once how much it may write to a buffer: as much as there is behind the largest offset.
#[test]
fn a_card_is_started_with_what_is_behind_the_largest_offset() {
    let (_, netmap) = netmap(4096);
    let (nic, _wire) = card(CardSpec::new(1, SLOTS, Order::Posted));
    let lengths = Arc::<Mutex<Vec<u16>>>::default();
    netmap.attach("em0", Noting(nic, lengths.clone())).unwrap();
    let port = netmap.open_raw("em0", options(OFFSETS)).unwrap();
    netmap.reset("em0").unwrap();
    drop(port);
    netmap.open_raw("em0", RawOptions::default()).unwrap();
    assert_eq!(*lengths.lock().unwrap(), [1684, 1684, 1984]);
}
