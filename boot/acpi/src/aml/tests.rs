//! The interpreter on definition blocks of QEMU, on code written by hand, and on damaged and arbitrary bytes.
//!
//! The fixtures are the DSDTs of QEMU 7.2's machines without their headers, as the guest finds them in memory: `pc`, `q35`,
//! `microvm` with two virtio-mmio NICs, and `microvm,pcie=on`; and `pc` with `pxb`, `q35` with `pxb-pcie` and two root ports on
//! it, each with `bus_nr=64` and two NICs behind that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::opcode::*;
use super::*;
use crate::address_space::SYSTEM_IO;
use crate::tables::{Polarity, Trigger};

mod bridges;
mod limits;

const PC: &[u8] = include_bytes!("fixtures/pc.aml");
const Q35: &[u8] = include_bytes!("fixtures/q35.aml");
const MICROVM: &[u8] = include_bytes!("fixtures/microvm.aml");
const MICROVM_PCIE: &[u8] = include_bytes!("fixtures/microvm-pcie.aml");
const PC_PXB: &[u8] = include_bytes!("fixtures/pc-pxb.aml");
const Q35_PXB: &[u8] = include_bytes!("fixtures/q35-pxb.aml");
/// The opcode of the second argument; code has only a range of opcodes for arguments.
const ARG1_OP: u8 = ARG0_OP + 1;
/// A byte that is no opcode.
const UNKNOWN_OPCODE: u8 = 0xfe;
const MACHINES: [&[u8]; 6] = [PC, Q35, MICROVM, MICROVM_PCIE, PC_PXB, Q35_PXB];

/// Registers that keep what is written to them; those at I/O ports refuse access. Keyed by whether they are in PCI
/// configuration space, and address.
#[derive(Default)]
struct FakeHandler(RefCell<BTreeMap<(bool, u64), u8>>);

impl FakeHandler {
    /// The interrupt routing registers of QEMU's chip sets, as its firmware initializes them.
    fn routed() -> Self {
        let host = Self::default();
        for device in [1, 0x1f] {
            let space = RegionSpace::PciConfig { bus: 0, device, function: 0 };
            for (offset, value) in [(0x60, 0x0b0b_0a0a), (0x68, 0x0b0b_0a0a)] {
                host.write(space, offset, 4, value).unwrap();
            }
        }
        host
    }

    fn key(space: RegionSpace, address: u64) -> Option<(bool, u64)> {
        match space {
            RegionSpace::SystemMemory => Some((false, address)),
            RegionSpace::SystemIo => None,
            RegionSpace::PciConfig { bus, device, function } => {
                let number = u64::from(bus) << 8 | u64::from(device) << 3 | u64::from(function);
                Some((true, number << 12 | address))
            }
        }
    }
}

impl RegionHandler for FakeHandler {
    fn read(&self, space: RegionSpace, address: u64, bytes: u8) -> Option<u64> {
        let (is_pci, first) = Self::key(space, address)?;
        let held = self.0.borrow();
        let byte = |at| u64::from(held.get(&(is_pci, first.wrapping_add(at))).copied().unwrap_or(0));
        Some((0..u64::from(bytes)).map(|at| byte(at) << (8 * at)).sum())
    }

    fn write(&self, space: RegionSpace, address: u64, bytes: u8, value: u64) -> Option<()> {
        let (is_pci, first) = Self::key(space, address)?;
        for (at, byte) in (0..u64::from(bytes)).zip(value.to_le_bytes()) {
            self.0.borrow_mut().insert((is_pci, first.wrapping_add(at)), byte);
        }
        Some(())
    }
}

fn load(block: &[u8]) -> Interpreter<FakeHandler> {
    Interpreter::new(FakeHandler::routed(), [block.to_vec()])
}

fn path(text: &str) -> NamespacePath {
    let part = |part: &str| *std::format!("{part:_<4}").as_bytes().first_chunk().unwrap();
    text.split('.').fold(NamespacePath::root(), |path, name| path.join(part(name)))
}

/// Pin `pin` of function 0 of a device.
fn pin(device: u8, pin: u8) -> InterruptPin {
    InterruptPin { device, function: 0, pin }
}

fn routes(block: &[u8]) -> PciRoutes<FakeHandler> {
    PciRoutes::new(load(block))
}

/// The number of the interrupt that the first pin of this path is routed to.
fn number(routes: &mut PciRoutes<FakeHandler>, bus: u8, path_to_root: &[InterruptPin]) -> Option<u32> {
    match routes.find(bus, path_to_root).unwrap() {
        Some(Resource::Interrupt { number, .. }) => Some(number),
        _ => None,
    }
}

