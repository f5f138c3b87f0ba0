//! Ports' memory, with programs that write anything into what they see.
#![expect(unsafe_code, reason = "a raw port's program writes into buffers")]

use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

use super::header::{PortHeader, RingCounts};
use super::*;
use crate::index::RingSize;
use crate::platform::Platform;
use nm_driver::offsets::SlotOffsets;
use nm_driver::slots::SlotValue;

use crate::ring::memory::RingMemory;
use crate::ring::memory::RingShape;
use crate::stats::{Direction, RingKind};
use crate::testing::HeapPlatform;
use crate::tunables::Sizes;
use alloc::sync::Arc;

mod world;

const SLOTS: u32 = 4;
const BUFFERS: u32 = 60;

fn regions() -> Regions {
    let platform: Arc<dyn Platform> = HeapPlatform::new(16 << 20);
    let small = crate::tunables::Tunables {
        if_num: 8,
        ring_size: 512,
        ring_num: 16,
        buf_size: 256,
        buf_num: BUFFERS,
        ..Default::default()
    };
    Regions::new(&platform, &small).unwrap()
}

fn shape(direction: Direction, slots: u32) -> RingShape {
    let (kind, size) = (RingKind::Hardware, RingSize::new(slots).unwrap());
    RingShape { kind, direction, number: 0, size, offsets: SlotOffsets::NONE, initial_offset: 0 }
}

fn open(region: &Arc<Region>, trust: Trust) -> Result<PortMemory, MemoryError> {
    PortMemory::new(region, "em0", &[shape(Direction::Tx, SLOTS), shape(Direction::Rx, SLOTS)], trust)
}

/// The rings of an interface that a safe port has opened.
fn port(region: &Arc<Region>) -> PortMemory {
    open(region, Trust::Safe).unwrap()
}

/// The rings of an interface that a raw port has opened.
fn raw_port(region: &Arc<Region>) -> PortMemory {
    open(region, Trust::Raw).unwrap()
}

fn buffers(port: &PortMemory) -> BTreeSet<u32> {
    port.rings().iter().flat_map(RingMemory::buffer_numbers).collect()
}

fn header(port: &PortMemory, extra: u32) -> PortHeader {
    port.header("em0", RingCounts { tx: 1, rx: 1, host_tx: 0, host_rx: 0 }, |at| at == 1, extra).unwrap()
}

/// What a program reads at the beginning of a buffer, and writes there.
fn next(region: &Region, buffer: u32) -> u32 {
    let at = region.payload(buffer).unwrap().cast::<u32>();
    // SAFETY: a buffer of the region, and the test is single-threaded.
    unsafe { at.read_volatile() }
}

fn set_next(region: &Region, buffer: u32, next: u32) {
    if let Some(at) = region.payload(buffer) {
        // SAFETY: as above.
        unsafe { at.cast::<u32>().write_volatile(next) }
    }
}

fn chain_of(region: &Region, header: &PortHeader) -> Vec<u32> {
    let first = Some(header.bufs_head()).filter(|buffer| *buffer != 0);
    core::iter::successors(first, |&buffer| Some(next(region, buffer)).filter(|next| *next != 0)).collect()
}

fn write_slot(ring: &RingMemory, at: u32, buf_idx: u32) {
    ring.set_slot(ring.size().index(at).unwrap(), SlotValue { buf_idx, len: 0xffff, flags: 0xffff });
}

fn assert_all_free(region: &Region) {
    let info = region.info();
    let free = info.pools.map(|pool| (pool.free, pool.total));
    assert_eq!(free, [(8, 8), (16, 16), (BUFFERS - 2, BUFFERS)]);
    assert_eq!((region.report().lost(), region.report().held, region.report().extra), (0, 0, 0));
    assert!(!info.usage.is_used());
}

