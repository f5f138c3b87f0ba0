//! From reset to running and back, and devices that do not cooperate.

use std::sync::Arc;

use millrace_drivers::Options;
use millrace_drivers::iommu::ActiveIommu;
use millrace_drivers::testing::{FakeMachine, NetDevice, Setup, Slow};
use millrace_drivers::virtio::features::Features;
use millrace_drivers::virtio::net::{NetError, QueueRole, VirtioNet};
use millrace_drivers::virtio::status::Status;
use millrace_drivers::virtio::transport::TransportError;
use nm_driver::nic::{Link, Mtu, Nic, StartParams, Stopped};

use crate::bench::{Bench, FALLBACK_MAC, RECEIVE, TRANSMIT};
use crate::rings::{params, queues_of};
use crate::ways::Way;

in_every_way!(
    a_card_says_what_it_is,
    only_what_is_used_is_accepted_and_only_version_1_is_demanded,
    packed_queues_are_used_where_they_are_offered_and_allowed,
    without_an_address_of_its_own_it_gets_the_fallback,
    an_address_that_changes_while_it_is_read_is_read_again,
    the_mtu_is_the_devices_and_accepted_by_a_start_with_it,
    a_start_with_more_than_the_devices_mtu_is_refused,
    an_mtu_out_of_range_is_not_accepted,
    the_link_is_as_the_device_says_and_up_if_it_says_nothing,
    a_queue_without_entries_is_named,
    a_queue_of_fixed_size_has_one_that_can_be_used,
    a_queue_that_is_too_short_for_a_packet_is_named,
    a_card_that_will_not_agree_on_features_is_known_at_once,
    a_card_that_insists_on_a_feature_is_told_with_what_was_not_accepted,
    a_device_that_uses_addresses_of_the_platform_is_used,
    a_card_behind_an_iommu_is_refused,
    a_slow_reset_is_waited_for_and_a_missing_one_is_not_forever,
    what_can_fail_at_the_start_is_told_apart,
    memory_that_runs_out_is_an_error_and_what_was_had_is_given_back,
    a_card_starts_again_after_a_stop,
    queue_memory_outlives_queues_until_the_device_is_stopped,
    a_queue_that_outlives_its_card_still_has_its_memory,
    a_device_that_does_not_stop_keeps_its_memory_and_is_cut_off,
);

/// A card that is looked at, not started.
fn looked_at<W: Way>(setup: Setup) -> (Arc<FakeMachine>, NetDevice, Result<VirtioNet, NetError>) {
    let machine = FakeMachine::new();
    let device = NetDevice::new(&machine, setup);
    let card = VirtioNet::new(W::attach(&device), machine.clone(), FALLBACK_MAC, W::options(1));
    (machine, device, card)
}

/// What a card says that cannot be used as `setup` has it.
fn refusal<W: Way>(setup: Setup) -> NetError {
    let (machine, device, card) = looked_at::<W>(setup);
    let error = card.map(|_| ()).unwrap_err();
    assert_eq!(machine.blocks(), 0);
    assert_eq!(device.violations(), []);
    error
}

/// What a card says that is looked at without trouble, and then does not start after `change`.
fn failed_start<W: Way>(change: impl FnOnce(&mut Setup)) -> NetError {
    let (machine, device, card) = looked_at::<W>(Setup::default());
    let mut card = card.unwrap();
    device.change_setup(change);
    let error = queues_of(&mut card).map(|_| ()).unwrap_err();
    assert!(!device.is_running());
    drop(card);
    assert_eq!(machine.blocks(), 0, "the queues' memory is given back");
    error
}

fn a_card_says_what_it_is<W: Way>() {
    let (_machine, device, card) = looked_at::<W>(Setup::with_queues(512, 128));
    let info = card.as_ref().unwrap().info();
    assert_eq!(info.mac, Setup::default().mac);
    assert_eq!(
        (info.rx_queues, info.tx_queues, info.rx_slots, info.tx_slots),
        (1, 1, 512 / W::DESCRIPTORS, 128 / W::DESCRIPTORS)
    );
    assert_eq!(device.read_status(), 0, "it is left reset");
}

