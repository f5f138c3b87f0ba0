//! Host bridges and their root buses, interrupt routing with several bridges, disabled link devices, and ISA interrupts.

use super::*;
use crate::tables::{Description, InterruptInput, SourceOverride, Tables};

/// Name (_HID, "PNP0A03").
const HOST_BRIDGE_ID: &[u8] = b"\x08_HID\x0dPNP0A03\0";
/// OperationRegion (REGS, PCI_Config, 0, 4) Field (REGS, ByteAcc) { BYTE, 8 }
const REGION: &[u8] = b"\x5b\x80REGS\x02\x00\x0a\x04\x5b\x81\x0bREGS\x01BYTE\x08";
/// Name (_ADR, 0).
const ADDRESS_0: &[u8] = b"\x08_ADR\x00";

/// A host bridge with these terms, and a function in slot 1 with a byte of its configuration space as the field BYTE.
fn bridge(name: &[u8], terms: &[u8]) -> Vec<u8> {
    let slot = device(b"SLOT", &[address(1, 0).as_slice(), REGION].concat());
    device(name, &[HOST_BRIDGE_ID, terms, &slot].concat())
}

/// A method without arguments.
fn method_named(name: &[u8], body: &[u8]) -> Vec<u8> {
    package(&[METHOD_OP], &[name, &[0], body].concat())
}

/// An object with this value: declared by Name, and as a method that returns it.
fn named(name: &[u8], value: u8) -> [Vec<u8>; 2] {
    let plain = [&[NAME_OP], name, &[BYTE_PREFIX, value]].concat();
    [plain, method_named(name, &[RETURN_OP, BYTE_PREFIX, value])]
}

fn bridges(block: &[u8]) -> Vec<(NamespacePath, u8)> {
    host_bridges(&mut load(block)).into_iter().map(|bridge| (bridge.path, bridge.bus)).collect()
}

#[test]
fn a_host_bridge_leads_to_the_root_bus_of_its_bbn_or_0() {
    let main = || (path("_SB.PCI0"), 0);
    for block in [PC, Q35, MICROVM_PCIE] {
        assert_eq!(bridges(block), [main()]);
    }
    assert_eq!(bridges(MICROVM), []);
    for block in [PC_PXB, Q35_PXB] {
        assert_eq!(bridges(block), [(path("_SB.PC40"), 0x40), main()]);
    }
    for (other, zero) in named(b"_BBN", 5).iter().zip(&named(b"_BBN", 0)) {
        let mut aml = Interpreter::new(FakeHandler::routed(), [PC.to_vec(), bridge(b"\\PC05", other)]);
        let buses: Vec<_> = host_bridges(&mut aml).into_iter().map(|bridge| bridge.bus).collect();
        assert_eq!(buses, [5, 0], "from both blocks");
        assert_eq!(bridges(&bridge(b"PCI0", zero)), [(path("PCI0"), 0)]);
    }
    let high = [&[NAME_OP], b"_BBN".as_slice(), &[WORD_PREFIX, 0x40, 1]].concat();
    assert_eq!(bridges(&bridge(b"PCI0", &high)), [(path("PCI0"), 0x40)], "the lowest 8 bits");
}

#[test]
fn absent_bridges_other_segments_and_unknown_buses_are_left_out() {
    let [absent, _] = named(b"_STA", 0);
    let broken = method_named(b"_BBN", &[&[RETURN_OP], b"NONE".as_slice()].concat());
    for terms in named(b"_SEG", 1).into_iter().chain([absent, broken]) {
        assert_eq!(bridges(&bridge(b"PCI0", &terms)), [], "{terms:x?}");
    }
    for zero in named(b"_SEG", 0) {
        assert_eq!(bridges(&bridge(b"PCI0", &zero)), [(path("PCI0"), 0)]);
    }
}

#[test]
fn a_search_of_the_bytes_tells_blocks_without_other_root_buses() {
    for (block, expected) in MACHINES.into_iter().zip([false, false, false, false, true, true]) {
        assert_eq!(may_have_other_root_buses(block), expected);
    }
    let [name, method] = named(b"_BBN", 0);
    assert!(!may_have_other_root_buses(&name) && !may_have_other_root_buses(b"\x08_BBN\x00"));
    assert!(may_have_other_root_buses(&method), "the result of a method is unknown");
    // Method (_BBN) { Return (1) }, whose PkgLength has the value of NameOp.
    assert!(may_have_other_root_buses(b"\x14\x08_BBN\x00\xa4\x01"));
    for terms in
        [b"\x08_BBN\x01".as_slice(), b"\x08_BBN\x0a\x40", b"\x08_BBN\x0b\x00\x01", b"_BBN\x00", b"_BBN"]
    {
        assert!(may_have_other_root_buses(terms), "{terms:x?}");
    }
}