/// The interrupts that pin 0 of these slots on a root bus is routed to.
fn numbers(block: &[u8], bus: u8, devices: &[u8]) -> Vec<Option<u32>> {
    let mut routes = routes(block);
    devices.iter().map(|device| number(&mut routes, bus, &[pin(*device, 0)])).collect()
}

#[test]
fn interrupt_pins_are_routed_as_on_qemus_machines() {
    // Links A to D in turn, beginning with D: interrupts 10 and 11 for two links each.
    assert_eq!(
        numbers(PC, 0, &[2, 3, 4, 5, 6, 32]),
        [Some(10), Some(11), Some(11), Some(10), Some(10), None]
    );
    // Links E to H, which are inputs 20 to 23.
    assert_eq!(numbers(Q35, 0, &[1, 2, 3, 4]), [Some(21), Some(22), Some(23), Some(20)]);
    assert_eq!(numbers(MICROVM_PCIE, 0, &[0, 1, 2, 3]), [16, 17, 18, 19].map(Some));
    let found = routes(PC).find(0, &[pin(2, 3)]).unwrap();
    let (polarity, trigger) = (Polarity::High, Trigger::Level);
    assert_eq!(found, Some(Resource::Interrupt { number: 10, polarity, trigger, is_isa: false }));
}

#[test]
fn the_sleep_type_for_power_off_is_known_on_every_machine() {
    for (block, value) in MACHINES.into_iter().zip([0, 0, 5, 5, 0, 0]) {
        let elements = load(block).elements(&path("_S5")).unwrap();
        assert_eq!(elements.first(), Some(&Value::Integer(value)));
    }
}

#[test]
fn devices_are_found_by_id_with_their_resources() {
    let mut aml = load(MICROVM);
    let mut found = Vec::new();
    for device in aml.devices() {
        if aml.has_id(&device, &["LNRO0005"]) && aml.is_present(&device) {
            found.push(resources(&aml.bytes(&device.join(*b"_CRS")).unwrap()));
        }
    }
    let (polarity, trigger) = (Polarity::High, Trigger::Level);
    let nic = |first, number| {
        [
            Resource::Range { kind: RangeKind::Memory, first, count: 512 },
            Resource::Interrupt { number, polarity, trigger, is_isa: false },
        ]
    };
    assert_eq!(found, [nic(0xfeb0_2c00, 46), nic(0xfeb0_2e00, 47)]);
}

#[test]
fn a_host_bridge_lists_the_memory_behind_it() {
    let mut aml = load(MICROVM_PCIE);
    let listed = resources(&aml.bytes(&path("_SB.PCI0._CRS")).unwrap());
    let memory = |first, count| Resource::Range { kind: RangeKind::Memory, first, count };
    assert!(listed.contains(&memory(0xc000_0000, 0x2000_0000)), "{listed:x?}");
}

/// A term that consists of an opcode, a PkgLength of two bytes, and `inside`.
fn package(opcode: &[u8], inside: &[u8]) -> Vec<u8> {
    let length = inside.len() + 2;
    [opcode, &[0x40 | (length & 0xf) as u8, (length >> 4) as u8], inside].concat()
}

/// A device with this term list.
fn device(name: &[u8], inside: &[u8]) -> Vec<u8> {
    package(&[EXT_OP_PREFIX, ext::DEVICE_OP], &[name, inside].concat())
}

/// The method MAIN with two arguments and this body.
fn method(body: &[u8]) -> Vec<u8> {
    package(&[METHOD_OP], &[b"MAIN\x02", body].concat())
}

fn main_of(block: &[u8], arguments: &[u64]) -> Result<Value, AmlError> {
    load(block).evaluate(&path("MAIN"), arguments)
}

