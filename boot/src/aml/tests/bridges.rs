//! Several host bridges, links that are switched off, and interrupts of the ISA bus.

use super::*;
use crate::acpi::{Description, IsaLine, Override, Tables};

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

#[test]
fn the_bridge_to_bus_0_is_the_one_that_says_so_or_nothing() {
    for block in [PC, Q35, MICROVM_PCIE] {
        assert_eq!(root_bridge(&mut load(block)), Some(path("_SB.PCI0")));
    }
    assert_eq!(root_bridge(&mut load(MICROVM)), None);
    for name in [b"_BBN", b"_SEG"] {
        for (other, zero) in says(name, 5).iter().zip(&says(name, 0)) {
            let others = bridge(b"\\PC05", other);
            let mut aml = Interpreter::new(FakeHost::routed(), [PC.to_vec(), others.clone()]);
            assert_eq!(host_bridges(&mut aml), [path("PC05"), path("_SB.PCI0")], "the other one is in front");
            assert_eq!(root_bridge(&mut aml), Some(path("_SB.PCI0")));
            assert_eq!(root_bridge(&mut load(&others)), None);
            assert_eq!(root_bridge(&mut load(&bridge(b"PCI0", zero))), Some(path("PCI0")));
        }
    }
    let [absent, _] = says(b"_STA", 0);
    assert_eq!(root_bridge(&mut load(&bridge(b"PCI0", &absent))), None, "it is not there");
    let broken = package(&[0x14], b"_BBN\x00\xa4NONE");
    assert_eq!(root_bridge(&mut load(&bridge(b"PCI0", &broken))), None, "nobody knows its bus");
}

#[test]
fn functions_on_another_root_bus_are_not_taken_for_those_on_bus_0() {
    let byte = |terms: &[u8]| load(&bridge(b"PCI0", terms)).integer(&path("PCI0.SLOT.BYTE"));
    assert_eq!(byte(&[]), Ok(0));
    for name in [b"_BBN", b"_SEG"] {
        for (other, zero) in says(name, 5).iter().zip(&says(name, 0)) {
            assert_eq!(byte(zero), Ok(0));
            assert_eq!(byte(other), Err(AmlError::Refused));
        }
    }
    // The function of the bridge itself.
    let region = b"\x08_ADR\x00\x5b\x80REGS\x02\x00\x0a\x04\x5b\x81\x0bREGS\x01BYTE\x08";
    let own = |terms: &[u8]| load(&device(b"PCI0", &[terms, region].concat())).integer(&path("PCI0.BYTE"));
    assert_eq!(own(&says(b"_BBN", 0).concat()), Ok(0));
    assert_eq!(own(&says(b"_BBN", 5).concat()), Err(AmlError::Refused));
}

#[test]
fn a_method_that_needs_itself_for_a_bus_number_ends() {
    let region = b"_BBN\x00\x5b\x80REGS\x02\x00\x0a\x04\xa4\x00";
    let terms = [b"\x08_ADR\x00".as_slice(), &package(&[0x14], region)].concat();
    // The region that the method declares is in the scope of the method, whose parent is the bridge.
    let inner = [&terms, b"\x08_HID\x0dPNP0A03\0".as_slice(), &device(b"SLOT", &terms)].concat();
    let _ = root_bridge(&mut load(&device(b"PCI0", &inner)));
}

#[test]
fn a_link_that_is_switched_off_has_no_input() {
    // Bit 7 of a link's register switches it off in QEMU's chip set; `_CRS` then says input 0.
    let (mut aml, routes) = routes(PC);
    aml.host.write(Space::PciConfig { device: 1, function: 0 }, 0x60, 4, 0x8080_8080).unwrap();
    for device in 2..6 {
        assert_eq!(routes.find(&mut aml, Pin { device, pin: 0 }), Ok(None));
    }
}

#[test]
fn interrupts_of_the_isa_bus_lead_where_the_overrides_say() {
    let mut acpi = Description::read(&Tables::default(), 0);
    let line = |gsi, polarity, trigger| IsaLine { gsi, polarity, trigger };
    let moved = line(20, Polarity::Low, Trigger::Level);
    acpi.overrides.push(Override { irq: 9, line: moved });
    let lines = |list: &[u8]| resources(list).iter().map(|found| found.line(&acpi)).collect::<Vec<_>>();
    assert_eq!(lines(&[0x22, 0x00, 0x02]), [Some(moved)], "IRQ 9");
    assert_eq!(lines(&[0x22, 0x20, 0x00]), [Some(line(5, Polarity::High, Trigger::Edge))], "IRQ 5");
    let extended = [0x89, 6, 0, 0b0001, 1, 9, 0, 0, 0];
    assert_eq!(lines(&extended), [Some(line(9, Polarity::High, Trigger::Level))], "an input, not an IRQ");
    assert_eq!(lines(&[0x4b, 0x00, 0x03, 8]), [None], "ports are no interrupt");
}