fn packed_queues_are_used_where_they_are_offered_and_allowed<W: Way>() {
    for (offered, allowed) in [(false, true), (true, false), (true, true)] {
        let machine = FakeMachine::new();
        let device = NetDevice::new(&machine, Setup::default());
        let transport = W::attach(&device);
        device.change_setup(|setup| setup.offered.set(Features::RING_PACKED, offered));
        let options = Options { allows_packed: allowed, ..Options::default() };
        let mut card = VirtioNet::new(transport, machine, FALLBACK_MAC, options).unwrap();
        let kind = match (offered, allowed) {
            _ if W::IS_LEGACY => "legacy queues",
            (true, true) => "packed queues",
            (true, false) => "split queues (packed ones are offered)",
            (false, _) => "split queues",
        };
        let order = if W::IS_IN_ORDER { ", in order" } else { "" };
        assert!(card.to_string().starts_with(&std::format!("virtio, {kind}{order}, features 0x")), "{card}");
        let queues = queues_of(&mut card).unwrap();
        let has_packed = device.accepted_features() & Features::RING_PACKED.bits() != 0;
        assert_eq!(has_packed, offered && allowed && !W::IS_LEGACY);
        drop((card, queues));
        assert_eq!(device.violations(), []);
    }
}

fn only_what_is_used_is_accepted_and_only_version_1_is_demanded<W: Way>() {
    let of_control = Features::NET_CTRL_VQ | Features::NET_CTRL_RX;
    let known = Features::RING_EVENT_IDX | Features::NET_MAC | Features::NET_STATUS | of_control;
    let mut demanded = match (W::IS_LEGACY, W::DESCRIPTORS) {
        (false, _) => Features::VERSION_1,
        (true, 1) => Features::ANY_LAYOUT,
        (true, _) => Features::empty(),
    };
    demanded.set(Features::RING_PACKED, W::IS_PACKED);
    demanded.set(Features::IN_ORDER, W::IS_IN_ORDER);
    let bench = Bench::<W>::new(Setup::default());
    assert_eq!(bench.device.accepted_features(), (known | demanded).bits());
    bench.finish();

    let bench = Bench::<W>::new(Setup { offered: Features::VERSION_1, ..Setup::default() });
    assert_eq!(bench.device.accepted_features(), demanded.bits());
    bench.finish();

    if !W::IS_LEGACY {
        assert_eq!(refusal::<W>(Setup::default().without(Features::VERSION_1)), NetError::NotVersion1);
    }
}

fn without_an_address_of_its_own_it_gets_the_fallback<W: Way>() {
    let (_machine, _device, card) = looked_at::<W>(Setup::default().without(Features::NET_MAC));
    assert_eq!(card.unwrap().info().mac, FALLBACK_MAC);
}

fn an_address_that_changes_while_it_is_read_is_read_again<W: Way>() {
    for changes in 1..40 {
        let mut setup = Setup::default();
        setup.quirks.config_changes = changes;
        let (_machine, device, card) = looked_at::<W>(setup);
        let mut now = [0; 6];
        device.change_setup(|setup| now = setup.mac);
        assert_eq!(card.unwrap().info().mac, now, "after {changes} changes");
    }
    let mut setup = Setup::default();
    setup.quirks.config_changes = u32::MAX;
    assert_eq!(refusal::<W>(setup), NetError::Transport(TransportError::ConfigUnstable));
}

/// A start with these parameters but for the MTU. Returns whether the driver has accepted the device's.
fn accepts_mtu<W: Way>(device: &NetDevice, card: &mut VirtioNet, mtu: Mtu) -> Result<bool, NetError> {
    let params = StartParams { mtu, ..params(card, 10_000) };
    card.start(&params).map(drop)?;
    Ok(device.accepted_features() & Features::NET_MTU.bits() != 0)
}

fn with_mtu(mtu: u16) -> Setup {
    let setup = Setup { mtu, ..Setup::default() };
    Setup { offered: setup.offered | Features::NET_MTU, ..setup }
}

