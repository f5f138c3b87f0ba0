//! Memory regions as applications and the console see them: spare buffers, private regions, mappings, the books.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends here when it fails"
)]

mod common;

use std::sync::Arc;

use common::{MEMORY, assert_all_home, frame, netmap, one_card};
use nm_core::errno;
use nm_core::mem::{MapError, MemId, Regions, Spare};
use nm_core::platform::Platform;
use nm_core::ring::DifferentRegion;
use nm_core::testing::{CardSpec, HeapPlatform, Order, card};
use nm_core::tunables::{Sizes, Tunables};
use proptest::prelude::*;

const SMALL: Sizes =
    Sizes { if_size: 128, if_num: 1, ring_size: 512, ring_num: 2, buf_size: 256, buf_num: 18 };

fn regions() -> (Arc<HeapPlatform>, Regions) {
    let heap = HeapPlatform::new(MEMORY);
    let platform: Arc<dyn Platform> = heap.clone();
    let tunables = Tunables { buf_num: 100, ..Tunables::default() };
    (heap, Regions::new(&platform, &tunables).unwrap())
}

#[test]
fn a_frame_is_kept_in_a_spare_buffer_without_a_copy() {
    let (netmap, mut port, wire) = one_card(8, Order::Posted);
    wire.send(&frame(1, 100));
    let rx = &mut port.rx_rings()[0];
    let mut spare = rx.region().spare().unwrap();
    assert_eq!((spare.len(), spare.capacity(), spare.frame()), (0, 1984, &[][..]));
    assert_eq!(
        netmap.memory().to_string(),
        "buffers total=4094 free=4077 held=16 lost=0 spare=1 extra=0 resting=0 reclaimed=0 refused=0"
    );
    rx.rxsync().unwrap();
    let mut slot = rx.slots().next().unwrap();
    let (in_slot, in_hand) = (slot.buf_idx(), spare.buf_idx());
    slot.swap_spare(&mut spare).unwrap();
    assert_eq!((slot.buf_idx(), spare.buf_idx(), slot.len()), (in_hand, in_slot, 0));
    rx.advance(1);
    rx.rxsync().unwrap();
    assert_eq!(spare.frame(), frame(1, 100));

    // The other way, to be sent, and the handle outlives the port.
    spare.copy_from(&frame(2, 60)).unwrap();
    let tx = &mut port.tx_rings()[0];
    tx.slots().next().unwrap().swap_spare(&mut spare).unwrap();
    tx.advance(1);
    tx.txsync().unwrap();
    assert_eq!(wire.sent(), [frame(2, 60)]);
    drop(port);
    assert_eq!((netmap.memory().spare, netmap.memory().lost()), (1, 0));
    spare.frame_mut().fill(1);
    drop(spare);
    assert_all_home(&netmap, &[&wire]);
    assert_eq!(netmap.memory().reclaimed, 0);
}

#[test]
fn spare_buffers_know_their_region_and_their_limits() {
    let (_first, mut port, _wire) = one_card(8, Order::Posted);
    let (_, other) = netmap(64);
    let mut foreign = other.region().spare().unwrap();
    let mut slot = port.tx_rings()[0].slots().next().unwrap();
    let refused = slot.swap_spare(&mut foreign).unwrap_err();
    assert_eq!(refused, DifferentRegion);
    assert_eq!(
        refused.to_string(),
        "the two buffers are of different memory regions: the frame must be copied"
    );
    let too_long = foreign.copy_from(&[0; 1985]).unwrap_err();
    assert_eq!(too_long.to_string(), "a frame of 1985 bytes does not fit into a buffer of 1984");

    let rest = other.region().spares(u32::MAX);
    assert_eq!(rest.len(), 61, "as many as there are");
    let none = other.region().spare().unwrap_err();
    assert_eq!(none.to_string(), "the buf pool has 0 free objects, 1 are needed (tunable buf_num)");
    assert_eq!(none.errno(), errno::ENOMEM);
    drop((rest, foreign));
    assert_eq!(other.memory().free, 62);
}

#[test]
fn an_exhausted_pool_says_what_the_port_needs_and_what_there_is() {
    let (_, netmap) = netmap(2 + 120);
    let (nic, _wire) = card(CardSpec::new(0, 256, Order::Posted).with_queues(4, 4));
    netmap.attach("em0", nic).unwrap();
    let error = netmap.open("em0").unwrap_err().to_string();
    assert_eq!(error, "the buf pool has 120 free objects, 128 are needed (tunable buf_num)");
    assert_eq!(netmap.memory().free, 120, "none was taken");
}

#[test]
fn nothing_old_is_in_a_spare_buffer() {
    let (_, netmap) = netmap(64);
    for _ in 0..2 {
        for mut spare in netmap.region().spares(62) {
            assert!(spare.set_len(1984).unwrap().iter().all(|byte| *byte == 0));
            spare.frame_mut().fill(0x77);
        }
    }
}

