//! The driver under the core: rings, and resets in the middle of traffic.

use std::sync::Arc;

use millrace_drivers::e1000::{E1000, Offset};
use millrace_drivers::testing::{FakeMachine, IntelDevice, IntelSetup};
use nm_core::Netmap;
use nm_core::tunables::Tunables;
use nm_driver::platform::Platform;

use super::bench::{FALLBACK_MAC, MODELS, frame};

struct Attached {
    machine: Arc<FakeMachine>,
    device: IntelDevice,
    netmap: Netmap,
}

fn attach(setup: IntelSetup, tunables: Tunables) -> Attached {
    let machine = FakeMachine::new();
    let platform: Arc<dyn Platform> = machine.clone();
    let model = setup.model;
    let device = IntelDevice::new(&machine, setup);
    let netmap = Netmap::new(&platform, tunables).unwrap();
    let nic = E1000::new(device.attachment(), model, platform, FALLBACK_MAC).unwrap();
    netmap.attach("em0", nic).unwrap();
    Attached { machine, device, netmap }
}

impl Attached {
    #[track_caller]
    fn finish(self) {
        let report = self.netmap.memory();
        assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
        assert!(!self.device.is_running());
        drop(self.netmap);
        assert_eq!(self.device.violations(), []);
        assert_eq!((self.machine.blocks(), self.machine.misuse()), (0, vec![]));
    }
}

/// Frames in and out, more than the rings hold; every so often the card is reset, with frames under way both ways and
/// slots in the application's hands. Those stay as they are, and all goes on.
#[test]
fn a_reset_under_traffic_keeps_the_applications_slots() {
    for model in MODELS {
        for keeps_rings in [false, true] {
            let mut setup = IntelSetup::of(model);
            setup.quirks.keeps_rings = keeps_rings;
            let attached = attach(setup, Tunables::default());
            let (device, netmap) = (&attached.device, &attached.netmap);
            let mut port = netmap.open("em0").unwrap();
            let (tx, rx) = port.rings();
            let (tx, rx) = (&mut tx[0], &mut rx[0]);
            for round in 0..40u32 {
                for i in 0..37 {
                    assert!(device.receive(&frame(round * 100 + i, 60 + i as usize)));
                }
                rx.rxsync().unwrap();
                assert_eq!(rx.window(), 37);
                rx.advance(10);
                for (i, mut slot) in tx.slots().take(41).enumerate() {
                    slot.copy_from(&frame(round * 100 + i as u32, 80)).unwrap();
                }
                tx.advance(41);
                tx.txsync().unwrap();
                for _ in 0..5 {
                    assert!(device.transmit().is_some());
                }
                // Two more have arrived that no sync has imported: they are gone with the card's reset.
                assert!(device.receive(&[1; 60]) && device.receive(&[2; 60]));
                netmap.reset("em0").unwrap();

                let kept: Vec<_> = rx.slots().map(|slot| slot.frame().to_vec()).collect();
                let expected: Vec<_> = (10..37).map(|i| frame(round * 100 + i, 60 + i as usize)).collect();
                assert_eq!(kept, expected, "{model}, round {round}");
                rx.advance(27);
                rx.rxsync().unwrap();
                assert_eq!(rx.window(), 0);
                tx.txsync().unwrap();
                assert_eq!(tx.pending(), 0, "what the card held counts as sent");
                assert_eq!(device.transmit_all(), Vec::<Vec<u8>>::new());
            }
            drop(port);
            attached.finish();
        }
    }
}

#[test]
fn an_application_may_hold_all_slots_through_a_reset() {
    let attached = attach(IntelSetup::default(), Tunables::default());
    let (device, netmap) = (&attached.device, &attached.netmap);
    let mut port = netmap.open("em0").unwrap();
    let (_, rx) = port.rings();
    let rx = &mut rx[0];
    let sent: Vec<_> = (0..511).map(|i| frame(i, 64)).collect();
    assert!(sent.iter().all(|frame| device.receive(frame)));
    rx.rxsync().unwrap();
    netmap.reset("em0").unwrap();
    assert!(!device.receive(&sent[0]), "the card has no buffer");
    assert_eq!(rx.slots().map(|slot| slot.frame().to_vec()).collect::<Vec<_>>(), sent);
    rx.advance(511);
    rx.rxsync().unwrap();
    assert!(device.receive(&sent[5]));
    rx.rxsync().unwrap();
    assert_eq!(rx.slots().next().unwrap().frame(), sent[5]);
    drop(port);
    attached.finish();
}

#[test]
fn one_doorbell_a_sync_and_none_for_nothing() {
    let attached = attach(IntelSetup::default(), Tunables::default());
    let (device, netmap) = (&attached.device, &attached.netmap);
    let mut port = netmap.open("em0").unwrap();
    let (tx, rx) = port.rings();
    for batch in [1, 10, 100, 511] {
        for _ in 0..batch {
            assert!(device.receive(&frame(batch, 60)));
        }
        rx[0].rxsync().unwrap();
        rx[0].advance(batch);
        tx[0].slots().take(batch as usize).for_each(|mut slot| slot.copy_from(&frame(batch, 60)).unwrap());
        tx[0].advance(batch);
        for _ in 0..3 {
            rx[0].rxsync().unwrap();
            tx[0].txsync().unwrap();
            device.transmit_all();
        }
    }
    drop(port);
    for report in netmap.counters() {
        let (packets, kicks) = (report.counters.packets.get(), report.counters.kicks.get());
        assert_eq!(packets, 622, "{report}");
        assert!(kicks <= 5, "{report}");
    }
    attached.finish();
}

#[test]
fn buffers_too_small_for_the_card_keep_the_port_shut() {
    let attached = attach(IntelSetup::default(), Tunables { buf_size: 256, ..Tunables::default() });
    let error = attached.netmap.open("em0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "em0: with mtu=1500 a frame has up to 1522 bytes, and a receive buffer 192 (netmap.buf_size=256); the card needs netmap.buf_size=320 or more"
    );
    assert_eq!(attached.device.value(Offset::Rctl), 0);
    attached.finish();

    // With the smallest that is enough a longer frame has several slots.
    let attached = attach(IntelSetup::default(), Tunables { buf_size: 320, ..Tunables::default() });
    let mut port = attached.netmap.open("em0").unwrap();
    let sent = [frame(1, 256), frame(2, 257), frame(3, 600)];
    assert!(sent.iter().all(|frame| attached.device.receive(frame)));
    port.rx_rings()[0].rxsync().unwrap();
    let seen: Vec<_> = port.rx_rings()[0].slots().map(|slot| slot.frame().to_vec()).collect();
    assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 1, 256, 256, 88]);
    assert_eq!(seen.concat(), sent.concat());
    let dropped: u64 = attached.netmap.counters().iter().map(|report| report.counters.drop_error.get()).sum();
    assert_eq!(dropped, 0);
    drop(port);
    attached.finish();
}
