//! BARs without an address get one: aligned, in a window, and beside everything else.

use millrace_drivers::pci::{Address, Assigned, Bar, Command, Function, Window, assign_memory};
use millrace_drivers::testing::{FakeFunction, FakePci};
use proptest::prelude::*;

const LOW: Window = Window { first: 0xc000_0000, bytes: 0x2000_0000 };
const HIGH: Window = Window { first: 0xc0_0000_0000, bytes: 0x40_0000_0000 };

fn at(bus: u8, device: u8) -> Address {
    Address::new(bus, device, 0).unwrap()
}

fn card(bars: &[(u8, u64, u64, bool)]) -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1041);
    for &(number, address, bytes, is_wide) in bars {
        function.set_memory_bar(number, address, bytes, is_wide);
    }
    function
}

/// Where the BARs of a function are: number, address, length.
fn bars(pci: &FakePci, place: Address) -> Vec<(u8, u64, u64)> {
    let bars = Function::read(pci, place).unwrap().bars(pci);
    let memory = bars.iter().filter_map(|(number, bar)| match bar {
        Bar::Memory { address, bytes, .. } => Some((number, address, bytes)),
        Bar::Io { .. } => None,
    });
    memory.collect()
}

#[test]
fn each_bar_lies_at_a_multiple_of_its_length_and_no_two_at_one_place() {
    let pci = FakePci::default();
    pci.insert(at(0, 1), card(&[(1, 0, 0x1000, false), (4, 0, 0x4000, true)]));
    pci.insert(at(0, 2), card(&[(0, 0, 0x2_0000, false), (2, 0xc000_2000, 0x1000, false)]));
    let assigned = assign_memory(&pci, &[LOW, HIGH], &[Window { first: 0xc000_4000, bytes: 1 }]);
    assert_eq!(assigned, Assigned { given: 3, left: 0 });
    assert_eq!(bars(&pci, at(0, 1)), [(1, 0xc000_0000, 0x1000), (4, 0xc000_8000, 0x4000)]);
    assert_eq!(bars(&pci, at(0, 2)), [(0, 0xc002_0000, 0x2_0000), (2, 0xc000_2000, 0x1000)]);
}

#[test]
fn only_a_bar_of_64_bits_lies_above_4_gib() {
    let pci = FakePci::default();
    pci.insert(at(0, 1), card(&[(0, 0, 0x1_0000_0000, true), (2, 0, 0x1000, false), (4, 0, 0x1000, true)]));
    let assigned = assign_memory(&pci, &[HIGH], &[]);
    assert_eq!(assigned, Assigned { given: 2, left: 1 });
    let expected = [(0, 0xc0_0000_0000, 0x1_0000_0000), (2, 0, 0x1000), (4, 0xc1_0000_0000, 0x1000)];
    assert_eq!(bars(&pci, at(0, 1)), expected);
}

#[test]
fn what_is_not_ours_to_place_stays_as_it_is() {
    let pci = FakePci::default();
    let mut ports = card(&[]);
    ports.set_port_bar(0, 0, 32);
    pci.insert(at(0, 1), ports);
    pci.insert(at(0, 3), FakeFunction::bridge(1));
    pci.insert(at(1, 0), card(&[(0, 0, 0x1000, false)]));
    assert_eq!(assign_memory(&pci, &[LOW], &[]), Assigned::default());
    assert_eq!(bars(&pci, at(1, 0)), [(0, 0, 0x1000)]);
}

#[test]
fn decoding_is_off_while_a_bar_moves_and_as_before_then() {
    for command in [Command::empty(), Command::MEMORY | Command::BUS_MASTER] {
        let pci = FakePci::default();
        let mut function = card(&[(0, 0, 0x1000, true)]);
        function.set(4, command.bits().into());
        pci.insert(at(0, 1), function);
        assign_memory(&pci, &[LOW], &[]);
        let mut decodes = !command.is_empty();
        for (_, offset, value) in pci.writes() {
            match offset {
                4 => decodes = value & u32::from(Command::MEMORY.bits()) != 0,
                _ => assert!(!decodes, "a write to {offset:#x}"),
            }
        }
        assert_eq!(pci.function(at(0, 1)).unwrap().get(4), u32::from(command.bits()));
    }
}

proptest! {
    /// Whatever windows, BARs and obstacles there are: an address that was given is in a window, aligned, and free.
    #[test]
    fn given_addresses_are_good_ones(
        sizes in prop::collection::vec((12u32..40, any::<bool>()), 1..12),
        windows in prop::collection::vec((any::<u64>(), 0u64..1 << 42), 0..4),
        taken in prop::collection::vec((any::<u64>(), 0u64..1 << 36), 0..6),
        near in any::<bool>(),
    ) {
        let narrow = |(first, bytes): (u64, u64)| Window { first: if near { first % (1 << 34) } else { first }, bytes };
        let windows: Vec<_> = windows.into_iter().map(narrow).collect();
        let taken: Vec<_> = taken.into_iter().map(narrow).collect();
        let pci = FakePci::default();
        for (device, (bits, is_wide)) in (0..).zip(&sizes) {
            pci.insert(at(0, device), card(&[(0, 0, 1 << bits.min(&if *is_wide { 39 } else { 31 }), *is_wide)]));
        }
        let assigned = assign_memory(&pci, &windows, &taken);
        let placed: Vec<_> =
            (0..sizes.len() as u8).flat_map(|device| bars(&pci, at(0, device))).filter(|bar| bar.1 != 0).collect();
        prop_assert_eq!((assigned.given, assigned.given + assigned.left), (placed.len(), sizes.len()));
        let overlap = |a: u64, n: u64, b: u64, m: u64| {
            m > 0 && u128::from(a) < u128::from(b) + u128::from(m) && u128::from(b) < u128::from(a) + u128::from(n)
        };
        for (number, &(_, first, bytes)) in placed.iter().enumerate() {
            prop_assert_eq!(first % bytes, 0);
            let end = u128::from(first) + u128::from(bytes);
            let holds = |window: &Window| window.first <= first && end <= u128::from(window.first) + u128::from(window.bytes);
            prop_assert!(windows.iter().any(holds));
            prop_assert!(!taken.iter().any(|other| overlap(first, bytes, other.first, other.bytes)));
            let others = placed.iter().enumerate().filter(|(other, _)| *other != number);
            for (_, &(_, other, length)) in others {
                prop_assert!(!overlap(first, bytes, other, length));
            }
        }
    }
}
