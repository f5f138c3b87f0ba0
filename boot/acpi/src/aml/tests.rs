//! The fixtures are the DSDTs of QEMU 7.2's machines without their headers: `pc`, `q35`, `microvm` with two virtio-mmio cards,
//! and `microvm,pcie=on`, as the guest finds them in memory; and `pc` with `pxb`, `q35` with `pxb-pcie` and two root ports on
//! it, each with `bus_nr=64` and two cards behind that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::tables::{Polarity, Trigger};

mod bridges;
mod limits;

const PC: &[u8] = include_bytes!("fixtures/pc.aml");
const Q35: &[u8] = include_bytes!("fixtures/q35.aml");
const MICROVM: &[u8] = include_bytes!("fixtures/microvm.aml");
const MICROVM_PCIE: &[u8] = include_bytes!("fixtures/microvm-pcie.aml");
const PC_PXB: &[u8] = include_bytes!("fixtures/pc-pxb.aml");
const Q35_PXB: &[u8] = include_bytes!("fixtures/q35-pxb.aml");
const MACHINES: [&[u8]; 6] = [PC, Q35, MICROVM, MICROVM_PCIE, PC_PXB, Q35_PXB];

/// Bytes that keep what is written to them. Io ports are refused.
#[derive(Default)]
struct FakeHost(RefCell<BTreeMap<(bool, u64), u8>>);

impl FakeHost {
    /// The registers that say which interrupts the links of QEMU's chip sets lead to, as its firmware leaves them.
    fn routed() -> Self {
        let host = Self::default();
        for device in [1, 0x1f] {
            let space = Space::PciConfig { bus: 0, device, function: 0 };
            for (offset, value) in [(0x60, 0x0b0b_0a0a), (0x68, 0x0b0b_0a0a)] {
                host.write(space, offset, 4, value).unwrap();
            }
        }
        host
    }

    fn place(space: Space, address: u64) -> Option<(bool, u64)> {
        match space {
            Space::Memory => Some((false, address)),
            Space::Ports => None,
            Space::PciConfig { bus, device, function } => {
                let number = u64::from(bus) << 8 | u64::from(device) << 3 | u64::from(function);
                Some((true, number << 12 | address))
            }
        }
    }
}

impl Host for FakeHost {
    fn read(&self, space: Space, address: u64, bytes: u8) -> Option<u64> {
        let (is_pci, first) = Self::place(space, address)?;
        let held = self.0.borrow();
        let byte = |at| u64::from(held.get(&(is_pci, first.wrapping_add(at))).copied().unwrap_or(0));
        Some((0..u64::from(bytes)).map(|at| byte(at) << (8 * at)).sum())
    }

    fn write(&self, space: Space, address: u64, bytes: u8, value: u64) -> Option<()> {
        let (is_pci, first) = Self::place(space, address)?;
        for (at, byte) in (0..u64::from(bytes)).zip(value.to_le_bytes()) {
            self.0.borrow_mut().insert((is_pci, first.wrapping_add(at)), byte);
        }
        Some(())
    }
}

fn load(block: &[u8]) -> Interpreter<FakeHost> {
    Interpreter::new(FakeHost::routed(), [block.to_vec()])
}

fn path(text: &str) -> Path {
    let part = |part: &str| *std::format!("{part:_<4}").as_bytes().first_chunk().unwrap();
    text.split('.').fold(Path::root(), |path, name| path.join(part(name)))
}

/// The pin `pin` of a device's function 0.
fn pin(device: u8, pin: u8) -> Pin {
    Pin { device, function: 0, pin }
}

fn routes(block: &[u8]) -> PciRoutes<FakeHost> {
    PciRoutes::new(load(block))
}

/// The number of the input that this way leads to.
fn number(routes: &mut PciRoutes<FakeHost>, bus: u8, way: &[Pin]) -> Option<u32> {
    match routes.find(bus, way).unwrap() {
        Some(Resource::Interrupt { number, .. }) => Some(number),
        _ => None,
    }
}

/// Where pin 0 of these slots on a root bus leads.
fn numbers(block: &[u8], bus: u8, devices: &[u8]) -> Vec<Option<u32>> {
    let mut routes = routes(block);
    devices.iter().map(|device| number(&mut routes, bus, &[pin(*device, 0)])).collect()
}

