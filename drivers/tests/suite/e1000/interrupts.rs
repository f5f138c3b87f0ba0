//! The queues' part in sleeping: interrupts asked for, and the look once more.

use millrace_drivers::e1000::{Offset, Registers};
use millrace_drivers::testing::{IntelSetup, Ring};
use nm_core::nic::{Armed, Nic, Stopped};

use super::bench::{Bench, MODELS, frame};

#[test]
fn an_interrupt_comes_when_it_was_asked_for_and_not_otherwise() {
    for model in MODELS {
        let mut bench = Bench::new(IntelSetup::of(model));
        for round in 0..20 {
            assert!(bench.give(0) && bench.put(0, &frame(round, 60)));
            assert!(bench.rx.kick() && bench.tx.kick());
            assert!(bench.device.transmit().is_some() && bench.device.receive(&frame(round, 60)));
            assert_eq!(bench.device.interrupts(), 2 * u64::from(round), "interrupts are off");
            assert!(bench.take().is_some() && bench.tx.reclaim().is_some());
            bench.device.acknowledge();

            assert!(bench.give(0) && bench.rx.kick());
            assert_eq!(bench.rx.arm(), Armed::Yes);
            bench.device.driver_sleeps(Ring::Receive);
            assert!(bench.device.receive(&frame(round, 60)));
            assert_eq!(bench.device.interrupts(), 2 * u64::from(round) + 1);
            assert_eq!(bench.device.registers().read(Offset::Icr), 1 << 7, "RXT0, forgotten on being read");
            assert_eq!(bench.device.registers().read(Offset::Icr), 0);
            bench.rx.disarm();
            assert!(bench.take().is_some());

            assert!(bench.put(0, &frame(round, 60)) && bench.tx.kick());
            assert_eq!(bench.tx.arm(1), Armed::Yes);
            bench.device.driver_sleeps(Ring::Transmit);
            assert!(bench.device.transmit().is_some());
            assert_eq!(bench.device.interrupts(), 2 * u64::from(round) + 2);
            bench.device.acknowledge();
            bench.tx.disarm();
            assert_eq!(bench.tx.reclaim(), Some(0));
        }
        bench.finish();
    }
}

#[test]
fn a_completion_that_came_before_the_asking_is_said_so() {
    let mut bench = Bench::new(IntelSetup::default());
    assert!(bench.give(0) && bench.rx.kick() && bench.put(0, &frame(1, 60)) && bench.tx.kick());
    assert!(bench.device.transmit().is_some() && bench.device.receive(&frame(1, 60)));
    assert_eq!((bench.rx.arm(), bench.tx.arm(1)), (Armed::Late, Armed::Late));
    assert!(bench.take().is_some() && bench.tx.reclaim().is_some());
    assert_eq!((bench.rx.arm(), bench.tx.arm(1)), (Armed::Yes, Armed::Yes));
    bench.finish();
}

#[test]
fn each_queue_asks_for_its_own_cause() {
    let mut bench = Bench::new(IntelSetup::default());
    let mask = |bench: &Bench| bench.device.value(Offset::Ims);
    assert_eq!(bench.rx.arm(), Armed::Yes);
    assert_eq!(mask(&bench), 1 << 7, "RXT0");
    assert_eq!(bench.tx.arm(1), Armed::Yes);
    assert_eq!(mask(&bench), 1 << 7 | 1, "and TXDW");
    bench.rx.disarm();
    assert_eq!(mask(&bench), 1);
    let writes = bench.device.writes(Offset::Ims);
    bench.rx.disarm();
    assert_eq!(bench.device.writes(Offset::Ims), writes, "what is off already costs nothing");
    assert_eq!(bench.nic.stop(), Stopped::Yes);
    assert_eq!(mask(&bench), 0);
    bench.finish();
}