#[test]
fn operators_return_what_the_specification_says() {
    for (code, expected) in [
        (&[ADD_OP, ARG0_OP, ARG1_OP, NULL_NAME][..], 29),
        (&[SUBTRACT_OP, ARG0_OP, ARG1_OP, NULL_NAME], 15),
        (&[MULTIPLY_OP, ARG0_OP, ARG1_OP, NULL_NAME], 154),
        (&[DIVIDE_OP, ARG0_OP, ARG1_OP, NULL_NAME, NULL_NAME], 3),
        (&[MOD_OP, ARG0_OP, ARG1_OP, NULL_NAME], 1),
        (&[SHIFT_LEFT_OP, ARG0_OP, ARG1_OP, NULL_NAME], 22 << 7),
        (&[SHIFT_RIGHT_OP, ARG0_OP, BYTE_PREFIX, 70, NULL_NAME], 0),
        (&[AND_OP, ARG0_OP, ARG1_OP, NULL_NAME], 22 & 7),
        (&[NAND_OP, ARG0_OP, ARG1_OP, NULL_NAME], !(22 & 7)),
        (&[OR_OP, ARG0_OP, ARG1_OP, NULL_NAME], 22 | 7),
        (&[NOR_OP, ARG0_OP, ARG1_OP, NULL_NAME], !(22 | 7)),
        (&[XOR_OP, ARG0_OP, ARG1_OP, NULL_NAME], 22 ^ 7),
        (&[NOT_OP, ARG0_OP, NULL_NAME], !22),
        (&[FIND_SET_LEFT_BIT_OP, ARG0_OP, NULL_NAME], 5),
        (&[FIND_SET_RIGHT_BIT_OP, ARG0_OP, NULL_NAME], 2),
        (&[LEQUAL_OP, ARG0_OP, ARG0_OP], u64::MAX),
        (&[LGREATER_OP, ARG0_OP, ARG1_OP], u64::MAX),
        (&[LLESS_OP, ARG0_OP, ARG1_OP], 0),
        (&[LNOT_OP, LEQUAL_OP, ARG0_OP, ARG1_OP], u64::MAX),
        (&[LAND_OP, ARG0_OP, ZERO_OP], 0),
        (&[LOR_OP, ARG0_OP, ZERO_OP], u64::MAX),
        (&[INCREMENT_OP, ARG0_OP], 23),
        (&[DECREMENT_OP, ARG0_OP], 21),
        (&[STORE_OP, ARG0_OP, LOCAL0_OP], 22),
        (&[SIZE_OF_OP, ARG1_OP], 0),
        (&[ADD_OP, STRING_PREFIX, b'1', b'f', 0, ZERO_OP, NULL_NAME], 0x1f),
        (&[TO_INTEGER_OP, STRING_PREFIX, b'0', b'x', b'1', b'f', 0, NULL_NAME], 0x1f),
        (&[TO_INTEGER_OP, STRING_PREFIX, b'1', b'2', 0, NULL_NAME], 12),
        (&[DEREF_OF_OP, INDEX_OP, BUFFER_OP, 5, BYTE_PREFIX, 2, 4, 9, ONE_OP, NULL_NAME], 9),
        (&[DEREF_OF_OP, INDEX_OP, PACKAGE_OP, 4, 2, ARG0_OP, ARG1_OP, ONE_OP, NULL_NAME], 7),
        (&[EXT_OP_PREFIX, ext::COND_REF_OF_OP, b'N', b'O', b'N', b'E', NULL_NAME], 0),
        (&[EXT_OP_PREFIX, ext::COND_REF_OF_OP, b'M', b'A', b'I', b'N', LOCAL0_OP], u64::MAX),
        (&[OBJECT_TYPE_OP, b'M', b'A', b'I', b'N'], 8),
    ] {
        let found = main_of(&method(&[&[RETURN_OP], code].concat()), &[22, 7]);
        if code == [SIZE_OF_OP, ARG1_OP] {
            assert_eq!(found, Err(AmlError::WrongType), "an integer has no size");
        } else {
            assert_eq!(found, Ok(Value::Integer(expected)), "{code:x?}");
        }
    }
    for code in
        [&[DIVIDE_OP, ARG0_OP, ZERO_OP, NULL_NAME, NULL_NAME][..], &[MOD_OP, ARG0_OP, ZERO_OP, NULL_NAME]]
    {
        assert_eq!(main_of(&method(code), &[1, 2]), Err(AmlError::OutOfRange), "a division by zero");
    }
}

#[test]
fn an_unknown_opcode_is_reported_with_its_prefix() {
    let unknown = Err(AmlError::UnknownOpcode(0x5bfe));
    let (value, target) =
        ([EXT_OP_PREFIX, UNKNOWN_OPCODE], [STORE_OP, ONE_OP, EXT_OP_PREFIX, UNKNOWN_OPCODE]);
    assert_eq!(main_of(&method(&value), &[]), unknown);
    assert_eq!(main_of(&method(&target), &[]), unknown);
    let debug = [RETURN_OP, STORE_OP, ARG0_OP, EXT_OP_PREFIX, ext::DEBUG_OP];
    assert_eq!(main_of(&method(&debug), &[22]), Ok(Value::Integer(22)), "DebugObj is a target");
}