#[test]
fn pins_lead_where_qemus_machines_say() {
    // Its links are A to D in turns, from D on: interrupts 10 and 11, two links each.
    assert_eq!(
        numbers(PC, 0, &[2, 3, 4, 5, 6, 32]),
        [Some(10), Some(11), Some(11), Some(10), Some(10), None]
    );
    // Links E to H, which lead to inputs 20 to 23.
    assert_eq!(numbers(Q35, 0, &[1, 2, 3, 4]), [Some(21), Some(22), Some(23), Some(20)]);
    assert_eq!(numbers(MICROVM_PCIE, 0, &[0, 1, 2, 3]), [16, 17, 18, 19].map(Some));
    let found = routes(PC).find(0, &[pin(2, 3)]).unwrap();
    let (polarity, trigger) = (Polarity::High, Trigger::Level);
    assert_eq!(found, Some(Resource::Interrupt { number: 10, polarity, trigger, is_isa: false }));
}

#[test]
fn power_off_has_its_value_on_every_machine() {
    for (block, value) in MACHINES.into_iter().zip([0, 0, 5, 5, 0, 0]) {
        let elements = load(block).elements(&path("_S5")).unwrap();
        assert_eq!(elements.first(), Some(&Value::Integer(value)));
    }
}

#[test]
fn devices_without_a_bus_are_found_with_what_they_have() {
    let mut aml = load(MICROVM);
    let mut found = Vec::new();
    for device in aml.devices() {
        if aml.is_one_of(&device, &["LNRO0005"]) && aml.is_present(&device) {
            found.push(resources(&aml.bytes(&device.join(*b"_CRS")).unwrap()));
        }
    }
    let (polarity, trigger) = (Polarity::High, Trigger::Level);
    let card = |first, number| {
        [
            Resource::Range { kind: ResourceKind::Memory, first, count: 512 },
            Resource::Interrupt { number, polarity, trigger, is_isa: false },
        ]
    };
    assert_eq!(found, [card(0xfeb0_2c00, 46), card(0xfeb0_2e00, 47)]);
}

#[test]
fn a_host_bridge_says_what_it_passes_on() {
    let mut aml = load(MICROVM_PCIE);
    let listed = resources(&aml.bytes(&path("_SB.PCI0._CRS")).unwrap());
    let memory = |first, count| Resource::Range { kind: ResourceKind::Memory, first, count };
    assert!(listed.contains(&memory(0xc000_0000, 0x2000_0000)), "{listed:x?}");
}

/// A term that says its own length, of 4 KiB at most.
fn package(operation: &[u8], inside: &[u8]) -> Vec<u8> {
    let length = inside.len() + 2;
    [operation, &[0x40 | (length & 0xf) as u8, (length >> 4) as u8], inside].concat()
}

/// A device with these terms in it.
fn device(name: &[u8], inside: &[u8]) -> Vec<u8> {
    package(&[0x5b, 0x82], &[name, inside].concat())
}

/// A method MAIN of this code, with two arguments.
fn method(body: &[u8]) -> Vec<u8> {
    let length = body.len() + 7;
    let head = [0x14, 0x40 | (length & 0xf) as u8, (length >> 4) as u8];
    [&head, b"MAIN\x02".as_slice(), body].concat()
}

fn main_of(block: &[u8], arguments: &[u64]) -> Result<Value, AmlError> {
    load(block).evaluate(&path("MAIN"), arguments)
}

