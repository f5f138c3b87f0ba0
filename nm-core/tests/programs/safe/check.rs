//! What must be the same after each operation.

use nm_core::ring::{Ring, Side};

use super::rings::naive_of;
use super::{Interface, PLACES, World};
use crate::programs::naive::{self, Counts};

impl World {
    pub fn check(&mut self) {
        for interface in &mut self.interfaces {
            let left = interface.wire.sent_with_queue();
            interface.card.work();
            self.moved += left.len() as u64;
            assert_eq!(left, std::mem::take(&mut interface.card.left), "{}", interface.name);
            assert_eq!(interface.wire.lost(), interface.card.lost);
            let waiting = interface.card.waiting.iter().map(|queue| queue.len()).sum::<usize>();
            assert_eq!(interface.wire.waiting(), waiting);
            assert_eq!(interface.wire.breaches(), Vec::<String>::new());
            assert_eq!(interface.wire.is_running(), interface.is_open());
        }
        for (place, handle) in self.places.iter_mut().enumerate() {
            let Some(handle) = handle else { continue };
            let card = &mut self.interfaces[PLACES[place].1].card;
            let (tx, rx) = handle.rings();
            for ring in tx {
                let shown = naive_of(ring, card);
                assert_eq!(ring.pending() as usize, shown.slots.len() - 1 - shown.window().len());
                same(ring, shown);
            }
            rx.iter_mut().for_each(|ring| same(ring, naive_of(ring, card)));
        }
        for (spare, kept) in &self.spares {
            assert_eq!(spare.frame(), kept);
        }
        self.check_memory();
    }

    fn check_memory(&self) {
        let slots = |interfaces: &[Interface]| {
            let open = interfaces.iter().filter(|interface| interface.is_open());
            open.flat_map(|i| i.card.tx.iter().chain(&i.card.rx))
                .map(|ring| ring.slots.len() as u32)
                .sum::<u32>()
        };
        let spare = self.spares.len() as u32;
        for (interfaces, spare) in [(&self.interfaces[..2], spare), (&self.interfaces[2..], 0)] {
            let report = interfaces[0].region.report();
            assert_eq!((report.held, report.spare, report.lost()), (slots(interfaces), spare, 0), "{report}");
        }
    }
}

/// Whether a ring shows what the naive one does.
fn same<D: Side>(ring: &mut Ring<D>, naive: &naive::Ring) {
    let place = format!("{}{}", D::DIRECTION, ring.number());
    let indices = [ring.head(), ring.cur(), ring.tail()].map(|index| index as usize);
    assert_eq!(indices, [naive.head, naive.cur, naive.tail], "{place}");
    assert_eq!((ring.avail(), ring.reserved()), (naive.avail(), naive.reserved()), "{place}");
    assert_eq!(ring.window() as usize, naive.window().len(), "{place}");
    assert_eq!(Counts::of(ring.counters()), naive.counts, "{place}");
    for (slot, at) in ring.slots().zip(naive.window()) {
        assert_eq!(slot.frame(), naive.slots[at], "{place} slot {at}");
    }
}
