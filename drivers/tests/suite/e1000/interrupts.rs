//! The queues' part in sleeping: interrupts asked for, and the look once more.

use millrace_drivers::e1000::Offset;
use millrace_drivers::testing::{IntelSetup, Ring};
use nm_driver::nic::{Armed, Nic, Stopped};

use super::bench::{Bench, MODELS, frame};

#[test]
fn an_interrupt_comes_when_it_was_asked_for_and_not_otherwise() {
    for model in MODELS {
        let mut bench = Bench::new(IntelSetup::of(model));
        bench.rx.sync();
        for round in 0..20 {
            assert!(bench.tx.push(&frame(round, 60)));
            assert_eq!(bench.tx.sync().packets, 1);
            assert!(bench.device.transmit().is_some() && bench.device.receive(&frame(round, 60)));
            assert_eq!(bench.device.interrupts(), 2 * u64::from(round), "interrupts are off");
            assert_eq!((bench.rx.receive().len(), bench.tx.sync().released), (1, 1));
            bench.device.acknowledge();

            assert_eq!(bench.rx.queue.arm(), Armed::Yes);
            bench.device.driver_sleeps(Ring::Receive);
            assert!(bench.device.receive(&frame(round, 60)));
            assert_eq!(bench.device.interrupts(), 2 * u64::from(round) + 1);
            assert_eq!(bench.device.read(Offset::Icr), 1 << 7, "RXT0, forgotten on being read");
            assert_eq!(bench.device.read(Offset::Icr), 0);
            bench.rx.queue.disarm();
            assert_eq!(bench.rx.receive().len(), 1);

            assert!(bench.tx.push(&frame(round, 60)));
            assert_eq!(bench.tx.sync().packets, 1);
            assert_eq!(bench.tx.queue.arm(1), Armed::Yes);
            bench.device.driver_sleeps(Ring::Transmit);
            assert!(bench.device.transmit().is_some());
            assert_eq!(bench.device.interrupts(), 2 * u64::from(round) + 2);
            bench.device.acknowledge();
            bench.tx.queue.disarm();
            assert_eq!(bench.tx.sync().released, 1);
        }
        bench.finish();
    }
}

#[test]
fn a_completion_that_came_before_the_asking_is_said_so() {
    let mut bench = Bench::new(IntelSetup::default());
    assert!(bench.tx.push(&frame(1, 60)));
    assert_eq!((bench.rx.sync().packets, bench.tx.sync().packets), (0, 1));
    assert!(bench.device.transmit().is_some() && bench.device.receive(&frame(1, 60)));
    assert_eq!((bench.rx.queue.arm(), bench.tx.queue.arm(1)), (Armed::Pending, Armed::Pending));
    assert_eq!((bench.rx.receive().len(), bench.tx.sync().released), (1, 1));
    assert_eq!((bench.rx.queue.arm(), bench.tx.queue.arm(1)), (Armed::Yes, Armed::Yes));
    bench.finish();
}

#[test]
fn each_queue_asks_for_its_own_cause() {
    let mut bench = Bench::new(IntelSetup::default());
    let mask = |bench: &Bench| bench.device.value(Offset::Ims);
    assert_eq!(bench.rx.queue.arm(), Armed::Yes);
    assert_eq!(mask(&bench), 1 << 7, "RXT0");
    assert_eq!(bench.tx.queue.arm(1), Armed::Yes);
    assert_eq!(mask(&bench), 1 << 7 | 1, "and TXDW");
    bench.rx.queue.disarm();
    assert_eq!(mask(&bench), 1);
    let writes = bench.device.writes(Offset::Ims);
    bench.rx.queue.disarm();
    assert_eq!(bench.device.writes(Offset::Ims), writes, "what is off already costs nothing");
    assert_eq!(bench.nic.stop(), Stopped::Yes);
    assert_eq!(mask(&bench), 0);
    bench.finish();
}
