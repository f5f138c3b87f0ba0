//! From open to close: what is refused on the way, and what is left at the end.

use std::thread;
use std::time::Duration;

use nm_core::ctl::{PortError, Request};
use nm_core::mem::MapError;
use nm_core::poll::{Interest, Timeout};
use nm_core::raw::{RawOptions, Sharing, TxPoll};
use nm_core::testing::{CardSpec, Order, card};
use nm_core::{Attachment, SyncError, errno};

use crate::common::{assert_all_home, frame, netmap};
use crate::world::{GIFADDR, World, bound, register, submit, told, world};

#[test]
fn names_that_lead_nowhere_are_told_and_leave_the_descriptor_as_it_was() {
    let world = world(16, 4096);
    let mut descriptor = world.netmap.descriptor();
    let known = (0..4).map(|n| format!("em{n} (52:54:00:00:00:0{n})")).collect::<Vec<_>>().join(", ");
    let unknown = (format!("no interface \"em9\"; there are {known}"), errno::ENXIO);
    assert_eq!(told!(descriptor.info("em9")), unknown);
    assert_eq!(told!(register(&mut descriptor, "em9")), unknown);
    let invalid = ("\"em 0\" is not the name of a port (netmap:IF or IF)".to_string(), errno::EINVAL);
    assert_eq!(told!(descriptor.info("em 0")), invalid);
    assert_eq!(told!(register(&mut descriptor, "em 0")), invalid);
    assert_eq!(register(&mut descriptor, "em0-1").unwrap_err().errno(), errno::EINVAL);
    let exclusive = RawOptions { sharing: Sharing::Exclusive, ..RawOptions::default() };
    let other = bound(&world, "em0");
    let busy = descriptor.register("em0", exclusive);
    assert_eq!(told!(busy), ("ring 0 of em0 is in use by another port".to_string(), errno::EBUSY));
    assert!(descriptor.port().is_none());
    drop(other);
    descriptor.register("em0", exclusive).unwrap();
    drop(descriptor);
    world.assert_all_home();
}

#[test]
fn a_bound_descriptor_is_not_bound_again() {
    let world = world(16, 4096);
    let mut descriptor = bound(&world, "em0");
    let refused = ("the descriptor is bound to em0; open another one".to_string(), errno::EBUSY);
    for name in ["em0", "em0-0", "em2", "em9", ""] {
        assert_eq!(told!(register(&mut descriptor, name)), refused, "{name}");
    }
    assert!(!world.wires[2].is_running());
    // It goes on as it was.
    let port = descriptor.port().unwrap();
    assert_eq!(port.name(), "em0");
    submit(port, 60);
    descriptor.txsync().unwrap();
    assert_eq!(world.wires[0].sent().len(), 1);
    drop(descriptor);
    world.assert_all_home();
}

#[test]
fn what_needs_a_port_says_so_while_there_is_none() {
    let world = world(16, 4096);
    let mut descriptor = world.netmap.descriptor();
    let unbound = "the descriptor is not bound to a port; register one first".to_string();
    assert_eq!(descriptor.txsync(), Err(PortError::Unbound));
    assert_eq!(told!(descriptor.txsync()), (unbound.clone(), errno::ENXIO));
    assert_eq!(told!(descriptor.rxsync()), (unbound.clone(), errno::ENXIO));
    // POLLERR, at once, however long it might wait.
    assert_eq!(told!(descriptor.poll(Interest::READABLE, Timeout::Never)), (unbound.clone(), errno::ENXIO));
    for request in [Request::TxSync, Request::RxSync] {
        assert_eq!(told!(descriptor.request(request, "em0", &mut [])), (unbound.clone(), errno::ENXIO));
    }
    let unmapped =
        "no port is bound; memory can be mapped before that only with netmap.mmap_unreg=1".to_string();
    assert_eq!(told!(descriptor.mmap()), (unmapped, errno::ENODEV));
}

