//! From power-on to running and back, station addresses, and cards that do not cooperate.

use std::sync::Arc;

use millrace_drivers::e1000::{E1000, Model, Offset, StartError};
use millrace_drivers::testing::{FakeMachine, IntelDevice, IntelSetup, IntelViolation, Ring, Slow};
use nm_driver::burst::{RxBurst, TxBurst};
use nm_driver::nic::{Link, Nic, QueueStatus, RxQueue, Stopped, TxQueue};

use super::bench::{Bench, FALLBACK_MAC, MODELS, frame};
use crate::rings::queues_of;

/// A card that is looked at, not started.
fn looked_at(setup: IntelSetup) -> (Arc<FakeMachine>, IntelDevice, Result<E1000, StartError>) {
    let machine = FakeMachine::new();
    let model = setup.model;
    let device = IntelDevice::new(&machine, setup);
    let card = E1000::new(device.attachment(), model, machine.clone(), FALLBACK_MAC);
    (machine, device, card)
}

#[test]
fn a_card_says_what_it_is_and_is_left_alone_until_it_starts() {
    for model in MODELS {
        let (machine, device, card) = looked_at(IntelSetup::of(model));
        let info = card.as_ref().unwrap().info();
        assert_eq!((info.rx_queues, info.tx_queues, info.rx_slots, info.tx_slots), (1, 1, 512, 512));
        assert!(!device.is_running());
        drop(card);
        assert_eq!((device.violations(), machine.blocks()), (vec![], 0));
    }
}

#[test]
fn the_address_is_the_filters_else_the_eeproms_else_the_fallback() {
    let (a, b) = ([0x52, 0x54, 0, 1, 2, 3], [0x00, 0x1b, 0x21, 4, 5, 6]);
    let group = [0x01, 0, 0x5e, 0, 0, 1];
    for model in MODELS {
        for (filter_mac, eeprom_mac, expected) in [
            (Some(a), Some(b), a),
            (Some(a), None, a),
            (None, Some(b), b),
            (Some([0; 6]), Some(b), b),
            (Some(group), Some(b), b),
            (None, None, FALLBACK_MAC),
            (None, Some([0xff; 6]), FALLBACK_MAC),
            (None, Some([0; 6]), FALLBACK_MAC),
        ] {
            let setup = IntelSetup { filter_mac, eeprom_mac, ..IntelSetup::of(model) };
            let (_machine, device, card) = looked_at(setup);
            let mut card = card.unwrap();
            assert_eq!(card.info().mac, expected, "{model} with {filter_mac:?} and {eeprom_mac:?}");
            queues_of(&mut card).unwrap();
            let [low, high] = [Offset::Ral0, Offset::Rah0].map(|offset| device.value(offset).to_le_bytes());
            assert_eq!([&low[..], &high[..2]].concat(), expected, "the card knows it too");
            assert_eq!(high[3], 0x80);
            drop(card);
            assert_eq!(device.violations(), []);
        }
    }
}

#[test]
fn the_link_is_as_the_card_says() {
    let (_machine, device, card) = looked_at(IntelSetup::default());
    let card = card.unwrap();
    assert_eq!(card.link(), Link::Up);
    device.change_setup(|setup| setup.is_link_up = false);
    assert_eq!(card.link(), Link::Down);
    device.change_setup(|setup| (setup.is_link_up, setup.quirks.is_gone) = (true, true));
    assert_eq!(card.link(), Link::Down, "a card that does not answer");
}

#[test]
fn a_slow_reset_is_waited_for_and_a_missing_one_is_not_forever() {
    for model in MODELS {
        let mut setup = IntelSetup::of(model);
        setup.quirks.slow_reset = Slow::Looks(500);
        setup.quirks.slow_quiet = Slow::Looks(500);
        Bench::new(setup.clone()).finish();

        setup.quirks.slow_reset = Slow::Forever;
        assert_eq!(looked_at(setup).2.unwrap_err(), StartError::NoReset(model));
    }
    let mut setup = IntelSetup::default();
    setup.quirks.is_gone = true;
    assert_eq!(looked_at(setup).2.unwrap_err(), StartError::NoReset(Model::I82540em));
    assert_eq!(StartError::NoReset(Model::I82574l).to_string(), "the 82574L does not confirm a reset");
}