#[test]
fn private_regions_have_numbers_and_vanish_with_their_last_user() {
    let (heap, regions) = regions();
    assert_eq!(regions.shared().id(), MemId::SHARED);
    let two = regions.create("pipe", SMALL).unwrap();
    let three = regions.create("monitor", Sizes::default()).unwrap();
    assert_eq!((two.id().get(), three.id().get()), (2, 3));
    let lines: Vec<_> = regions.list().iter().map(ToString::to_string).collect();
    assert_eq!(lines[1], "region 2 pipe bytes=16384 ports=0 spares=0 mappings=0 references=1");
    assert_eq!(
        two.info().pools.map(|pool| pool.to_string()),
        [
            "if   size=128     num=1       free=1       offset=0x0",
            "ring size=512     num=2       free=2       offset=0x1000",
            "buf  size=256     num=18      free=16      offset=0x2000",
        ]
    );
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("region 1 shared bytes="), "{}", lines[0]);

    // A number is found as long as the region has holders, and then given to the next.
    assert!(Arc::ptr_eq(&regions.find(MemId::new(2)).unwrap(), &two));
    assert!(Arc::ptr_eq(&regions.find(MemId::new(0)).unwrap(), regions.shared()));
    let spare = two.spare().unwrap();
    drop(two);
    assert_eq!(regions.list()[1].usage.spares, 1);
    assert_eq!(heap.blocks_in_use(), 3);
    drop(spare);
    assert_eq!(heap.blocks_in_use(), 2);
    assert!(regions.find(MemId::new(2)).is_none());
    assert_eq!(regions.create("again", SMALL).unwrap().id().get(), 2);
    drop((regions, three));
    assert_eq!(heap.blocks_in_use(), 0);
}

#[test]
fn a_private_region_that_cannot_be_is_explained_by_its_own_tunables() {
    let (_, regions) = regions();
    let odd = regions.create("odd", Sizes { buf_size: 100, ..SMALL }).unwrap_err();
    assert_eq!(
        (odd.to_string().as_str(), odd.errno()),
        ("netmap.priv_buf_size: must be between 256 and 32768, a multiple of 64", errno::EINVAL)
    );
    let large = regions.create("large", Sizes { buf_num: 4 << 20, ..SMALL }).unwrap_err();
    assert_eq!(large.errno(), errno::ENOMEM);
    assert_eq!(regions.list().len(), 1);
    let small = regions.create("small", SMALL).unwrap();
    let _all = small.spares(16);
    assert_eq!(
        small.spare().unwrap_err().to_string(),
        "the buf pool of region 2 has 0 free objects, 1 are needed (tunable priv_buf_num)"
    );
}

#[test]
fn memory_is_mapped_before_a_port_is_bound_only_if_that_is_allowed() {
    let (heap, regions) = regions();
    let refused = regions.map_unbound(MemId::SHARED, false).unwrap_err();
    assert_eq!((refused, refused.errno()), (MapError::Unbound, errno::ENODEV));
    assert_eq!(
        refused.to_string(),
        "no port is bound; memory can be mapped before that only with netmap.mmap_unreg=1"
    );
    let unknown = regions.map_unbound(MemId::new(7), true).unwrap_err();
    assert_eq!(
        (unknown.to_string().as_str(), unknown.errno()),
        ("there is no memory region 7", errno::EINVAL)
    );
    let mapping = regions.map_unbound(MemId::SHARED, true).unwrap();
    assert_eq!((mapping.region_id(), mapping.bytes()), (MemId::SHARED, regions.shared().bytes()));
    assert_eq!(mapping.base().as_ptr() as usize % 4096, 0);
    assert_eq!(regions.list()[0].usage.mappings, 1);
    drop(regions);
    assert_eq!(heap.blocks_in_use(), 1, "what is mapped stays");
    drop(mapping);
    assert_eq!(heap.blocks_in_use(), 0);
}

proptest! {
    /// Spare handles of three regions come and go: each buffer has one owner, and the books always balance.
    #[test]
    fn the_books_of_every_region_balance(ops in prop::collection::vec((0usize..3, 0u32..20, any::<bool>()), 0..60)) {
        let (heap, regions) = regions();
        let own = [regions.shared().clone(), regions.create("a", SMALL).unwrap(), regions.create("b", SMALL).unwrap()];
        let mut taken: [Vec<Spare>; 3] = Default::default();
        for (which, count, is_taking) in ops {
            let (region, mine) = (&own[which], &mut taken[which]);
            if is_taking {
                let free = region.report().free;
                let new = region.spares(count);
                prop_assert_eq!(new.len() as u32, free.min(count));
                mine.extend(new);
            } else {
                mine.truncate(mine.len().saturating_sub(count as usize));
            }
            let mut numbers: Vec<_> = mine.iter().map(Spare::buf_idx).collect();
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(numbers.len(), mine.len());
            prop_assert!(numbers.iter().all(|number| (2..region.sizes().buf_num).contains(number)));
            let report = region.report();
            prop_assert_eq!(report.spare as usize, mine.len());
            prop_assert_eq!(report.free + report.spare, report.total);
            prop_assert_eq!((report.lost(), report.reclaimed, report.refused), (0, 0, 0));
        }
        drop((taken, own, regions));
        prop_assert_eq!(heap.blocks_in_use(), 0);
    }
}
