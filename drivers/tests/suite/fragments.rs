//! Frames of several slots: each leaves as one, in a chain of descriptors.

use millrace_drivers::testing::Setup;
use nm_driver::abi::SlotFlags;
use nm_driver::burst::FRAGMENTS_MAX;

use crate::bench::{Bench, TRANSMIT, frame};
use crate::ways::Way;

in_every_way!(
    a_frame_of_several_slots_leaves_as_one_or_is_counted,
    chains_pass_at_each_place_of_the_ring,
    single_frames_pass_for_many_laps_behind_a_chain,
    a_frame_has_64_slots_at_most,
    a_frame_that_is_not_whole_waits_for_its_last_slot,
);

/// A legacy device that wants the header apart gets no frame of several slots.
fn takes_chains<W: Way>() -> bool {
    W::DESCRIPTORS == 1
}

/// The slots of a frame, `len` bytes each.
fn parts(number: u32, slots: usize, len: usize) -> Vec<Vec<u8>> {
    (0..slots).map(|part| frame(number * 64 + part as u32, len)).collect()
}

fn push<W: Way>(bench: &mut Bench<W>, parts: &[Vec<u8>]) {
    assert!(bench.tx.push_fragments(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()));
}

fn a_frame_of_several_slots_leaves_as_one_or_is_counted<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(16, 16));
    let (first, chain, last) = (parts(1, 1, 60), parts(2, 3, 70), parts(3, 1, 80));
    for round in 0..20 {
        push(&mut bench, &first);
        push(&mut bench, &chain);
        push(&mut bench, &last);
        let report = bench.tx.sync();
        assert_eq!((report.invalid, report.released), (0, 0), "slots come back in order");
        let mut sent = vec![first.concat(), chain.concat(), last.concat()];
        if !takes_chains::<W>() {
            sent.remove(1);
        }
        let bytes: usize = sent.iter().map(Vec::len).sum();
        assert_eq!((report.packets as usize, report.bytes), (sent.len(), bytes as u64));
        assert_eq!(report.unsupported as usize, 3 - sent.len());
        assert_eq!(bench.device.transmit_all(), sent, "round {round}");
        assert_eq!((bench.tx.sync().released, bench.tx.free()), (5, 15));
        // By itself, with nothing in front of it.
        push(&mut bench, &chain);
        let report = bench.tx.sync();
        if takes_chains::<W>() {
            assert_eq!((report.packets, report.unsupported, report.released), (1, 0, 0));
            assert_eq!(bench.device.transmit_all(), [chain.concat()]);
            assert_eq!(bench.tx.sync().released, 3);
        } else {
            assert_eq!((report.packets, report.unsupported, report.released), (0, 1, 3));
            assert_eq!(bench.device.transmit_all(), Vec::<Vec<u8>>::new());
        }
        assert_eq!(bench.tx.free(), 15);
    }
    assert_eq!((bench.tx.status.refused, bench.tx.status.is_broken), (0, false));
    bench.finish();
}

/// The end of the ring of a packed queue, and the last id, come at each descriptor of a chain.
fn chains_pass_at_each_place_of_the_ring<W: Way>() {
    if !takes_chains::<W>() {
        return;
    }
    for size in [4, 8, 16] {
        let mut bench = Bench::<W>::new(W::with_slots(size, size));
        for round in 0..300u32 {
            // In all an odd number, also where three are the most that a ring has: no place is left out.
            let slots = [1, 4, 3, 4, 2, 3][round as usize % 6].min(usize::from(size) - 1);
            let parts = parts(round, slots, 20 + slots);
            push(&mut bench, &parts);
            assert_eq!(bench.tx.sync().packets, 1);
            assert_eq!(bench.device.transmit(0), Some(parts.concat()), "round {round} of {size}");
            assert_eq!(bench.device.owned(TRANSMIT), 0);
            assert_eq!((bench.tx.sync().released, bench.tx.outstanding()), (slots as u32, 0));
        }
        bench.finish();
    }
}

/// With as many outstanding as there can be, so that each descriptor and each entry is in use.
fn single_frames_pass_for_many_laps_behind_a_chain<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(8, 8));
    for round in 0..40 {
        bench.tx.sync();
        push(&mut bench, &parts(round, 2 + round as usize % 5, 30));
        bench.tx.sync();
        bench.device.transmit_all();
        for lap in 0..5 {
            let sent: Vec<_> = (0..7).map(|number| frame(round * 100 + lap * 10 + number, 40)).collect();
            bench.tx.sync();
            assert!(sent.iter().all(|frame| bench.tx.push(frame)));
            assert_eq!(bench.tx.sync().packets, 7);
            assert_eq!(bench.device.transmit_all(), sent, "round {round}, lap {lap}");
        }
    }
    bench.tx.sync();
    bench.finish();
}

fn a_frame_has_64_slots_at_most<W: Way>() {
    let mut bench = Bench::<W>::new(W::with_slots(256, 256));
    let (most, too_many, behind) = (parts(1, FRAGMENTS_MAX as usize, 20), parts(2, 100, 20), parts(3, 1, 60));
    for _ in 0..10 {
        push(&mut bench, &most);
        push(&mut bench, &too_many);
        push(&mut bench, &behind);
        let report = bench.tx.sync();
        let packets = 1 + u32::from(takes_chains::<W>());
        assert_eq!((report.packets, report.unsupported, report.invalid), (packets, 2 - packets, 1));
        let sent = bench.device.transmit_all();
        assert_eq!(sent.last(), Some(&behind.concat()));
        assert_eq!(sent.len() as u32, packets);
        assert!(!takes_chains::<W>() || sent[0] == most.concat());
        assert_eq!(report.released + bench.tx.sync().released, 165);
    }
    bench.finish();
}

fn a_frame_that_is_not_whole_waits_for_its_last_slot<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    let parts = parts(1, 3, 40);
    assert!(bench.tx.push(&parts[0]));
    for part in &parts[..2] {
        bench.tx.push_slot(part, SlotFlags::MOREFRAG);
        assert!(bench.tx.sync().packets <= 1, "the one in front of it");
    }
    assert_eq!((bench.device.transmit_all(), bench.tx.pending()), (vec![parts[0].clone()], 2));
    let released: u32 = (0..2).map(|_| bench.tx.sync().released).sum();
    assert_eq!((released, bench.tx.pending()), (1, 2), "what was sent in front of it comes back meanwhile");
    assert!(bench.tx.push(&parts[2]));
    let report = bench.tx.sync();
    assert_eq!((report.packets + report.unsupported, bench.tx.pending()), (1, 0));
    assert_eq!(report.packets == 1, takes_chains::<W>());
    let sent = bench.device.transmit_all();
    assert_eq!(sent, if takes_chains::<W>() { vec![parts.concat()] } else { vec![] });
    bench.tx.sync();
    assert_eq!((bench.tx.outstanding(), bench.tx.free()), (0, 256 / u32::from(W::DESCRIPTORS) - 1));
    bench.finish();
}