#[test]
fn a_region_is_on_the_root_bus_of_its_host_bridge() {
    let byte = |terms: &[u8]| {
        let mut aml = load(&bridge(b"PCI0", terms));
        for (bus, value) in [(0, 0x10), (5, 0x15)] {
            aml.handler.write(RegionSpace::PciConfig { bus, device: 1, function: 0 }, 0, 1, value).unwrap();
        }
        aml.integer(&path("PCI0.SLOT.BYTE"))
    };
    assert_eq!(byte(&[]), Ok(0x10));
    for (other, zero) in named(b"_BBN", 5).iter().zip(&named(b"_BBN", 0)) {
        assert_eq!((byte(zero), byte(other)), (Ok(0x10), Ok(0x15)));
    }
    for (other, zero) in named(b"_SEG", 5).iter().zip(&named(b"_SEG", 0)) {
        assert_eq!((byte(zero), byte(other)), (Ok(0x10), Err(AmlError::AccessRefused)));
    }
    // The function of the bridge itself.
    let own = |terms: &[u8]| {
        let mut aml = load(&device(b"PCI0", &[terms, ADDRESS_0, REGION].concat()));
        aml.handler.write(RegionSpace::PciConfig { bus: 5, device: 0, function: 0 }, 0, 1, 0x15).unwrap();
        aml.integer(&path("PCI0.BYTE"))
    };
    for (other, zero) in named(b"_BBN", 5).iter().zip(&named(b"_BBN", 0)) {
        assert_eq!((own(zero), own(other)), (Ok(0), Ok(0x15)));
    }
}

#[test]
fn a_bbn_that_declares_a_region_on_its_own_bus_terminates() {
    // Method (_BBN) { OperationRegion (REGS, PCI_Config, 0, 4) Return (0) }
    let method = method_named(b"_BBN", b"\x5b\x80REGS\x02\x00\x0a\x04\xa4\x00");
    let terms = [ADDRESS_0, &method].concat();
    // The region is in the scope of the method, whose parent is the bridge.
    let inner = [&terms, HOST_BRIDGE_ID, &device(b"SLOT", &terms)].concat();
    let _ = host_bridges(&mut load(&device(b"PCI0", &inner)));
}

#[test]
fn each_root_bus_has_the_routing_of_its_own_host_bridge() {
    // q35: links A to D on the second root bus, inputs 20 to 23 on bus 0. pc: links A to D, except for slot 1 on bus 0.
    assert_eq!(numbers(Q35_PXB, 0, &[1, 2, 3, 4]), numbers(Q35, 0, &[1, 2, 3, 4]));
    assert_eq!(numbers(Q35_PXB, 0x40, &[0, 1, 2, 3]), [11, 10, 10, 11].map(Some));
    assert_eq!(numbers(PC_PXB, 0, &[1, 2]), numbers(PC, 0, &[1, 2]));
    assert_eq!(numbers(PC_PXB, 0x40, &[0, 1, 2, 3]), [11, 10, 10, 11].map(Some));
    assert_eq!(numbers(PC_PXB, 0x41, &[0, 1]), [None, None], "not a root bus");
}

/// `_PRT` with one entry: pin 0 of `device` is routed to `input`.
fn table(device: u8, input: u8) -> Vec<u8> {
    let entry = [4, DWORD_PREFIX, 0xff, 0xff, device, 0, ZERO_OP, ZERO_OP, BYTE_PREFIX, input];
    let list = package(&[PACKAGE_OP], &[&[1], package(&[PACKAGE_OP], &entry).as_slice()].concat());
    [&[NAME_OP], b"_PRT".as_slice(), &list].concat()
}

/// `_ADR` of a function.
fn address(device: u8, function: u8) -> Vec<u8> {
    [&[NAME_OP], b"_ADR".as_slice(), &[DWORD_PREFIX, function, 0, device, 0]].concat()
}

