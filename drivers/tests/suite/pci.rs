//! Configuration space: what is there is found, and what is broken is survived.

use millrace_drivers::pci::{
    Address, Bar, BarError, CapabilityId, Command, ConfigSpace, Function, Header, RootBuses, SubsystemId,
    functions,
};
use millrace_drivers::testing::{FakeFunction, FakePci};
use proptest::prelude::*;

fn at(bus: u8, device: u8, function: u8) -> Address {
    Address::new(bus, device, function).unwrap()
}

/// A configuration space with one function at 00:01.0.
fn single(function: FakeFunction) -> (FakePci, Function) {
    let config = FakePci::default();
    config.insert(at(0, 1, 0), function);
    let found = Function::read(&config, at(0, 1, 0)).unwrap();
    (config, found)
}

fn found(config: &FakePci) -> Vec<String> {
    found_from(config, &RootBuses::default())
}

fn found_from(config: &FakePci, roots: &RootBuses) -> Vec<String> {
    functions(config, roots).map(|function| function.address.to_string()).collect()
}

fn roots(buses: &[u8]) -> RootBuses {
    buses.iter().copied().collect()
}

// Enumeration.

#[test]
fn functions_are_found_by_ascending_address() {
    let config = FakePci::default();
    for device in [31, 3, 0] {
        config.insert(at(0, device, 0), FakeFunction::endpoint(0x1af4, 0x1041));
    }
    assert_eq!(found(&config), ["00:00.0", "00:03.0", "00:1f.0"]);
}

#[test]
fn further_functions_are_looked_for_only_where_function_0_says_so() {
    let config = FakePci::default();
    let mut several = FakeFunction::endpoint(1, 1);
    several.set(0x0c, 0x80 << 16);
    config.insert(at(0, 1, 0), several);
    for (device, function) in [(1, 2), (1, 7), (2, 1), (3, 0), (3, 5)] {
        config.insert(at(0, device, function), FakeFunction::endpoint(1, 2));
    }
    assert_eq!(found(&config), ["00:01.0", "00:01.2", "00:01.7", "00:03.0"]);
}

#[test]
fn a_network_controller_is_known_by_its_base_class() {
    // Ethernet, another network, storage, a bridge; revision and interface do not matter.
    for (class, is_one) in
        [(0x0200_0020, true), (0x0280_0103, true), (0x0100_0000, false), (0x0602_0002, false)]
    {
        let mut function = FakeFunction::endpoint(0x10ec, 0x8139);
        function.set(0x08, class);
        assert_eq!(single(function).1.is_network_controller(), is_one, "{class:#010x}");
    }
}

#[test]
fn buses_behind_bridges_are_searched() {
    let config = FakePci::default();
    config.insert(at(0, 1, 0), FakeFunction::bridge(2));
    config.insert(at(0, 2, 0), FakeFunction::bridge(1));
    config.insert(at(1, 0, 0), FakeFunction::endpoint(1, 1));
    config.insert(at(2, 4, 0), FakeFunction::bridge(255));
    config.insert(at(255, 31, 0), FakeFunction::endpoint(1, 1));
    config.insert(at(3, 0, 0), FakeFunction::endpoint(1, 1));
    assert_eq!(found(&config), ["00:01.0", "00:02.0", "01:00.0", "02:04.0", "ff:1f.0"]);
}

#[test]
fn bridges_in_a_circle_and_unconfigured_ones_end_the_search() {
    let config = FakePci::default();
    config.insert(at(0, 0, 0), FakeFunction::bridge(0));
    config.insert(at(0, 1, 0), FakeFunction::bridge(1));
    config.insert(at(0, 2, 0), FakeFunction::bridge(1));
    config.insert(at(1, 0, 0), FakeFunction::bridge(0));
    config.insert(at(1, 1, 0), FakeFunction::bridge(1));
    assert_eq!(found(&config).len(), 5);
}