#[test]
fn a_poll_sends_what_waits_unless_binding_said_otherwise() {
    let world = world(16, 4096);
    for (tx_poll, sent) in [(TxPoll::Pending, 1), (TxPoll::Asked, 0)] {
        let mut descriptor = world.netmap.descriptor();
        descriptor.register("em2", RawOptions { tx_poll, ..RawOptions::default() }).unwrap();
        submit(descriptor.port().unwrap(), 60);
        descriptor.poll(Interest::READABLE, Timeout::Now).unwrap();
        assert_eq!(world.wires[2].sent().len(), sent, "{tx_poll:?}");
    }
}

#[test]
fn extra_buffers_are_granted_and_come_home() {
    let world = world(16, 4096);
    let mut descriptor = world.netmap.descriptor();
    let options = RawOptions { extra_buffers: 5, ..RawOptions::default() };
    let registration = descriptor.register("em0", options).unwrap();
    assert_eq!((registration.extra_buffers, world.netmap.memory().extra), (5, 5));
    assert_eq!(registration.offset, descriptor.port().unwrap().offset());
    drop(descriptor);
    world.assert_all_home();
}

#[test]
fn memory_is_mapped_before_binding_if_the_tunable_allows_it() {
    let world = world(16, 4096);
    let mut descriptor = world.netmap.descriptor();
    world.netmap.knobs().set("mmap_unreg", 1).unwrap();
    let (base, region) = {
        let mapping = descriptor.mmap().unwrap();
        (mapping.base(), mapping.region_id())
    };
    assert_eq!(region, world.netmap.region().id());
    assert_eq!(descriptor.mmap().unwrap().base(), base);
    assert_eq!(world.netmap.region().info().usage.mappings, 1, "mapping twice is mapping once");
    // The tunable is asked each time, and what is mapped stays.
    world.netmap.knobs().set("mmap_unreg", 0).unwrap();
    assert_eq!(descriptor.mmap().unwrap_err(), MapError::Unbound);
    assert_eq!(world.netmap.region().info().usage.mappings, 1);
    assert_eq!(descriptor.txsync(), Err(PortError::Unbound), "mapped is not bound");

    let registration = register(&mut descriptor, "em0").unwrap();
    assert_eq!((registration.info.region, descriptor.mmap().unwrap().base()), (region, base));
    drop(descriptor);
    world.assert_all_home();
}

#[test]
fn a_port_of_another_region_than_the_mapped_one_is_refused() {
    let world = world(16, 4096);
    world.netmap.knobs().set("mmap_unreg", 1).unwrap();
    let mut descriptor = world.netmap.descriptor();
    descriptor.mmap().unwrap();
    let refused = "em3 uses memory region 2 and the descriptor has mapped region 1; open another one, and map after binding";
    assert_eq!(told!(register(&mut descriptor, "em3")), (refused.to_string(), errno::ENODEV));
    assert!(descriptor.port().is_none() && !world.wires[3].is_running());
    assert!(!world.private.info().usage.is_used(), "nothing is left of the attempt");
    // Nor does a region of another netmap that has the same number.
    let (_, other) = netmap(64);
    let (nic, wire) = card(CardSpec::new(4, 8, Order::Posted));
    world.netmap.attach_as("em4", Attachment::rings(nic).in_region(other.regions().shared())).unwrap();
    let refused = "em4 uses memory region 1 and the descriptor has mapped region 1; open another one, and map after binding";
    assert_eq!(told!(register(&mut descriptor, "em4")), (refused.to_string(), errno::ENODEV));
    assert_all_home(&other, &[&wire]);
    // It still binds what it can reach; and without a mapping the other port binds too.
    register(&mut descriptor, "em0").unwrap();
    let other = bound(&world, "em3");
    drop((descriptor, other));
    world.assert_all_home();
}