#[test]
fn the_prt_of_a_pci_to_pci_bridge_is_used_for_its_bus() {
    let nic = |device| pin(device, 0);
    let (below, above) = (InterruptPin { device: 2, function: 3, pin: 1 }, pin(7, 0));
    let nested = device(b"BRDG", &[address(2, 3), table(5, 50)].concat());
    // Name (_ADR, 0x0007FFFF): all functions of device 7.
    let upper = device(b"UPPR", &[b"\x08_ADR\x0c\xff\xff\x07\0".as_slice(), &nested].concat());
    let host = |number, input, terms: &[u8]| {
        let [number, _] = named(b"_BBN", number);
        let terms = [HOST_BRIDGE_ID, &number, &table(7, input), terms].concat();
        device(if input == 70 { b"PCI0" } else { b"PCI5" }, &terms)
    };
    let mut routes = routes(&[host(0, 70, &[]), host(5, 75, &upper)].concat());
    assert_eq!(number(&mut routes, 0, &[above]), Some(70));
    assert_eq!(number(&mut routes, 5, &[above]), Some(75));
    assert_eq!(number(&mut routes, 5, &[nic(5), below, above]), Some(50), "by the bridge above the NIC");
    assert_eq!(
        number(&mut routes, 5, &[nic(6), below, above]),
        Some(75),
        "that bridge has no entry for this device"
    );
    assert_eq!(
        number(&mut routes, 5, &[nic(5), InterruptPin { function: 2, ..below }, above]),
        Some(75),
        "a function that is not that bridge"
    );
    assert_eq!(number(&mut routes, 0, &[nic(5), below, above]), Some(70), "on another root bus");
    assert_eq!(number(&mut routes, 5, &[nic(5), below, pin(8, 0)]), None);
    assert_eq!(number(&mut routes, 5, &[]), None);
}

#[test]
fn a_prt_that_cannot_be_evaluated_is_an_error_once() {
    let broken = method_named(b"_PRT", &[&[RETURN_OP], b"NONE".as_slice()].concat());
    let mut found = routes(&bridge(b"PCI0", &broken));
    assert_eq!(found.find(0, &[pin(1, 0)]), Err(AmlError::NotFound(*b"NONE")));
    assert_eq!(found.find(0, &[pin(1, 0)]), Ok(None));
    // If `_PIC` fails, no bus has routing.
    let [other, _] = named(b"_BBN", 5);
    let mode = package(&[METHOD_OP], &[b"_PIC\x01".as_slice(), &[RETURN_OP, UNKNOWN_OPCODE]].concat());
    let both = [bridge(b"PCI0", &table(1, 7)), bridge(b"PCI5", &[other, table(1, 8)].concat())].concat();
    let mut found = routes(&[mode, both].concat());
    for bus in [0, 5] {
        assert_eq!(found.find(bus, &[pin(1, 0)]), Err(AmlError::UnknownOpcode(UNKNOWN_OPCODE.into())));
    }
}

#[test]
fn a_disabled_link_device_has_no_interrupt() {
    // Bit 7 of a link's register disables it in QEMU's chip set; `_CRS` then returns interrupt 0.
    let mut routes = routes(PC);
    let space = RegionSpace::PciConfig { bus: 0, device: 1, function: 0 };
    routes.interpreter().handler.write(space, 0x60, 4, 0x8080_8080).unwrap();
    for device in 2..6 {
        assert_eq!(routes.find(0, &[pin(device, 0)]), Ok(None));
    }
}

#[test]
fn isa_interrupts_follow_source_overrides() {
    let mut acpi = Description::read(&Tables::default(), 0);
    let input = |gsi, polarity, trigger| InterruptInput { gsi, polarity, trigger };
    let moved = input(20, Polarity::Low, Trigger::Level);
    acpi.overrides.push(SourceOverride { irq: 9, input: moved });
    let inputs =
        |list: &[u8]| resources(list).iter().map(|found| found.interrupt_input(&acpi)).collect::<Vec<_>>();
    assert_eq!(inputs(&[0x22, 0x00, 0x02]), [Some(moved)], "IRQ 9");
    assert_eq!(inputs(&[0x22, 0x20, 0x00]), [Some(input(5, Polarity::High, Trigger::Edge))], "IRQ 5");
    let extended = [0x89, 6, 0, 0b0001, 1, 9, 0, 0, 0];
    assert_eq!(
        inputs(&extended),
        [Some(input(9, Polarity::High, Trigger::Level))],
        "a GSI, not an ISA interrupt"
    );
    assert_eq!(inputs(&[0x4b, 0x00, 0x03, 8]), [None], "ports are not an interrupt");
}