#[test]
fn a_raw_port_finds_its_rings_and_its_chain_and_gives_them_back() {
    let regions = regions();
    let region = regions.shared();
    let port = port(region);
    let raw = header(&port, 5);
    let chain = chain_of(region, &raw);
    assert_eq!(chain.len(), 5);
    assert_eq!(chain.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(
        region.report().to_string(),
        "buffers total=58 free=45 held=8 lost=0 spare=0 extra=5 resting=0 reclaimed=0 refused=0"
    );
    // The table has an offset for the ring that is bound, and 0 for the other.
    // SAFETY: the header lies at this offset in the region, its table behind it.
    let (own, table) = unsafe {
        let own = region.base().add(raw.offset());
        (own.as_ptr() as i64, own.add(crate::abi::RING_OFS_OFFSET).cast::<[i64; 2]>().read())
    };
    assert_eq!(table, [0, port.rings()[1].header().as_ptr() as i64 - own]);
    drop(raw);
    assert_eq!(region.report().extra, 0);
    drop(port);
    assert_all_free(region);
    assert_eq!(region.report().reclaimed, 0);
}

#[test]
fn fewer_extra_buffers_than_asked_for_are_granted() {
    let regions = regions();
    let region = regions.shared();
    let port = port(region);
    let all = header(&port, u32::MAX);
    assert_eq!((region.report().extra, region.report().free), (BUFFERS - 2 - 2 * SLOTS, 0));
    drop(all);
    let mut raw = header(&port, 3);
    assert_eq!(raw.grant_extra(1), 0, "once for each port");
    assert_eq!(chain_of(region, &raw).len(), 3);
    drop((port, raw));
    assert_all_free(region);
}

#[test]
fn buffers_that_a_program_lost_come_back_with_the_last_raw_port() {
    let regions = regions();
    let region = regions.shared();
    let (lossy, safe, other) = (port(region), port(region), port(region));
    let mut raw = header(&lossy, 5);
    raw.set_bufs_head(0);
    lossy.distrust(0);
    other.distrust(1);
    write_slot(&lossy.rings()[0], 0, 0);
    drop((raw, lossy));
    // Three slots came back, and rest as long as the card of the other raw port may have them; six buffers are lost.
    assert_eq!(
        region.report().to_string(),
        "buffers total=58 free=33 held=16 lost=6 spare=0 extra=0 resting=3 reclaimed=0 refused=1"
    );
    drop(other);
    assert_eq!(
        region.report().to_string(),
        "buffers total=58 free=50 held=8 lost=0 spare=0 extra=0 resting=0 reclaimed=6 refused=1"
    );
    drop(safe);
    assert_all_free(region);
}

#[test]
fn resting_buffers_are_extra_buffers_again() {
    let regions = regions();
    let region = regions.shared();
    let port = port(region);
    port.distrust(0);
    let first = header(&port, 5);
    let chain = chain_of(region, &first);
    drop(first);
    assert_eq!((region.report().resting, region.report().free), (5, 45));
    assert_eq!(region.spares(u32::MAX).len(), 45, "safe owners do not get them");
    let second = header(&port, 7);
    assert_eq!(chain_of(region, &second)[..5], chain);
    assert_eq!((region.report().resting, region.report().free), (0, 43));
    drop((second, port));
    assert_all_free(region);
}

#[test]
fn rings_that_a_raw_port_opens_are_made_of_resting_buffers_first() {
    let regions = regions();
    let region = regions.shared();
    let other = raw_port(region);
    assert!(other.is_distrusted(), "from the start");
    let first = raw_port(region);
    let had = buffers(&first);
    drop(first);
    assert_eq!((region.report().resting, region.report().free), (8, 42));
    let safe = port(region);
    let mut spares = region.spares(u32::MAX);
    assert_eq!((spares.len(), region.report().free), (34, 0));
    assert!(buffers(&safe).is_disjoint(&had) && spares.iter().all(|spare| !had.contains(&spare.buf_idx())));
    let error = open(region, Trust::Safe).unwrap_err().to_string();
    assert_eq!(error, "the buf pool has 0 free objects, 8 are needed (tunable buf_num)");
    let again = raw_port(region);
    assert_eq!((buffers(&again), region.report().resting), (had, 0));
    let extra = header(&again, 1);
    assert_eq!(extra.extra(), 0, "there is none left");
    drop((extra, spares.pop()));
    let error = open(region, Trust::Raw).unwrap_err().to_string();
    assert_eq!(error, "the buf pool has 1 free objects, 8 are needed (tunable buf_num)");
    drop((again, other, safe, spares));
    assert_all_free(region);
}

#[test]
fn raw_ports_come_and_go_beside_another_without_new_buffers() {
    let regions = regions();
    let region = regions.shared();
    let (stays, safe) = (raw_port(region), port(region));
    let mut first_round = None;
    for round in 0..1000 {
        let port = raw_port(region);
        let raw = header(&port, 3);
        let seen = (region.report(), chain_of(region, &raw).len(), buffers(&port).len());
        assert_eq!(*first_round.get_or_insert(seen), seen, "round {round}");
        // The program leaves its buffers where it likes, as long as each is in one place.
        let (head, slot) = (raw.bufs_head(), port.rings()[0].size().first());
        let held = port.rings()[0].slot(slot).buf_idx;
        set_next(region, held, next(region, head));
        let mut raw = raw;
        raw.set_bufs_head(held);
        write_slot(&port.rings()[0], 0, head);
        drop((raw, port));
    }
    let report = region.report();
    assert_eq!((report.resting, report.reclaimed, report.refused, report.lost()), (11, 0, 0, 0));
    drop((stays, safe));
    assert_all_free(region);
}

/// Two raw ports name each other's buffers, and numbers that rest; one of them comes and goes.
#[test]
fn no_buffer_of_a_safe_owner_is_reached_by_numbers_that_raw_ports_had() {
    let regions = regions();
    let region = regions.shared();
    let stays = raw_port(region);
    let (safe, spare) = (port(region), region.spare().unwrap());
    let mut theirs = buffers(&safe);
    theirs.insert(spare.buf_idx());
    for round in 0..100 {
        let comes = raw_port(region);
        let had: Vec<_> = buffers(&comes).into_iter().collect();
        drop(comes);
        for (at, &buffer) in (0..SLOTS).zip(had.iter().cycle().skip(round)) {
            write_slot(&stays.rings()[1], at, buffer);
        }
        let comes = raw_port(region);
        write_slot(&comes.rings()[0], 0, stays.rings()[0].buffer_numbers().next().unwrap());
        assert!(buffers(&comes).is_disjoint(&theirs) && buffers(&stays).is_disjoint(&theirs));
        drop(comes);
        let probe = region.spares(u32::MAX);
        assert!(probe.iter().all(|new| !had.contains(&new.buf_idx()) && !theirs.contains(&new.buf_idx())));
        assert_eq!(buffers(&safe).len(), 8);
    }
    drop((stays, safe, spare));
    assert_all_free(region);
}

#[test]
fn what_was_lost_once_cannot_be_given_back_from_its_next_owner() {
    let regions = regions();
    let region = regions.shared();
    let first = port(region);
    let mut raw = header(&first, 5);
    let lost = chain_of(region, &raw);
    raw.set_bufs_head(0);
    drop((raw, first));
    let port = port(region);
    let owners = region.spares(u32::MAX);
    assert!(lost.iter().all(|lost| {
        port.rings()
            .iter()
            .flat_map(RingMemory::buffer_numbers)
            .chain(owners.iter().map(Spare::buf_idx))
            .any(|buffer| buffer == *lost)
    }));
    for buffer in lost {
        let mut raw = header(&port, 0);
        raw.set_bufs_head(buffer);
        drop(raw);
        assert_eq!(region.report().free, 0);
    }
    drop((port, owners));
    assert_all_free(region);
}

#[test]
fn the_header_tells_private_memory() {
    let regions = regions();
    let private = regions.create("own", Sizes::default()).unwrap();
    for (region, flags) in [(regions.shared(), 0), (&private, 1)] {
        let (port, map) = (port(region), region.map().unwrap());
        let raw = header(&port, 0);
        // SAFETY: the header lies at this offset in the region.
        let header = unsafe { map.base().add(raw.offset()).cast::<crate::abi::InterfaceHeader>().read() };
        assert_eq!((header.flags, header.version, &header.name[..4]), (flags, 14, &b"em0\0"[..]));
        assert_eq!((header.tx_rings, header.rx_rings, header.bufs_head), (1, 1, 0));
    }
}

#[test]
fn a_chain_cannot_give_back_what_belongs_to_somebody_else() {
    let regions = regions();
    let region = regions.shared();
    let (victim, port) = (port(region), port(region));
    let mine = region.spare().unwrap();
    let in_slot = victim.rings()[0].buffer_numbers().next().unwrap();
    for foreign in [in_slot, mine.buf_idx(), 1, BUFFERS, u32::MAX] {
        let raw = header(&port, 2);
        let chain = chain_of(region, &raw);
        set_next(region, chain[0], foreign);
        let free = region.report();
        drop(raw);
        let report = region.report();
        assert_eq!((report.free, report.refused), (free.free + 2, free.refused + 1), "{foreign}");
    }
    assert_eq!((region.report().lost(), region.report().reclaimed), (0, 5));
    drop((victim, port, mine));
    assert_all_free(region);
}

#[test]
fn a_chain_that_is_a_circle_ends_where_it_began() {
    let regions = regions();
    let region = regions.shared();
    let port = port(region);
    let raw = header(&port, 4);
    let chain = chain_of(region, &raw);
    set_next(region, chain[3], chain[0]);
    drop(raw);
    assert_eq!((region.report().refused, region.report().lost()), (1, 0), "all four came back");
    drop(port);
    assert_all_free(region);
}

#[test]
fn a_closed_raw_port_gives_back_its_own_buffers_and_no_others() {
    let regions = regions();
    let region = regions.shared();
    let (victim, port) = (port(region), port(region));
    let ring = &port.rings()[0];
    let before: Vec<_> = ring.buffer_numbers().collect();
    let foreign = victim.rings()[1].buffer_numbers().next().unwrap();
    port.distrust(0);
    assert!(port.is_distrusted() && !victim.is_distrusted());
    write_slot(ring, 0, before[1]);
    write_slot(ring, 2, foreign);
    write_slot(ring, 3, u32::MAX);
    drop(port);
    let report = region.report();
    assert_eq!(
        (report.refused, report.reclaimed, report.lost()),
        (3, 3, 0),
        "a double, a foreign one, and none"
    );
    let taken: BTreeSet<_> = region.spares(u32::MAX).iter().map(Spare::buf_idx).collect();
    assert_eq!(taken.len() as u32, report.free);
    assert!(
        victim.rings().iter().flat_map(RingMemory::buffer_numbers).all(|buffer| !taken.contains(&buffer))
    );
    drop(victim);
    assert_all_free(region);
}

#[test]
fn what_does_not_fit_says_so_and_leaves_nothing_behind() {
    let regions = regions();
    let region = regions.shared();
    let refused =
        |shapes: &[RingShape]| PortMemory::new(region, "em0", shapes, Trust::Safe).unwrap_err().to_string();
    assert_eq!(
        refused(&[shape(Direction::Tx, 17)]),
        "the ring pool has objects of 512 bytes, 528 are needed (tunable ring_size)"
    );
    assert_eq!(
        refused(&[shape(Direction::Tx, 2); 17]),
        "the ring pool has 16 free objects, 17 are needed (tunable ring_num)"
    );
    assert_eq!(
        refused(&[shape(Direction::Tx, 16); 4]),
        "the buf pool has 58 free objects, 64 are needed (tunable buf_num)"
    );
    assert_all_free(region);
    let sizes = Sizes { if_size: 128, if_num: 1, ..Sizes::default() };
    let private = regions.create("private", sizes).unwrap();
    let many = PortMemory::new(&private, "em0", &[shape(Direction::Tx, 2); 10], Trust::Safe).unwrap_err();
    assert_eq!(
        many.to_string(),
        "the if pool of region 2 has objects of 128 bytes, 136 are needed (tunable priv_if_size)"
    );
    let _first = PortMemory::new(&private, "em0", &[], Trust::Safe).unwrap();
    let second = PortMemory::new(&private, "em1", &[], Trust::Safe).unwrap_err();
    assert_eq!(
        second.to_string(),
        "the if pool of region 2 has 0 free objects, 1 are needed (tunable priv_if_num)"
    );
    assert_eq!(private.info().usage.ports, 1);
}
