//! Several host bridges and what each says of its bus, links that are switched off, and interrupts of the ISA bus.

use super::*;
use crate::tables::{Description, InterruptInput, SourceOverride, Tables};

/// Terms of a host bridge, and a function in slot 1 with a byte of its configuration space under the name BYTE.
fn bridge(name: &[u8], terms: &[u8]) -> Vec<u8> {
    let region = b"\x08_ADR\x0c\0\0\x01\0\x5b\x80REGS\x02\x00\x0a\x04\x5b\x81\x0bREGS\x01BYTE\x08";
    device(name, &[b"\x08_HID\x0dPNP0A03\0".as_slice(), terms, &device(b"SLOT", region)].concat())
}

/// A name with this value, or a method that returns it.
fn says(name: &[u8], value: u8) -> [Vec<u8>; 2] {
    let plain = [b"\x08".as_slice(), name, &[0x0a, value]].concat();
    [plain, package(&[0x14], &[name, &[0x00, 0xa4, 0x0a, value]].concat())]
}

fn bridges(block: &[u8]) -> Vec<(Path, u8)> {
    host_bridges(&mut load(block)).into_iter().map(|bridge| (bridge.path, bridge.bus)).collect()
}

#[test]
fn each_host_bridge_has_the_root_bus_that_it_says_or_0() {
    let main = || (path("_SB.PCI0"), 0);
    for block in [PC, Q35, MICROVM_PCIE] {
        assert_eq!(bridges(block), [main()]);
    }
    assert_eq!(bridges(MICROVM), []);
    for block in [PC_PXB, Q35_PXB] {
        assert_eq!(bridges(block), [(path("_SB.PC40"), 0x40), main()]);
    }
    for (other, zero) in says(b"_BBN", 5).iter().zip(&says(b"_BBN", 0)) {
        let mut aml = Interpreter::new(FakeHost::routed(), [PC.to_vec(), bridge(b"\\PC05", other)]);
        let buses: Vec<_> = host_bridges(&mut aml).into_iter().map(|bridge| bridge.bus).collect();
        assert_eq!(buses, [5, 0], "from both blocks");
        assert_eq!(bridges(&bridge(b"PCI0", zero)), [(path("PCI0"), 0)]);
    }
    let high = b"\x08_BBN\x0b\x40\x01";
    assert_eq!(bridges(&bridge(b"PCI0", high)), [(path("PCI0"), 0x40)], "the lowest 8 bits");
}

#[test]
fn bridges_that_are_absent_elsewhere_or_of_no_known_bus_are_left_out() {
    let [absent, _] = says(b"_STA", 0);
    let broken = package(&[0x14], b"_BBN\x00\xa4NONE");
    for terms in says(b"_SEG", 1).into_iter().chain([absent, broken]) {
        assert_eq!(bridges(&bridge(b"PCI0", &terms)), [], "{terms:x?}");
    }
    for zero in says(b"_SEG", 0) {
        assert_eq!(bridges(&bridge(b"PCI0", &zero)), [(path("PCI0"), 0)]);
    }
}

#[test]
fn a_block_without_other_root_buses_is_known_by_its_text() {
    for (block, expected) in MACHINES.into_iter().zip([false, false, false, false, true, true]) {
        assert_eq!(may_have_other_root_buses(block), expected);
    }
    let [name, method] = says(b"_BBN", 0);
    assert!(!may_have_other_root_buses(&name) && !may_have_other_root_buses(b"\x08_BBN\x00"));
    assert!(may_have_other_root_buses(&method), "what a method returns is not known");
    // Method (_BBN) { Return (1) }, whose length is the number of the operation that declares a name.
    assert!(may_have_other_root_buses(b"\x14\x08_BBN\x00\xa4\x01"));
    for terms in
        [b"\x08_BBN\x01".as_slice(), b"\x08_BBN\x0a\x40", b"\x08_BBN\x0b\x00\x01", b"_BBN\x00", b"_BBN"]
    {
        assert!(may_have_other_root_buses(terms), "{terms:x?}");
    }
}

