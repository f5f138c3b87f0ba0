//! What a port is, told before it is open, while it is and after.

use nm_core::abi::{InterfaceHeader, PRIVATE_MEMORY};
use nm_core::ctl::{PortInfo, Registration};

use crate::world::{bound, read, register, world};

#[test]
fn info_tells_what_binding_would_give_and_gives_and_opens_nothing() {
    let world = world(64, 4096);
    let asking = world.netmap.descriptor();
    let before = asking.info("em0").unwrap();
    let shared = world.netmap.region();
    let expected = PortInfo {
        tx_rings: 1,
        rx_rings: 1,
        host_tx_rings: 1,
        host_rx_rings: 2,
        tx_slots: 64,
        rx_slots: 64,
        host_slots: 8,
        region: shared.id(),
        bytes: shared.bytes(),
    };
    assert_eq!(before, expected);
    assert!(asking.port().is_none() && !world.wires[0].is_running());
    world.assert_all_home();

    let mut descriptor = world.netmap.descriptor();
    let registration = register(&mut descriptor, "netmap:em0*").unwrap();
    assert_eq!(registration.info, expected);
    for name in ["em0", "netmap:em0", "em0-0", "netmap:em0^", "mac-525400000000"] {
        assert_eq!(asking.info(name).unwrap(), expected, "{name}");
    }
    assert_eq!(descriptor.info("em0").unwrap(), expected);
    drop(descriptor);
    assert_eq!(asking.info("em0").unwrap(), expected);
    world.assert_all_home();
}

#[test]
fn info_knows_the_slots_of_rings_that_are_short_of_buffers() {
    // 300 buffers for em0 with its 24 host slots and for the two others of the region.
    let world = world(256, 2 + 300);
    let asking = world.netmap.descriptor();
    for name in ["em2", "em0", "em1"] {
        let before = asking.info(name).unwrap();
        assert!(before.tx_slots < 256, "{before:?}");
        let mut descriptor = world.netmap.descriptor();
        let Registration { info, .. } = register(&mut descriptor, name).unwrap();
        let (tx, rx) = read(descriptor.port().unwrap());
        assert_eq!((info.tx_slots, info.rx_slots), (tx.num_slots, rx.num_slots));
        assert_eq!(before, info);
        // Others come and go meanwhile; what this port has does not change.
        let others = ["em0", "em1", "em2"].into_iter().filter(|other| *other != name);
        let others: Vec<_> = others.map(|other| bound(&world, other)).collect();
        assert_eq!(asking.info(name).unwrap(), info);
        drop(others);
        assert_eq!(asking.info(name).unwrap(), info);
    }
    world.assert_all_home();
}

#[test]
fn an_empty_name_asks_for_the_memory_alone() {
    let world = world(16, 4096);
    let memory = world.netmap.descriptor().info("").unwrap();
    let shared = world.netmap.region();
    assert_eq!((memory.region, memory.bytes, memory.is_private()), (shared.id(), shared.bytes(), false));
    let rings = [memory.tx_rings, memory.rx_rings, memory.host_tx_rings, memory.host_rx_rings];
    assert_eq!((rings, memory.tx_slots, memory.rx_slots, memory.host_slots), ([0; 4], 0, 0, 0));
}

#[test]
fn memory_of_its_own_is_told_by_info_and_in_the_interface_object() {
    let world = world(16, 4096);
    let asking = world.netmap.descriptor();
    let info = asking.info("em3").unwrap();
    assert_eq!((info.region, info.bytes), (world.private.id(), world.private.bytes()));
    assert!(info.is_private());
    for (name, is_private) in [("em3", true), ("em0", false)] {
        let mut descriptor = world.netmap.descriptor();
        let registration = register(&mut descriptor, name).unwrap();
        assert_eq!(
            (registration.info, registration.info.is_private()),
            (asking.info(name).unwrap(), is_private)
        );
        let mapping = descriptor.mmap().unwrap();
        assert_eq!(
            (mapping.region_id(), mapping.bytes()),
            (registration.info.region, registration.info.bytes)
        );
        // SAFETY: the interface object is where binding has said.
        let header = unsafe { mapping.base().add(registration.offset).cast::<InterfaceHeader>().read() };
        assert_eq!(&header.name[..4], format!("{name}\0").as_bytes());
        assert_eq!(header.flags & PRIVATE_MEMORY != 0, is_private);
    }
    world.assert_all_home();
}