#[test]
fn operations_give_what_the_specification_says() {
    for (code, expected) in [
        (&[0x72, 0x68, 0x69, 0x00][..], 29),
        (&[0x74, 0x68, 0x69, 0x00], 15),
        (&[0x77, 0x68, 0x69, 0x00], 154),
        (&[0x78, 0x68, 0x69, 0x00, 0x00], 3),
        (&[0x85, 0x68, 0x69, 0x00], 1),
        (&[0x79, 0x68, 0x69, 0x00], 22 << 7),
        (&[0x7a, 0x68, 0x0a, 70, 0x00], 0),
        (&[0x7b, 0x68, 0x69, 0x00], 22 & 7),
        (&[0x7c, 0x68, 0x69, 0x00], !(22 & 7)),
        (&[0x7d, 0x68, 0x69, 0x00], 22 | 7),
        (&[0x7e, 0x68, 0x69, 0x00], !(22 | 7)),
        (&[0x7f, 0x68, 0x69, 0x00], 22 ^ 7),
        (&[0x80, 0x68, 0x00], !22),
        (&[0x81, 0x68, 0x00], 5),
        (&[0x82, 0x68, 0x00], 2),
        (&[0x93, 0x68, 0x68], u64::MAX),
        (&[0x94, 0x68, 0x69], u64::MAX),
        (&[0x95, 0x68, 0x69], 0),
        (&[0x92, 0x93, 0x68, 0x69], u64::MAX),
        (&[0x90, 0x68, 0x00], 0),
        (&[0x91, 0x68, 0x00], u64::MAX),
        (&[0x75, 0x68], 23),
        (&[0x76, 0x68], 21),
        (&[0x70, 0x68, 0x60], 22),
        (&[0x87, 0x69], 0),
        (&[0x72, 0x0d, b'1', b'f', 0, 0x00, 0x00], 0x1f),
        (&[0x99, 0x0d, b'0', b'x', b'1', b'f', 0, 0x00], 0x1f),
        (&[0x99, 0x0d, b'1', b'2', 0, 0x00], 12),
        (&[0x83, 0x88, 0x11, 5, 0x0a, 2, 4, 9, 0x01, 0x00], 9),
        (&[0x83, 0x88, 0x12, 4, 2, 0x68, 0x69, 0x01, 0x00], 7),
        (&[0x5b, 0x12, b'N', b'O', b'N', b'E', 0x00], 0),
        (&[0x5b, 0x12, b'M', b'A', b'I', b'N', 0x60], u64::MAX),
        (&[0x8e, b'M', b'A', b'I', b'N'], 8),
    ] {
        let found = main_of(&method(&[&[0xa4], code].concat()), &[22, 7]);
        if code == [0x87, 0x69] {
            assert_eq!(found, Err(AmlError::WrongKind), "an integer has no size");
        } else {
            assert_eq!(found, Ok(Value::Integer(expected)), "{code:x?}");
        }
    }
    for code in [&[0x78, 0x68, 0x00, 0x00, 0x00][..], &[0x85, 0x68, 0x00, 0x00]] {
        assert_eq!(main_of(&method(code), &[1, 2]), Err(AmlError::OutOfRange), "a division by nothing");
    }
}