#[test]
fn functions_are_on_the_root_bus_of_their_host_bridge() {
    let byte = |terms: &[u8]| {
        let mut aml = load(&bridge(b"PCI0", terms));
        for (bus, value) in [(0, 0x10), (5, 0x15)] {
            aml.host.write(Space::PciConfig { bus, device: 1, function: 0 }, 0, 1, value).unwrap();
        }
        aml.integer(&path("PCI0.SLOT.BYTE"))
    };
    assert_eq!(byte(&[]), Ok(0x10));
    for (other, zero) in says(b"_BBN", 5).iter().zip(&says(b"_BBN", 0)) {
        assert_eq!((byte(zero), byte(other)), (Ok(0x10), Ok(0x15)));
    }
    for (other, zero) in says(b"_SEG", 5).iter().zip(&says(b"_SEG", 0)) {
        assert_eq!((byte(zero), byte(other)), (Ok(0x10), Err(AmlError::Refused)));
    }
    // The function of the bridge itself.
    let region = b"\x08_ADR\x00\x5b\x80REGS\x02\x00\x0a\x04\x5b\x81\x0bREGS\x01BYTE\x08";
    let own = |terms: &[u8]| {
        let mut aml = load(&device(b"PCI0", &[terms, region].concat()));
        aml.host.write(Space::PciConfig { bus: 5, device: 0, function: 0 }, 0, 1, 0x15).unwrap();
        aml.integer(&path("PCI0.BYTE"))
    };
    for (other, zero) in says(b"_BBN", 5).iter().zip(&says(b"_BBN", 0)) {
        assert_eq!((own(zero), own(other)), (Ok(0), Ok(0x15)));
    }
}

#[test]
fn a_method_that_needs_itself_for_a_bus_number_ends() {
    let region = b"_BBN\x00\x5b\x80REGS\x02\x00\x0a\x04\xa4\x00";
    let terms = [b"\x08_ADR\x00".as_slice(), &package(&[0x14], region)].concat();
    // The region that the method declares is in the scope of the method, whose parent is the bridge.
    let inner = [&terms, b"\x08_HID\x0dPNP0A03\0".as_slice(), &device(b"SLOT", &terms)].concat();
    let _ = host_bridges(&mut load(&device(b"PCI0", &inner)));
}

#[test]
fn each_root_bus_has_the_routes_of_its_own_host_bridge() {
    // Links A to D on the other root of q35, inputs 20 to 23 on bus 0; on pc the same links, but for slot 1 on bus 0.
    assert_eq!(numbers(Q35_PXB, 0, &[1, 2, 3, 4]), numbers(Q35, 0, &[1, 2, 3, 4]));
    assert_eq!(numbers(Q35_PXB, 0x40, &[0, 1, 2, 3]), [11, 10, 10, 11].map(Some));
    assert_eq!(numbers(PC_PXB, 0, &[1, 2]), numbers(PC, 0, &[1, 2]));
    assert_eq!(numbers(PC_PXB, 0x40, &[0, 1, 2, 3]), [11, 10, 10, 11].map(Some));
    assert_eq!(numbers(PC_PXB, 0x41, &[0, 1]), [None, None], "no host bridge leads there");
}

/// `_PRT` with one route: pin 0 of `device` leads to `input`.
fn table(device: u8, input: u8) -> Vec<u8> {
    let route = [&[4, 0x0c, 0xff, 0xff, device, 0, 0x00, 0x00, 0x0a], [input].as_slice()].concat();
    [b"\x08_PRT".as_slice(), &package(&[0x12], &[&[1], package(&[0x12], &route).as_slice()].concat())]
        .concat()
}

/// `_ADR` of a function.
fn address(device: u8, function: u8) -> Vec<u8> {
    [b"\x08_ADR\x0c".as_slice(), &[function, 0, device, 0]].concat()
}