#[test]
fn a_descriptor_that_is_dropped_closes_everything() {
    let world = world(16, 4096);
    world.netmap.knobs().set("mmap_unreg", 1).unwrap();
    // Mapped alone.
    let mut descriptor = world.netmap.descriptor();
    descriptor.mmap().unwrap();
    drop(descriptor);
    world.assert_all_home();
    // Mapped, then bound, with frames on their way in both directions.
    let mut descriptor = world.netmap.descriptor();
    descriptor.mmap().unwrap();
    register(&mut descriptor, "em0*").unwrap();
    world.wires[0].hold_completions();
    world.wires[0].send(&frame(1, 60));
    descriptor.rxsync().unwrap();
    submit(descriptor.port().unwrap(), 60);
    descriptor.txsync().unwrap();
    let netmap = world.netmap.clone();
    assert!(netmap.interfaces()[0].is_open && world.wires[0].is_running());
    drop(descriptor);
    assert!(!netmap.interfaces()[0].is_open);
    world.assert_all_home();
}

#[test]
fn memory_stays_until_the_last_descriptor_is_dropped() {
    let world = world(16, 4096);
    let World { netmap, wires, private, .. } = world;
    let mut descriptor = netmap.descriptor();
    register(&mut descriptor, "em3").unwrap();
    netmap.detach("em3").unwrap();
    let regions = netmap.regions().list().len();
    drop(private);
    assert_eq!(netmap.regions().list().len(), regions, "the descriptor keeps its region");
    assert_eq!(descriptor.mmap().unwrap().region_id().get(), 2);
    drop(descriptor);
    assert_eq!(netmap.regions().list().len(), regions - 1);
    assert!(!wires[3].is_running());
}

#[test]
fn an_interface_that_disappears_leaves_the_descriptor_bound_to_nothing_that_moves() {
    let world = world(16, 4096);
    let mut descriptor = bound(&world, "em0");
    let base = descriptor.mmap().unwrap().base();
    world.netmap.detach("em0").unwrap();
    let gone = PortError::Port(SyncError::Gone);
    assert_eq!((descriptor.txsync(), descriptor.rxsync()), (Err(gone), Err(gone)));
    assert_eq!(gone.errno(), errno::ENXIO);
    for request in [Request::TxSync, Request::RxSync] {
        assert_eq!(descriptor.request(request, "em0", &mut []).unwrap_err().errno(), errno::ENXIO);
    }
    let poll = descriptor.poll(Interest::READABLE, Timeout::Never).unwrap_err();
    assert!(matches!(poll, PortError::Port(error) if error.cause == SyncError::Gone));
    assert_eq!(poll.errno(), errno::ENXIO);
    // Its memory is there, and it is bound still.
    assert_eq!(descriptor.mmap().unwrap().base(), base);
    assert_eq!(register(&mut descriptor, "em2").unwrap_err().errno(), errno::EBUSY);
    assert_eq!(descriptor.info("em0").unwrap_err().errno(), errno::ENXIO);
    let passed = descriptor.request(Request::Other(GIFADDR), "em0", &mut [0; 32]);
    assert_eq!(passed.unwrap_err().errno(), errno::ENXIO);
    drop(descriptor);
    world.assert_all_home();
}

#[test]
fn a_detach_ends_a_poll_that_waits() {
    let world = world(16, 4096);
    let descriptor = bound(&world, "em2");
    thread::scope(|scope| {
        let waits = scope.spawn(|| descriptor.poll(Interest::READABLE, Timeout::Never));
        thread::sleep(Duration::from_millis(if cfg!(miri) { 0 } else { 20 }));
        world.netmap.detach("em2").unwrap();
        assert_eq!(waits.join().unwrap().unwrap_err().errno(), errno::ENXIO);
    });
}

#[test]
fn a_descriptor_is_used_from_several_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let world = world(16, 4096);
    let descriptor = bound(&world, "em2");
    is_shared(&descriptor);
    let rounds = if cfg!(miri) { 5 } else { 500 };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    for answer in [descriptor.txsync(), descriptor.rxsync()] {
                        assert!(
                            matches!(answer, Ok(()) | Err(PortError::Port(SyncError::Busy))),
                            "{answer:?}"
                        );
                    }
                }
            });
        }
    });
    drop(descriptor);
    world.assert_all_home();
}