#[test]
fn concatenate_and_conversion_check_their_operands() {
    let string_of = |code: &[u8]| {
        let mut aml = load(&method(&[&[RETURN_OP, CONCAT_OP], code, &[NULL_NAME]].concat()));
        let value = aml.evaluate(&path("MAIN"), &[])?;
        Ok((matches!(value, Value::String(_)), aml.arena.bytes(value)?.to_vec()))
    };
    assert_eq!(string_of(b"\x0dab\0\x0dcd\0"), Ok((true, b"abcd".to_vec())));
    assert_eq!(string_of(b"\x11\x04\x0a\x01a\x11\x04\x0a\x01b"), Ok((false, b"ab".to_vec())));
    assert_eq!(string_of(&[ONE_OP, ZERO_OP]), Ok((false, [[1, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat())));
    assert_eq!(string_of(b"\x0dab\0\x0a\x05"), Err(AmlError::WrongType), "string and integer");
    assert_eq!(string_of(b"\x0dab\0\x11\x04\x0a\x01b"), Err(AmlError::WrongType), "string and buffer");
    let number_of = |text: &str| {
        let operators = [RETURN_OP, TO_INTEGER_OP, STRING_PREFIX];
        main_of(&method(&[&operators, text.as_bytes(), &[0, NULL_NAME]].concat()), &[])
    };
    assert_eq!(number_of("18446744073709551615"), Ok(Value::Integer(u64::MAX)));
    assert_eq!(number_of("18446744073709551616"), Err(AmlError::OutOfRange));
    for text in ["", "0x", "1f", "-1", "0xg"] {
        assert_eq!(number_of(text), Err(AmlError::WrongType), "{text:?}");
    }
}

#[test]
fn storing_to_a_field_preserves_the_bits_around_it() {
    // OperationRegion (REGS, SystemMemory, 0x1000, 4) Field (REGS, ByteAcc) { , 4, ABCD, 12 }
    let region = b"\x5b\x80REGS\x00\x0b\x00\x10\x0a\x04\x5b\x81\x0dREGS\x01\x00\x04ABCD\x0c";
    let write = method(b"\x70\x0b\xbc\x0aABCD\xa4ABCD");
    let mut aml = Interpreter::new(FakeHandler::default(), [[region.as_slice(), &write].concat()]);
    aml.handler.write(RegionSpace::SystemMemory, 0x1000, 4, 0xffff_5555).unwrap();
    assert_eq!(aml.evaluate(&path("MAIN"), &[]), Ok(Value::Integer(0xabc)));
    assert_eq!(aml.handler.read(RegionSpace::SystemMemory, 0x1000, 4), Some(0xffff_abc5));
    // The same region in I/O ports, where the handler refuses access. Byte 6 is RegionSpace.
    let mut ports = [region.as_slice(), &write].concat();
    ports[6] = SYSTEM_IO;
    assert_eq!(main_of(&ports, &[]), Err(AmlError::AccessRefused));
}

#[test]
fn definition_blocks_of_qemu_take_a_small_part_of_the_steps() {
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
fn endless_code_reaches_a_limit() {
    assert_eq!(main_of(&method(&[WHILE_OP, 2, ONE_OP]), &[]), Err(AmlError::StepLimit), "While (One)");
    assert_eq!(
        main_of(&method(b"MAIN\x00\x00"), &[]),
        Err(AmlError::DepthLimit),
        "a method that invokes itself"
    );
    assert_eq!(main_of(&method(&[NOT_OP; 200]), &[]), Err(AmlError::DepthLimit), "nested terms");
    let grow = [WHILE_OP, 11, ONE_OP, STORE_OP, BUFFER_OP, 6, DWORD_PREFIX, 0, 0, 1, 0, LOCAL0_OP];
    assert_eq!(
        main_of(&method(&grow), &[]),
        Err(AmlError::MemoryLimit),
        "buffers that are not used any more"
    );
    let huge = [BUFFER_OP, 6, DWORD_PREFIX, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(main_of(&method(&huge), &[]), Err(AmlError::MemoryLimit), "one buffer of 4 GiB");
}

#[test]
fn an_error_in_a_device_does_not_affect_other_devices() {
    // Name (_HID, "LNRO0005")
    let good = b"\x08_HID\x0dLNRO0005\0";
    let block = [device(b"BAD_", &[UNKNOWN_OPCODE, 1, 2]), device(b"GOOD", good)].concat();
    let mut aml = load(&block);
    assert_eq!(aml.devices(), [path("BAD"), path("GOOD")]);
    assert!(aml.has_id(&path("GOOD"), &["LNRO0005"]) && !aml.has_id(&path("BAD"), &["LNRO0005"]));
    let missing = aml.evaluate(&path("BAD.NONE"), &[]).unwrap_err();
    assert_eq!(missing.to_string(), "there is no object NONE");
}

/// Makes every query that the kernel makes.
fn query_all(aml: Interpreter<FakeHandler>) {
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
    fn any_damage_ends_in_a_value_or_an_error(
        machine in 0..MACHINES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut block = MACHINES[machine].to_vec();
        for (at, byte) in damage {
            let at = at.index(block.len());
            block[at] = byte;
        }
        query_all(load(&block));
    }

    #[test]
    fn any_bytes_end_in_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        query_all(load(&method(&bytes)));
        let _ = main_of(&method(&bytes), &[1, 2]);
        resources(&bytes);
    }
}