/// Section 5.1.4.2: who accepts it supplies buffers for such frames, and sends no longer ones.
fn the_mtu_is_the_devices_and_accepted_by_a_start_with_it<W: Way>() {
    for bytes in [68, 1280, 1500, 9000] {
        let (_machine, device, card) = looked_at::<W>(with_mtu(bytes));
        let mut card = card.unwrap();
        assert_eq!(card.info().mtu, Mtu::new(bytes));
        assert_eq!(accepts_mtu::<W>(&device, &mut card, Mtu::new(bytes).unwrap()), Ok(true));
        if bytes > 68 {
            assert_eq!(accepts_mtu::<W>(&device, &mut card, Mtu::MIN), Ok(false));
        }
        drop(card);
        assert_eq!(device.violations(), []);
    }
    let (_machine, _device, card) = looked_at::<W>(Setup { mtu: 9000, ..Setup::default() });
    assert_eq!(card.unwrap().info().mtu, None, "the feature is not offered");
}

fn a_start_with_more_than_the_devices_mtu_is_refused<W: Way>() {
    let (_machine, device, card) = looked_at::<W>(with_mtu(1500));
    let (mut card, mtu) = (card.unwrap(), Mtu::new(1501).unwrap());
    let error = accepts_mtu::<W>(&device, &mut card, mtu).unwrap_err();
    assert_eq!(error, NetError::MtuTooLarge { mtu, most: Mtu::ETHERNET });
    assert_eq!(error.to_string(), "an MTU of 1501 is above that of the device, 1500");
    assert!(!device.is_running());
}

fn an_mtu_out_of_range_is_not_accepted<W: Way>() {
    for bytes in [0, 67, 9001, u16::MAX] {
        let (_machine, device, card) = looked_at::<W>(with_mtu(bytes));
        let mut card = card.unwrap();
        assert_eq!(card.info().mtu, None);
        for mtu in [Mtu::MIN, Mtu::ETHERNET, Mtu::MAX] {
            assert_eq!(accepts_mtu::<W>(&device, &mut card, mtu), Ok(false));
        }
    }
}

fn the_link_is_as_the_device_says_and_up_if_it_says_nothing<W: Way>() {
    let (_machine, device, card) = looked_at::<W>(Setup::default());
    let card = card.unwrap();
    assert_eq!(card.link(), Link::Up);
    device.change_setup(|setup| setup.is_link_up = false);
    assert_eq!(card.link(), Link::Down);

    let silent = Setup { is_link_up: false, ..Setup::default() }.without(Features::NET_STATUS);
    assert_eq!(looked_at::<W>(silent).2.unwrap().link(), Link::Up);
}

fn a_queue_without_entries_is_named<W: Way>() {
    assert_eq!(refusal::<W>(Setup::with_queues(0, 256)), NetError::NoQueue { role: QueueRole::Receive });
    assert_eq!(refusal::<W>(Setup::with_queues(256, 0)), NetError::NoQueue { role: QueueRole::Transmit });
    let one_queue = Setup { queue_sizes: vec![256], ..Setup::default() };
    assert_eq!(refusal::<W>(one_queue), NetError::NoQueue { role: QueueRole::Transmit });
}

fn a_queue_of_fixed_size_has_one_that_can_be_used<W: Way>() {
    if W::HAS_FIXED_SIZES {
        let role = QueueRole::Receive;
        for entries in [3, 300, 8192, 65535] {
            let refused = refusal::<W>(Setup::with_queues(entries, 256));
            assert_eq!(refused, NetError::FixedSize { role, entries });
        }
        let changed = failed_start::<W>(|setup| setup.queue_sizes = vec![512, 256]);
        assert_eq!(
            changed,
            NetError::Transport(TransportError::SizeRefused { queue: 0, wanted: 256, found: 512 })
        );
    }
}

fn a_queue_that_is_too_short_for_a_packet_is_named<W: Way>() {
    if W::DESCRIPTORS > 1 {
        assert_eq!(refusal::<W>(Setup::with_queues(1, 256)), NetError::NoRoom { role: QueueRole::Receive });
        assert_eq!(refusal::<W>(Setup::with_queues(256, 1)), NetError::NoRoom { role: QueueRole::Transmit });
    }
}

fn a_card_that_will_not_agree_on_features_is_known_at_once<W: Way>() {
    if !W::IS_LEGACY {
        let mut setup = Setup::default();
        setup.quirks.refuses_features = true;
        assert!(matches!(refusal::<W>(setup), NetError::FeaturesRefused { .. }));
    }
}