#[test]
fn a_card_starts_again_after_a_stop_also_if_its_rings_outlive_a_reset() {
    for model in MODELS {
        for keeps_rings in [false, true] {
            let mut setup = IntelSetup::of(model);
            setup.quirks.keeps_rings = keeps_rings;
            let mut bench = Bench::new(setup);
            for round in 0..3 {
                assert!((0..5).all(|number| bench.tx.push(&frame(number, 100))));
                assert_eq!((bench.tx.sync().packets, bench.rx.sync().packets), (5, 0));
                assert!(bench.device.transmit().is_some());
                assert!(bench.device.receive(&frame(round, 100)));
                assert_eq!(bench.nic.stop(), Stopped::Yes);
                assert!(!bench.device.is_running());
                assert!(!bench.device.receive(b"while it is stopped"));
                bench.restart();
            }
            bench.finish();
        }
    }
}

/// A card that the firmware left running is brought to rest before it is looked at.
#[test]
fn a_card_that_runs_already_is_stopped_first() {
    for model in MODELS {
        let mut bench = Bench::new(IntelSetup::of(model));
        bench.rx.sync();
        assert!(bench.device.is_running());
        let platform = bench.machine.clone();
        let second = E1000::new(bench.device.attachment(), model, platform, FALLBACK_MAC).unwrap();
        assert!(!bench.device.is_running());
        drop(second);
        bench.finish();
    }
}

#[test]
fn memory_that_runs_out_is_an_error_and_what_was_had_is_given_back() {
    let machine = FakeMachine::with_memory(10_000);
    let device = IntelDevice::new(&machine, IntelSetup::default());
    let mut card = E1000::new(device.attachment(), Model::I82540em, machine.clone(), FALLBACK_MAC).unwrap();
    assert!(matches!(queues_of(&mut card), Err(StartError::Memory(_))));
    assert_eq!((machine.blocks(), device.is_running()), (0, false));
    assert_eq!(device.violations(), []);
}

/// In the place of a queue that was dropped.
struct NoQueue;

impl TxQueue for NoQueue {
    fn capacity(&self) -> u16 {
        0
    }

    fn sync(&mut self, _burst: &mut TxBurst<'_>) -> QueueStatus {
        QueueStatus::default()
    }
}

impl RxQueue for NoQueue {
    fn capacity(&self) -> u16 {
        0
    }

    fn sync(&mut self, _burst: &mut RxBurst<'_>) -> QueueStatus {
        QueueStatus::default()
    }
}

#[test]
fn ring_memory_outlives_queues_until_the_card_is_stopped() {
    let mut bench = Bench::new(IntelSetup::default());
    bench.rx.sync();
    let Bench { machine, device, mut nic, mut tx, mut rx, .. } = bench;
    (tx.queue, rx.queue) = (Box::new(NoQueue), Box::new(NoQueue));
    assert_eq!(machine.blocks(), 4, "two rings of the card, and the buffers of two rings");
    assert!(device.receive(&frame(1, 60)), "into memory that is there");
    assert_eq!(nic.stop(), Stopped::Yes);
    assert_eq!(machine.blocks(), 2);
    drop((tx, rx));
    assert_eq!(device.violations(), []);
}

/// A card that goes on after a reset keeps the memory that it may write to, and is cut off from the rest.
#[test]
fn a_card_that_does_not_stop_keeps_its_memory_and_is_cut_off() {
    let forever = Slow::Forever;
    for (model, slow_reset, slow_quiet) in [
        (Model::I82540em, forever, Slow::default()),
        (Model::I82574l, forever, Slow::default()),
        (Model::I82574l, Slow::default(), forever),
    ] {
        for cannot_be_cut_off in [false, true] {
            let mut bench = Bench::new(IntelSetup::of(model));
            bench.device.change_setup(|setup| {
                (setup.quirks.slow_reset, setup.quirks.slow_quiet) = (slow_reset, slow_quiet);
                setup.quirks.cannot_be_cut_off = cannot_be_cut_off;
            });
            let expected = if cannot_be_cut_off { Stopped::No } else { Stopped::Yes };
            assert_eq!([bench.nic.stop(), bench.nic.stop()], [expected; 2]);
            assert_eq!(bench.device.is_cut_off(), !cannot_be_cut_off);
            let again = queues_of(&mut bench.nic).map(|_| ()).unwrap_err();
            assert_eq!(again, StartError::NoReset(model), "it is not used again");
            let Bench { machine, nic, tx, rx, .. } = bench;
            drop((nic, tx, rx));
            assert_eq!(machine.blocks(), 2, "the two rings");
        }
    }
}

#[test]
fn a_stopped_card_hears_no_more_doorbells() {
    let mut bench = Bench::new(IntelSetup::default());
    assert_eq!(bench.nic.stop(), Stopped::Yes);
    assert!(bench.tx.push(&frame(1, 60)));
    bench.tx.sync();
    let expected = [IntelViolation::DoorbellWhileOff { ring: Ring::Transmit }];
    assert_eq!(bench.device.violations(), expected, "the model would notice a core that does not stop");
}