#[test]
fn a_pci_to_pci_bridge_with_a_table_of_its_own_answers_for_its_bus() {
    let card = |device| pin(device, 0);
    let (below, above) = (Pin { device: 2, function: 3, pin: 1 }, pin(7, 0));
    let nested = device(b"BRDG", &[address(2, 3), table(5, 50)].concat());
    // All functions of device 7.
    let upper = device(b"UPPR", &[b"\x08_ADR\x0c\xff\xff\x07\0".as_slice(), &nested].concat());
    let host = |number, input, terms: &[u8]| {
        let [number, _] = says(b"_BBN", number);
        let terms = [b"\x08_HID\x0dPNP0A03\0".as_slice(), &number, &table(7, input), terms].concat();
        device(if input == 70 { b"PCI0" } else { b"PCI5" }, &terms)
    };
    let mut routes = routes(&[host(0, 70, &[]), host(5, 75, &upper)].concat());
    assert_eq!(number(&mut routes, 0, &[above]), Some(70));
    assert_eq!(number(&mut routes, 5, &[above]), Some(75));
    assert_eq!(
        number(&mut routes, 5, &[card(5), below, above]),
        Some(50),
        "the table of the bridge above the card"
    );
    assert_eq!(number(&mut routes, 5, &[card(6), below, above]), Some(75), "which has no route for this one");
    assert_eq!(
        number(&mut routes, 5, &[card(5), Pin { function: 2, ..below }, above]),
        Some(75),
        "another bridge"
    );
    assert_eq!(number(&mut routes, 0, &[card(5), below, above]), Some(70), "on another root bus");
    assert_eq!(number(&mut routes, 5, &[card(5), below, pin(8, 0)]), None);
    assert_eq!(number(&mut routes, 5, &[]), None);
}

#[test]
fn a_table_that_cannot_be_read_is_an_error_once() {
    let broken = package(&[0x14], b"_PRT\x00\xa4NONE");
    let mut found = routes(&bridge(b"PCI0", &broken));
    assert_eq!(found.find(0, &[pin(1, 0)]), Err(AmlError::NoSuchName(*b"NONE")));
    assert_eq!(found.find(0, &[pin(1, 0)]), Ok(None));
    // Firmware that does not accept I/O APICs has no routes to them, on whichever bus.
    let [other, _] = says(b"_BBN", 5);
    let mode = package(&[0x14], b"_PIC\x01\xa4\xfe");
    let both = [bridge(b"PCI0", &table(1, 7)), bridge(b"PCI5", &[other, table(1, 8)].concat())].concat();
    let mut found = routes(&[mode, both].concat());
    for bus in [0, 5] {
        assert_eq!(found.find(bus, &[pin(1, 0)]), Err(AmlError::UnknownOperation(0xfe)));
    }
}

#[test]
fn a_link_that_is_switched_off_has_no_input() {
    // Bit 7 of a link's register switches it off in QEMU's chip set; `_CRS` then says input 0.
    let mut routes = routes(PC);
    let space = Space::PciConfig { bus: 0, device: 1, function: 0 };
    routes.interpreter().host.write(space, 0x60, 4, 0x8080_8080).unwrap();
    for device in 2..6 {
        assert_eq!(routes.find(0, &[pin(device, 0)]), Ok(None));
    }
}

#[test]
fn interrupts_of_the_isa_bus_lead_where_the_overrides_say() {
    let mut acpi = Description::read(&Tables::default(), 0);
    let line = |gsi, polarity, trigger| InterruptInput { gsi, polarity, trigger };
    let moved = line(20, Polarity::Low, Trigger::Level);
    acpi.overrides.push(SourceOverride { irq: 9, input: moved });
    let lines = |list: &[u8]| resources(list).iter().map(|found| found.line(&acpi)).collect::<Vec<_>>();
    assert_eq!(lines(&[0x22, 0x00, 0x02]), [Some(moved)], "IRQ 9");
    assert_eq!(lines(&[0x22, 0x20, 0x00]), [Some(line(5, Polarity::High, Trigger::Edge))], "IRQ 5");
    let extended = [0x89, 6, 0, 0b0001, 1, 9, 0, 0, 0];
    assert_eq!(lines(&extended), [Some(line(9, Polarity::High, Trigger::Level))], "an input, not an IRQ");
    assert_eq!(lines(&[0x4b, 0x00, 0x03, 8]), [None], "ports are no interrupt");
}