/// What is left of the default offer is offloads, and MRG_RXBUF and INDIRECT_DESC, which stands before them.
fn a_card_that_insists_on_a_feature_is_told_with_what_was_not_accepted<W: Way>() {
    if !W::IS_LEGACY {
        let unknown = Features::from_bits_retain(1 << 49);
        let mut setup = Setup::default();
        setup.offered |= unknown;
        setup.quirks.insists_on = unknown;
        assert_eq!(
            refusal::<W>(setup).to_string(),
            "the device insists on a feature that this driver lacks; not accepted: INDIRECT_DESC, CSUM, GUEST_CSUM, \
             GUEST_TSO4, HOST_TSO4, MRG_RXBUF, bit 49"
        );
    }
}

fn a_device_that_uses_addresses_of_the_platform_is_used<W: Way>() {
    if !W::IS_LEGACY {
        let platform = Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
        let mut setup = Setup::default();
        setup.offered |= platform;
        setup.quirks.insists_on = Features::ACCESS_PLATFORM;
        let mut bench = Bench::<W>::new(setup);
        let accepted = Features::from_bits_retain(bench.device.accepted_features());
        assert!(accepted.contains(Features::ACCESS_PLATFORM));
        assert_eq!(accepted.contains(Features::ORDER_PLATFORM), cfg!(target_arch = "x86_64"));
        assert!(bench.tx.push(b"out"));
        assert_eq!((bench.tx.sync().packets, bench.rx.sync().packets), (1, 0));
        assert_eq!(bench.device.transmit_all(), [b"out".to_vec()]);
        assert!(bench.device.receive(b"a frame that comes in", 0));
        assert_eq!(
            (bench.tx.sync().released, bench.rx.receive()),
            (1, vec![b"a frame that comes in".to_vec()])
        );
        bench.finish();
    }
}

/// Only a device that uses addresses of the platform is behind it.
fn a_card_behind_an_iommu_is_refused<W: Way>() {
    let iommu = ActiveIommu::Intel { registers: 0xfed9_0000 };
    for (offered, is_refused) in
        [(Features::empty(), false), (Features::ORDER_PLATFORM, false), (Features::ACCESS_PLATFORM, true)]
    {
        let machine = FakeMachine::new();
        let mut setup = Setup::default();
        setup.offered |= offered;
        let device = NetDevice::new(&machine, setup);
        let options = Options { iommu: Some(iommu), ..W::options(1) };
        let card = VirtioNet::new(W::attach(&device), machine, FALLBACK_MAC, options);
        let error = card.map(drop).err();
        assert_eq!(error, (is_refused && !W::IS_LEGACY).then_some(NetError::BehindIommu(iommu)));
        assert_eq!(device.violations(), []);
    }
}

fn a_slow_reset_is_waited_for_and_a_missing_one_is_not_forever<W: Way>() {
    let mut setup = Setup::default();
    setup.quirks.slow_reset = Slow::Looks(1000);
    Bench::<W>::new(setup.clone()).finish();

    // The reset of a device that was never set up shows nothing; the one behind the first look does not come.
    setup.quirks.slow_reset = Slow::Forever;
    assert_eq!(looked_at::<W>(setup).2.unwrap_err(), NetError::NoReset);
}

fn what_can_fail_at_the_start_is_told_apart<W: Way>() {
    let size_refused = TransportError::SizeRefused { queue: 0, wanted: 256, found: 300 };
    let shrank = NetError::QueueShrank { role: QueueRole::Receive, before: 256, now: 128 };
    if !W::IS_LEGACY {
        let refuses = failed_start::<W>(|setup| setup.quirks.refuses_features = true);
        assert!(matches!(refuses, NetError::FeaturesRefused { .. }));
    }
    let missing = Features::NET_MAC | Features::RING_EVENT_IDX;
    let withdraws = failed_start::<W>(|setup| setup.offered.remove(missing));
    assert_eq!(withdraws, NetError::FeaturesWithdrawn { missing });
    assert_eq!(
        withdraws.to_string(),
        "the device no longer offers features that it offered before: EVENT_IDX, MAC"
    );
    assert_eq!(failed_start::<W>(|setup| setup.queue_sizes = vec![128, 256]), shrank);
    if W::CONFIRMS_SIZE && !W::HAS_FIXED_SIZES {
        let keeps = failed_start::<W>(|setup| {
            setup.queue_sizes = vec![300, 300];
            setup.quirks.keeps_queue_size = true;
        });
        assert_eq!(keeps, NetError::Transport(size_refused));
    }
    assert_eq!(
        failed_start::<W>(|setup| setup.quirks.queues_in_use = true),
        NetError::Transport(TransportError::InUse { queue: 0 })
    );
    assert_eq!(
        failed_start::<W>(|setup| setup.quirks.keeps_queue_disabled = true),
        NetError::Transport(TransportError::NotEnabled { queue: 0 })
    );
    let needs_reset = Status::NEEDS_RESET.bits();
    assert_eq!(failed_start::<W>(|setup| setup.quirks.extra_status = needs_reset), NetError::DeviceFailed);
}