#[test]
fn values_that_cannot_be_put_together_or_read_as_a_number_are_errors() {
    let text_of = |code: &[u8]| {
        let mut aml = load(&method(&[&[0xa4, 0x73], code, &[0x00]].concat()));
        let value = aml.evaluate(&path("MAIN"), &[])?;
        Ok((matches!(value, Value::Text(_)), aml.arena.bytes(value)?.to_vec()))
    };
    assert_eq!(text_of(b"\x0dab\0\x0dcd\0"), Ok((true, b"abcd".to_vec())));
    assert_eq!(text_of(b"\x11\x04\x0a\x01a\x11\x04\x0a\x01b"), Ok((false, b"ab".to_vec())));
    assert_eq!(text_of(&[0x01, 0x00]), Ok((false, [[1, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat())));
    assert_eq!(text_of(b"\x0dab\0\x0a\x05"), Err(AmlError::WrongKind), "text and integer");
    assert_eq!(text_of(b"\x0dab\0\x11\x04\x0a\x01b"), Err(AmlError::WrongKind), "text and buffer");
    let number_of = |text: &str| main_of(&method(&[b"\xa4\x99\x0d", text.as_bytes(), &[0, 0]].concat()), &[]);
    assert_eq!(number_of("18446744073709551615"), Ok(Value::Integer(u64::MAX)));
    assert_eq!(number_of("18446744073709551616"), Err(AmlError::OutOfRange));
    for text in ["", "0x", "1f", "-1", "0xg"] {
        assert_eq!(number_of(text), Err(AmlError::WrongKind), "{text:?}");
    }
}

#[test]
fn fields_of_a_region_leave_the_bits_around_them_alone() {
    // OperationRegion (REGS, SystemMemory, 0x1000, 4) Field (REGS, ByteAcc) { , 4, ABCD, 12 }
    let region = b"\x5b\x80REGS\x00\x0b\x00\x10\x0a\x04\x5b\x81\x0dREGS\x01\x00\x04ABCD\x0c";
    let write = method(b"\x70\x0b\xbc\x0aABCD\xa4ABCD");
    let mut aml = Interpreter::new(FakeHost::default(), [[region.as_slice(), &write].concat()]);
    aml.host.write(Space::Memory, 0x1000, 4, 0xffff_5555).unwrap();
    assert_eq!(aml.evaluate(&path("MAIN"), &[]), Ok(Value::Integer(0xabc)));
    assert_eq!(aml.host.read(Space::Memory, 0x1000, 4), Some(0xffff_abc5));
    // The same in io ports, which are refused.
    let mut ports = [region.as_slice(), &write].concat();
    ports[6] = 1;
    assert_eq!(main_of(&ports, &[]), Err(AmlError::Refused));
}

#[test]
fn usual_blocks_take_a_small_part_of_the_steps_that_there_are() {
    for block in MACHINES {
        let loaded = MAX_STEPS - load(block).steps;
        let mut routes = routes(block);
        for bus in routes.bridges().iter().map(|bridge| bridge.bus).collect::<Vec<_>>() {
            let _ = routes.find(bus, &[pin(1, 0)]);
        }
        let routed = MAX_STEPS - routes.interpreter().steps - loaded;
        std::println!("{loaded} steps to load, {routed} for the routes");
        assert!(loaded < MAX_STEPS / 100 && routed < MAX_STEPS / 100);
    }
}

#[test]
fn what_has_no_end_ends() {
    assert_eq!(main_of(&method(&[0xa2, 2, 0x01]), &[]), Err(AmlError::TooLong), "a loop");
    assert_eq!(main_of(&method(b"MAIN\x00\x00"), &[]), Err(AmlError::TooDeep), "a method that calls itself");
    assert_eq!(main_of(&method(&[0x80; 200]), &[]), Err(AmlError::TooDeep), "terms in terms");
    let grow = [0xa2, 11, 0x01, 0x70, 0x11, 6, 0x0c, 0, 0, 1, 0, 0x60];
    assert_eq!(main_of(&method(&grow), &[]), Err(AmlError::TooLarge), "buffers that nobody needs");
    let huge = [0x11, 6, 0x0c, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(main_of(&method(&huge), &[]), Err(AmlError::TooLarge), "and one that nobody has");
}

#[test]
fn one_device_that_makes_no_sense_takes_no_other_with_it() {
    let good = b"\x08_HID\x0dLNRO0005\0";
    let block = [device(b"BAD_", &[0xfe, 1, 2]), device(b"GOOD", good)].concat();
    let mut aml = load(&block);
    assert_eq!(aml.devices(), [path("BAD"), path("GOOD")]);
    assert!(aml.is_one_of(&path("GOOD"), &["LNRO0005"]) && !aml.is_one_of(&path("BAD"), &["LNRO0005"]));
    let missing = aml.evaluate(&path("BAD.NONE"), &[]).unwrap_err();
    assert_eq!(missing.to_string(), "there is no object NONE");
}

/// Everything that the kernel asks of an interpreter.
fn ask_all(aml: Interpreter<FakeHost>) {
    let mut routes = PciRoutes::new(aml);
    for bridge in routes.bridges().to_vec() {
        for device in 0..32 {
            let _ = routes.find(bridge.bus, &[pin(device, device & 3)]);
            let _ = routes.find(bridge.bus, &[pin(1, 0), pin(2, 1), pin(device, device & 3)]);
        }
        let _ = routes.interpreter().bytes(&bridge.path.join(*b"_CRS")).map(|bytes| resources(&bytes));
    }
    let aml = routes.interpreter();
    for device in aml.devices() {
        aml.is_present(&device);
        let _ = aml.bytes(&device.join(*b"_CRS")).map(|bytes| resources(&bytes));
    }
    let _ = aml.elements(&path("_S5"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_ends_in_an_answer_or_an_error(
        machine in 0..MACHINES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut block = MACHINES[machine].to_vec();
        for (at, byte) in damage {
            let at = at.index(block.len());
            block[at] = byte;
        }
        ask_all(load(&block));
    }

    #[test]
    fn any_bytes_end_in_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        ask_all(load(&method(&bytes)));
        let _ = main_of(&method(&bytes), &[1, 2]);
        resources(&bytes);
    }
}