#[test]
fn each_root_bus_is_searched_and_the_buses_behind_its_bridges() {
    let config = FakePci::default();
    config.insert(at(0, 1, 0), FakeFunction::bridge(1));
    config.insert(at(1, 0, 0), FakeFunction::endpoint(1, 1));
    config.insert(at(64, 0, 0), FakeFunction::bridge(65));
    config.insert(at(65, 3, 0), FakeFunction::endpoint(1, 1));
    config.insert(at(255, 31, 0), FakeFunction::endpoint(1, 1));
    let bus_0 = ["00:01.0", "01:00.0"];
    assert_eq!(found_from(&config, &roots(&[])), bus_0);
    assert_eq!(found_from(&config, &roots(&[64])), [&bus_0[..], &["40:00.0", "41:03.0"]].concat());
    let all = [&bus_0[..], &["40:00.0", "41:03.0", "ff:1f.0"]].concat();
    assert_eq!(found_from(&config, &roots(&[255, 64, 0, 128])), all, "a root bus may be empty");
}

#[test]
fn a_root_bus_that_a_bridge_claims_too_is_searched_once() {
    let config = FakePci::default();
    config.insert(at(0, 1, 0), FakeFunction::bridge(64));
    config.insert(at(64, 0, 0), FakeFunction::bridge(65));
    config.insert(at(65, 0, 0), FakeFunction::endpoint(1, 1));
    assert_eq!(found_from(&config, &roots(&[64, 65, 64])), ["00:01.0", "40:00.0", "41:00.0"]);
}

// Root buses.

/// A host bridge, class 06, subclass 00.
fn host_bridge() -> FakeFunction {
    let mut bridge = FakeFunction::endpoint(0x8086, 0x1237);
    bridge.set(0x08, 0x0600_0000);
    bridge
}

#[test]
fn the_scan_finds_buses_with_functions_that_no_bridge_leads_to() {
    let config = FakePci::default();
    config.insert(at(0, 0, 0), host_bridge());
    config.insert(at(0, 1, 0), FakeFunction::bridge(1));
    config.insert(at(1, 0, 0), FakeFunction::endpoint(1, 1));
    config.insert(at(64, 0, 0), FakeFunction::bridge(65));
    config.insert(at(65, 3, 0), FakeFunction::endpoint(1, 1));
    config.insert(at(255, 31, 0), FakeFunction::endpoint(1, 1));
    assert_eq!(RootBuses::scan(&config), roots(&[]), "with a single host bridge there is no other root bus");
    config.insert(at(0, 2, 0), host_bridge());
    let found = RootBuses::scan(&config);
    assert_eq!(found, roots(&[0, 64, 255]));
    assert_eq!(found.to_string(), "0, 64, 255");
    assert_eq!(found.iter().collect::<Vec<_>>(), [0, 64, 255]);
}

/// Every address answers, as a bridge with several functions.
struct BridgesEverywhere;

#[expect(unsafe_code, reason = "the trait carries a contract about the device")]
// SAFETY: no device is behind it, so that no driver uses it.
unsafe impl ConfigSpace for BridgesEverywhere {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        match offset {
            0x0c => 0x0081_0000,
            0x18 => u32::from(at.bus().wrapping_add(1)) << 8,
            _ => 0x1234_5678,
        }
    }

    fn write32(&self, _: Address, _: u16, _: u32) {}
}

#[test]
fn the_search_ends_even_if_everything_answers() {
    assert_eq!(functions(&BridgesEverywhere, &RootBuses::default()).count(), 65536);
    assert_eq!(RootBuses::scan(&BridgesEverywhere), RootBuses::default(), "a bridge leads to each other bus");
}

#[test]
fn a_function_says_what_it_is() {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1041);
    function.set(0x08, 0x0200_0001);
    function.set(0x2c, 0x1100_1af4);
    let (_config, found) = single(function);
    assert_eq!((found.vendor, found.device, found.revision), (0x1af4, 0x1041, 1));
    assert_eq!((found.class, found.subclass, found.interface), (2, 0, 0));
    assert_eq!((found.header, found.is_multifunction), (Header::Endpoint, false));
    assert_eq!(found.subsystem, Some(SubsystemId { vendor: 0x1af4, device: 0x1100 }));
    assert_eq!(found.to_string(), "00:01.0 1af4:1041 class 0200");

    let (_config, bridge) = single(FakeFunction::bridge(1));
    assert_eq!((bridge.header, bridge.subsystem), (Header::Bridge, None));
}