fn memory_that_runs_out_is_an_error_and_what_was_had_is_given_back<W: Way>() {
    let machine = FakeMachine::with_memory(8_000);
    let device = NetDevice::new(&machine, Setup::default());
    let mut card = VirtioNet::new(W::attach(&device), machine.clone(), FALLBACK_MAC, W::options(1)).unwrap();
    assert!(matches!(queues_of(&mut card), Err(NetError::Memory(_))));
    assert_eq!(machine.blocks(), 0);
    assert_eq!(device.violations(), []);
}

fn a_card_starts_again_after_a_stop<W: Way>() {
    let mut bench = Bench::<W>::new(Setup::default());
    for _ in 0..3 {
        assert!(bench.tx.push(b"in flight when it stops"));
        bench.tx.sync();
        bench.rx.sync();
        assert_eq!(bench.nic.stop(), Stopped::Yes);
        assert!(!bench.device.is_running());
        bench.restart();
    }
    assert_eq!((bench.device.owned(RECEIVE), bench.device.owned(TRANSMIT)), (0, 0));
    bench.finish();
}

fn queue_memory_outlives_queues_until_the_device_is_stopped<W: Way>() {
    let Bench { machine, device, mut nic, tx, rx, .. } = Bench::<W>::new(Setup::default());
    assert_eq!(
        machine.blocks(),
        6,
        "two queues, the control queue and its command, and the buffers of two rings"
    );
    drop((tx, rx));
    assert_eq!(machine.blocks(), 4, "all but the buffers");
    device.fetch();
    assert_eq!(nic.stop(), Stopped::Yes);
    assert_eq!(machine.blocks(), 0);
    assert_eq!(device.violations(), []);
}

fn a_queue_that_outlives_its_card_still_has_its_memory<W: Way>() {
    let Bench { machine, nic, mut tx, mut rx, .. } = Bench::<W>::new(Setup::default());
    drop(nic);
    assert!(tx.push(b"a frame"));
    assert_eq!((tx.sync().released, rx.receive()), (0, vec![]));
    assert_eq!(machine.blocks(), 4, "two queues, and the buffers of two rings");
    drop((tx, rx));
    assert_eq!((machine.blocks(), machine.misuse()), (0, vec![]));
}

/// A device that goes on after a reset keeps the memory that it may write to, and is cut off from the rest.
fn a_device_that_does_not_stop_keeps_its_memory_and_is_cut_off<W: Way>() {
    for cannot_be_cut_off in [false, true] {
        let mut bench = Bench::<W>::new(Setup::default());
        bench.device.change_setup(|setup| {
            setup.quirks.slow_reset = Slow::Forever;
            setup.quirks.cannot_be_cut_off = cannot_be_cut_off;
        });
        let can_be_cut_off = W::CUTS_OFF && !cannot_be_cut_off;
        let is_harmless = can_be_cut_off || W::CUTS_OFF_BY_BUS;
        let expected = if is_harmless { Stopped::Yes } else { Stopped::No };
        assert_eq!([bench.nic.stop(), bench.nic.stop()], [expected; 2]);
        assert_eq!(bench.device.is_cut_off(), can_be_cut_off);
        let again = queues_of(&mut bench.nic).map(drop).unwrap_err();
        assert_eq!(again, NetError::NoReset, "it is not used again");
        let Bench { machine, nic, tx, rx, .. } = bench;
        drop((nic, tx, rx));
        assert_eq!(machine.blocks(), 4, "the two queues, the control queue and its command");
    }
}