// Command register.

#[test]
fn changing_the_command_leaves_the_status_alone() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.set(0x04, 0xf910_0003);
    let (config, found) = single(function);
    let before = found.change_command(&config, Command::BUS_MASTER | Command::INTERRUPT_DISABLE, Command::IO);
    assert_eq!(before, Command::IO | Command::MEMORY);
    assert_eq!(
        config.writes(),
        [(found.address, 4, 0x0406)],
        "status bits are cleared by ones, so none are written"
    );
}

// BARs.

#[test]
fn bars_of_all_kinds_are_decoded() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.set(0x10, 0xc041);
    function.set_writable(0x10, !0x3f);
    function.set_memory_bar(1, 0xfebf_1000, 0x1000, false);
    function.set_memory_bar(4, 0x8_0000_4000, 0x4000, true);
    function.set(0x20, function.get(0x20) | 8);
    let (config, found) = single(function.clone());
    let bars = found.bars(&config);
    assert_eq!(bars.get(0), Ok(Bar::Io { port: 0xc040, ports: 64 }));
    assert_eq!(bars.get(1), Ok(Bar::Memory { address: 0xfebf_1000, bytes: 0x1000, is_prefetchable: false }));
    assert_eq!(bars.get(4), Ok(Bar::Memory { address: 0x8_0000_4000, bytes: 0x4000, is_prefetchable: true }));
    for absent in [2, 3, 5, 6, 255] {
        assert_eq!(bars.get(absent), Err(BarError::Absent));
    }
    assert_eq!(bars.iter().map(|(number, _)| number).collect::<Vec<_>>(), [0, 1, 4]);
    for offset in (0..256).step_by(4) {
        let now = config.function(found.address).unwrap().get(offset);
        assert_eq!(now, function.get(offset), "register {offset:#x} is as it was");
    }
}

#[test]
fn a_bar_can_be_larger_than_four_gigabytes() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.set_memory_bar(0, 0x100_0000_0000, 1 << 40, true);
    function.set_memory_bar(2, 0x1_0000_0000, 1 << 32, true);
    let (config, found) = single(function);
    let bars = found.bars(&config);
    assert_eq!(bars.get(0), Ok(Bar::Memory { address: 1 << 40, bytes: 1 << 40, is_prefetchable: false }));
    assert_eq!(bars.get(2), Ok(Bar::Memory { address: 1 << 32, bytes: 1 << 32, is_prefetchable: false }));
}

#[test]
fn an_io_bar_of_sixteen_bits_is_decoded() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.set(0x10, 0xc001);
    function.set_writable(0x10, 0xffe0);
    let (config, found) = single(function);
    assert_eq!(found.bars(&config).get(0), Ok(Bar::Io { port: 0xc000, ports: 32 }));
}

#[test]
fn broken_bars_are_errors() {
    let mut function = FakeFunction::endpoint(1, 1);
    // Types 1 and 3 are reserved, and a 64-bit BAR has no room in the last register.
    function.set(0x10, 2);
    function.set(0x14, 6);
    function.set_memory_bar(2, 0x1000, 0x1000, false);
    function.set_writable(0x18, 0xf0f0_0000);
    function.set(0x24, 4);
    let (config, found) = single(function);
    let bars = found.bars(&config);
    assert_eq!(bars.get(0), Err(BarError::ReservedType));
    assert_eq!(bars.get(1), Err(BarError::ReservedType));
    assert_eq!(bars.get(2), Err(BarError::NotAligned));
    assert_eq!(bars.get(5), Err(BarError::NoUpperHalf));
}

/// While a BAR holds all ones the function must not decode.
#[test]
fn decoding_is_off_while_bars_are_sized() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.set(0x04, 7);
    function.set_memory_bar(0, 0xfebf_0000, 0x1000, false);
    function.set_memory_bar(2, 0x8_0000_0000, 0x4000, true);
    let (config, found) = single(function);
    found.bars(&config);
    let mut command = 7;
    for (_, offset, value) in config.writes() {
        match offset {
            4 => command = value,
            _ => assert_eq!(command & 3, 0, "register {offset:#x} is written while the function decodes"),
        }
    }
    assert_eq!(command, 7, "and it is on again");
}

#[test]
fn a_bridge_has_two_bars() {
    let mut bridge = FakeFunction::bridge(1);
    bridge.set_memory_bar(0, 0xfebf_0000, 0x100, false);
    let (config, found) = single(bridge);
    assert_eq!(found.bars(&config).iter().count(), 1);
    assert!(config.writes().iter().all(|&(_, offset, _)| offset < 0x18), "the bus numbers are no BAR");
}

// Capabilities.

#[test]
fn capabilities_are_found_in_the_lists_order() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.push_capability(0x40, 0x11, &[]);
    function.push_capability(0x98, 0x09, &[0x10, 1, 2, 3, 4, 5]);
    let (config, found) = single(function);
    let list: Vec<_> = found.capabilities(&config).collect();
    assert_eq!(
        list.iter().map(|c| (c.id, c.offset)).collect::<Vec<_>>(),
        [(CapabilityId::VENDOR, 0x98), (CapabilityId(0x11), 0x40)]
    );
    assert_eq!(list[0].read32(&config, 4), Some(0x0504_0302));
    assert_eq!(list[0].read32(&config, 0x68), None, "beyond the end");
    assert_eq!(list[0].read32(&config, 2), None, "not aligned");
    assert_eq!(list[0].read32(&config, u16::MAX), None);
}

#[test]
fn a_function_without_the_bit_has_no_list() {
    let mut function = FakeFunction::endpoint(1, 1);
    function.push_capability(0x40, 9, &[]);
    function.set(0x04, 0);
    let (config, found) = single(function);
    assert_eq!(found.capabilities(&config).count(), 0);
}

#[test]
fn a_list_in_a_circle_or_into_the_header_ends() {
    let list = |links: &[(u16, u32)]| {
        let mut function = FakeFunction::endpoint(1, 1);
        function.push_capability(0x40, 9, &[]);
        for &(offset, next) in links {
            function.set(offset, 9 | next << 8);
        }
        let (config, found) = single(function);
        found.capabilities(&config).count()
    };
    assert_eq!(list(&[(0x40, 0x40)]), 1);
    assert_eq!(list(&[(0x40, 0x50), (0x50, 0x43)]), 2, "the low bits of a pointer do not count");
    assert_eq!(list(&[(0x40, 0x3c)]), 1);
    assert_eq!(list(&[(0x40, 0x04)]), 1);
    let all: Vec<_> = (0x10..0x40).map(|i| (4 * i, u32::from(4 * (i + 1)) & 0xff)).collect();
    assert_eq!(list(&all), 48, "as many as there can be");
}

proptest! {
    #[test]
    fn whatever_the_registers_hold(
        dwords in prop::collection::vec((0..64u16, any::<u32>(), any::<u32>()), 0..100),
        header in 0..4u32,
    ) {
        let mut function = FakeFunction::endpoint(0x1af4, 0x1041);
        for (register, value, writable) in dwords {
            function.set(4 * register, value);
            function.set_writable(4 * register, writable);
        }
        function.set(0x00, 0x1041_1af4);
        function.set(0x04, function.get(0x04) | 1 << 20);
        function.set(0x0c, function.get(0x0c) & !0x00ff_0000 | header << 16);
        let (config, found) = single(function.clone());
        for (_, bar) in found.bars(&config).iter() {
            if let Bar::Memory { address, bytes, .. } = bar {
                prop_assert!(bytes.is_power_of_two() && address.is_multiple_of(bytes));
            }
        }
        prop_assert!(found.capabilities(&config).count() <= 48);
        prop_assert!(functions(&config, &RootBuses::default()).count() <= 1);
        RootBuses::scan(&config);
        for offset in (0x10..0x28).step_by(4) {
            prop_assert_eq!(config.function(found.address).unwrap().get(offset), function.get(offset));
        }
    }
}
