//! The tables on made-up machines: valid, damaged and arbitrary ones.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::signature::{DMAR, DSDT, FADT, HPET, IVRS, MADT, MCFG, RSDP, RSDT, SSDT, XSDT};
use super::table::{HEADER_BYTES, MAX_TABLE_BYTES};
use super::*;
use crate::address_space::{PCI_CONFIG, SYSTEM_IO, SYSTEM_MEMORY};
use millrace_boot::testing::Blocks;

const WINDOW: ConfigWindow = ConfigWindow { base: 0xb000_0000, first_bus: 0, last_bus: 255 };
/// Local APIC id of the running processor.
const RUNNING: u32 = 7;

fn with_checksum(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] = 0;
    bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    bytes
}

fn make_table(signature: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend(((HEADER_BYTES + body.len()) as u32).to_le_bytes());
    bytes.resize(HEADER_BYTES, 0);
    bytes.extend(body);
    with_checksum(bytes, 9)
}

fn window_entry(segment: u16, window: ConfigWindow) -> Vec<u8> {
    let mut bytes = window.base.to_le_bytes().to_vec();
    bytes.extend(segment.to_le_bytes());
    bytes.extend([window.first_bus, window.last_bus, 0, 0, 0, 0]);
    bytes
}

fn mcfg(entries: &[Vec<u8>]) -> Vec<u8> {
    make_table(MCFG, &[[0; 8].to_vec(), entries.concat()].concat())
}

fn madt(flags: u32, structures: &[&[u8]]) -> Vec<u8> {
    let head = [0xfee0_0000u32.to_le_bytes(), flags.to_le_bytes()].concat();
    make_table(MADT, &[head, structures.concat()].concat())
}

/// A MADT as QEMU builds it.
fn usual_madt() -> Vec<u8> {
    madt(
        1,
        &[
            &[0, 8, 0, 0, 1, 0, 0, 0],
            &[0, 8, 1, 7, 1, 0, 0, 0],
            &[0, 8, 2, 2, 0, 0, 0, 0],
            &[9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0],
            &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
            &[1, 12, 1, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0],
            &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
            &[2, 10, 0, 9, 20, 0, 0, 0, 0x0f, 0],
            &[2, 10, 0, 10, 10, 0, 0, 0, 0x0d, 0],
            &[4, 6, 0xff, 0, 0, 1],
        ],
    )
}

/// A FADT of 276 bytes with these fields.
fn fadt(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; 240];
    for (offset, bytes) in fields {
        body[offset - HEADER_BYTES..][..bytes.len()].copy_from_slice(bytes);
    }
    make_table(FADT, &body)
}

fn port(number: u64) -> [u8; 12] {
    generic(SYSTEM_IO, number)
}

fn generic(space: u8, address: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = space;
    bytes[4..].copy_from_slice(&address.to_le_bytes());
    bytes
}

fn pointer(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
    let mut bytes = [RSDP.as_slice(), b"\0MILLRA"].concat();
    bytes.push(revision);
    bytes.extend(rsdt.to_le_bytes());
    bytes = with_checksum(bytes, 8);
    if revision >= 2 {
        bytes.extend(36u32.to_le_bytes());
        bytes.extend(xsdt.to_le_bytes());
        bytes.extend([0; 4]);
        bytes = with_checksum(bytes, 32);
    }
    bytes
}

/// A machine with an RSDT at 0x1000 and these tables, 0x2000 bytes apart, from 0x10000 on.
fn machine(tables: &[Vec<u8>]) -> Blocks {
    let places = (0u32..).map(|number| 0x1_0000 + 0x2000 * number);
    let list: Vec<u8> = places.clone().take(tables.len()).flat_map(u32::to_le_bytes).collect();
    let root = make_table(RSDT, &[0x9000u32.to_le_bytes().to_vec(), list].concat());
    let memory = Blocks::default().with(0x500, pointer(0, 0x1000, 0)).with(0x1000, root);
    places.zip(tables).fold(memory, |memory, (place, table)| memory.with(place.into(), table.clone()))
}

fn describe(memory: &Blocks) -> Description {
    Description::read(&Tables::find(memory, Some(0x500)), RUNNING)
}

fn windows(tables: Vec<u8>) -> Vec<ConfigWindow> {
    describe(&machine(&[tables])).config_windows
}

/// The description of a machine without tables.
fn nothing() -> Description {
    Description {
        processors: vec![RUNNING],
        processors_omitted: 0,
        io_apics: vec![],
        overrides: vec![],
        config_windows: vec![],
        fixed_hardware: None,
        pm_timer: None,
        hpet: None,
        iommus: vec![],
    }
}

#[test]
fn tables_are_found_through_either_root_table() {
    assert_eq!(windows(mcfg(&[window_entry(0, WINDOW)])), [WINDOW]);
    let new = Blocks::default()
        .with(0x500, pointer(2, 0, 0x2000))
        .with(0x2000, make_table(XSDT, &0x3000u64.to_le_bytes()))
        .with(0x3000, mcfg(&[window_entry(0, WINDOW)]));
    assert_eq!(describe(&new).config_windows, [WINDOW]);
}

#[test]
fn windows_of_other_segments_and_invalid_windows_are_skipped() {
    let backwards = ConfigWindow { first_bus: 9, last_bus: 3, ..WINDOW };
    let nowhere = ConfigWindow { base: 0, ..WINDOW };
    let list = [
        window_entry(1, WINDOW),
        window_entry(0, backwards),
        window_entry(0, nowhere),
        window_entry(0, WINDOW),
    ];
    assert_eq!(windows(mcfg(&list)), [WINDOW]);
    assert_eq!(windows(mcfg(&list[..3])), []);
    assert_eq!(windows(mcfg(&vec![window_entry(0, WINDOW); 100])).len(), 16);
}

#[test]
fn a_damaged_table_is_ignored() {
    let good = mcfg(&[window_entry(0, WINDOW)]);
    let mut flipped = good.clone();
    flipped[44] ^= 1;
    assert_eq!(windows(flipped), []);
    let mut longer = good.clone();
    longer[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(windows(longer), []);
    let mut short = good.clone();
    short[4..8].copy_from_slice(&8u32.to_le_bytes());
    assert_eq!(windows(with_checksum(short, 9)), []);
    let mut damaged = good.clone();
    damaged[20] ^= 1;
    assert_eq!(describe(&machine(&[damaged, good])).config_windows, [WINDOW], "the next of its kind is used");
    for rsdp in [None, Some(0), Some(0x500), Some(u64::MAX)] {
        assert_eq!(Description::read(&Tables::find(&Blocks::default(), rsdp), RUNNING), nothing());
    }
}

#[test]
fn processors_and_interrupt_controllers_come_from_the_madt() {
    let found = describe(&machine(&[usual_madt()]));
    assert_eq!(found.processors, [RUNNING, 0, 0x100], "the running processor first, no duplicates");
    let io_apics = [(0xfec0_0000, 0), (0xfec1_0000, 24)];
    assert_eq!(found.io_apics, io_apics.map(|(address, gsi_base)| IoApic { address, gsi_base }));
    let input = |gsi, polarity, trigger| InterruptInput { gsi, polarity, trigger };
    assert_eq!(found.isa_input(0), input(2, Polarity::High, Trigger::Edge));
    assert_eq!(found.isa_input(4), input(4, Polarity::High, Trigger::Edge));
    assert_eq!(found.isa_input(9), input(20, Polarity::Low, Trigger::Level));
    assert_eq!(found.isa_input(10), input(10, Polarity::High, Trigger::Level));
}

#[test]
fn a_list_of_structures_ends_at_an_invalid_length() {
    let processor: &[u8] = &[0, 8, 0, 1, 1, 0, 0, 0];
    let after = |middle: &[u8]| {
        describe(&machine(&[madt(1, &[processor, middle, &[0, 8, 0, 2, 1, 0, 0, 0]])])).processors
    };
    assert_eq!(after(&[]), [RUNNING, 1, 2]);
    assert_eq!(after(&[0x80, 3, 9]), [RUNNING, 1, 2], "a structure of unknown type is skipped");
    assert_eq!(
        after(&[0, 4, 0, 5]),
        [RUNNING, 1, 2],
        "a structure that is too short for its type is skipped"
    );
    assert_eq!(after(&[0, 0]), [RUNNING, 1], "length 0");
    assert_eq!(after(&[0, 1]), [RUNNING, 1], "shorter than type and length");
    assert_eq!(after(&[0, 200]), [RUNNING, 1], "longer than the table");
}

#[test]
fn every_processor_is_counted_and_a_bounded_number_is_kept() {
    let narrow: Vec<u8> = (0..=254).flat_map(|id| [0, 8, 0, id, 1, 0, 0, 0]).collect();
    let wide = |ids: core::ops::Range<u32>| -> Vec<u8> {
        let entry = |id: u32| [[9, 16, 0, 0], id.to_le_bytes(), [1, 0, 0, 0], [0; 4]].concat();
        ids.flat_map(entry).collect()
    };
    let count = |structures: &[&[u8]]| {
        let memory = Blocks::default().with(0x500, pointer(0, 0x1000, 0));
        let root = make_table(RSDT, &0x10_0000u32.to_le_bytes());
        let found = describe(&memory.with(0x1000, root).with(0x10_0000, madt(1, structures)));
        assert!(found.to_string().starts_with(&std::format!("processors {},", found.processor_count())));
        (found.processors.len(), found.processor_count())
    };
    assert_eq!(count(&[&narrow]), (255, 255));
    assert_eq!(count(&[&narrow, &wide(255..288)]), (288, 288));
    assert_eq!(count(&[&narrow, &wide(255..5000)]), (1024, 5000));
    assert_eq!(
        count(&[&wide(255..5000), &wide(255..1000)]),
        (1024, 4746),
        "kept processors are not counted twice"
    );
}

#[test]
fn registers_for_power_off_come_from_the_fadt() {
    let fixed = |fields: &[(usize, &[u8])]| describe(&machine(&[fadt(fields)])).fixed_hardware;
    let pm1 = |a, b, enable| Some(FixedHardware::Pm1 { a, b, enable });
    let (narrow, command) = (0x604u32.to_le_bytes(), 0xb2u32.to_le_bytes());
    let enable = Some(AcpiEnable { port: 0xb2, value: 2 });
    assert_eq!(fixed(&[]), None);
    assert_eq!(fixed(&[(64, &narrow)]), pm1(RegisterAddress::Port(0x604), None, None));
    assert_eq!(
        fixed(&[(64, &narrow), (48, &command), (52, &[2])]),
        pm1(RegisterAddress::Port(0x604), None, enable)
    );
    assert_eq!(fixed(&[(64, &narrow), (48, &command)]), pm1(RegisterAddress::Port(0x604), None, None));
    assert_eq!(
        fixed(&[(64, &narrow), (172, &port(0x404)), (184, &generic(SYSTEM_MEMORY, 0x1_0000_0000))]),
        pm1(RegisterAddress::Port(0x404), Some(RegisterAddress::Memory(0x1_0000_0000)), None),
        "the extended fields take precedence"
    );
    assert_eq!(fixed(&[(172, &port(0x10000))]), None, "not a valid port");
    assert_eq!(fixed(&[(172, &generic(PCI_CONFIG, 0x404))]), None, "an unsupported address space");
    let reduced: (usize, &[u8]) = (112, &[0, 0, 0x10, 0]);
    assert_eq!(fixed(&[reduced, (64, &narrow)]), None, "hardware-reduced ACPI has no PM1 registers");
    assert_eq!(
        fixed(&[reduced, (244, &generic(SYSTEM_MEMORY, 0xfea0_0200))]),
        Some(FixedHardware::SleepControl(RegisterAddress::Memory(0xfea0_0200)))
    );
}

/// A DMAR structure that defines a unit, with `scope` bytes of device scopes.
fn drhd(segment: u16, registers: u64, scope: usize) -> Vec<u8> {
    let mut bytes = [0u16, 16 + scope as u16, 1, segment].map(u16::to_le_bytes).concat();
    bytes.extend(registers.to_le_bytes());
    bytes.resize(16 + scope, 0xee);
    bytes
}

/// An IVRS structure that defines a unit, with `entries` bytes of device entries.
fn ivhd(kind: u8, segment: u16, registers: u64, entries: usize) -> Vec<u8> {
    let mut bytes = vec![kind, 0xff, 24 + entries as u8, 0, 0x10, 0, 0x40, 0];
    bytes.extend(registers.to_le_bytes());
    bytes.extend(segment.to_le_bytes());
    bytes.resize(24 + entries, 0xee);
    bytes
}

fn iommus(tables: &[([u8; 4], Vec<Vec<u8>>)]) -> Vec<(IommuVendor, u64)> {
    let table = |(signature, structures): &([u8; 4], Vec<Vec<u8>>)| {
        make_table(*signature, &[[0xee; 12].to_vec(), structures.concat()].concat())
    };
    let tables: Vec<_> = tables.iter().map(table).collect();
    describe(&machine(&tables)).iommus.iter().map(|unit| (unit.vendor, unit.registers)).collect()
}

#[test]
fn iommus_come_from_dmar_and_ivrs() {
    use IommuVendor::{Amd, Intel};
    const UNIT: u64 = 0xfed9_0000;
    // Reserved memory, ATS, a unit of another segment, a unit without registers, units with device scopes.
    let dmar = vec![
        vec![1, 0, 8, 0, 1, 2, 3, 4],
        drhd(0, UNIT, 8),
        vec![2, 0, 4, 0],
        drhd(1, 0x1000, 0),
        drhd(0, 0, 0),
        drhd(0, 1 << 40, 0),
    ];
    assert_eq!(iommus(&[(DMAR, dmar)]), [(Intel, UNIT), (Intel, 1 << 40)]);
    // One unit in types 0x10 and 0x11, memory, a unit in type 0x40, a unit of another segment.
    let ivrs = vec![
        ivhd(0x10, 0, UNIT, 8),
        ivhd(0x11, 0, UNIT, 16),
        vec![0x20, 0, 4, 0],
        ivhd(0x40, 0, 0x5000, 0),
        ivhd(0x10, 3, 0x6000, 0),
    ];
    assert_eq!(iommus(&[(IVRS, ivrs.clone())]), [(Amd, UNIT), (Amd, 0x5000)]);
    let both = [(IVRS, ivrs), (DMAR, vec![drhd(0, UNIT, 0)])];
    assert_eq!(iommus(&both), [(Intel, UNIT), (Amd, UNIT), (Amd, 0x5000)]);
    let (first, second) = (drhd(0, 1, 0), drhd(0, 2, 0));
    let after = |middle: &[u8]| iommus(&[(DMAR, vec![first.clone(), middle.to_vec(), second.clone()])]);
    assert_eq!(
        after(&[9, 9, 6, 0, 1, 1]),
        [(Intel, 1), (Intel, 2)],
        "a structure of unknown type is skipped"
    );
    assert_eq!(
        after(&[0, 0, 8, 0, 0, 0, 0, 0]),
        [(Intel, 1), (Intel, 2)],
        "a structure that is too short for its type is skipped"
    );
    assert_eq!(after(&[0, 0, 0xff, 0xff]), [(Intel, 1)], "longer than the table");
    assert_eq!(after(&[0, 0, 0, 0]), [(Intel, 1)], "length 0");
    assert_eq!(after(&[0, 0, 3, 0]), [(Intel, 1)], "shorter than type and length");
    let many = (1..100).map(|unit| drhd(0, unit, 0)).collect();
    assert_eq!(iommus(&[(DMAR, many)]).len(), 16);
}

#[test]
fn timers_come_from_fadt_and_hpet() {
    let pm = |fields: &[(usize, &[u8])]| {
        let timer = describe(&machine(&[fadt(fields)])).pm_timer;
        timer.map(|PmTimer { register, mask }| (register, mask))
    };
    let narrow: (usize, &[u8]) = (76, &[8, 6, 0, 0]);
    let length: (usize, &[u8]) = (91, &[4]);
    assert_eq!(pm(&[]), None);
    assert_eq!(pm(&[narrow]), None, "length 0 means no PM timer");
    assert_eq!(pm(&[length]), None);
    assert_eq!(pm(&[narrow, length]), Some((RegisterAddress::Port(0x608), 0xff_ffff)));
    assert_eq!(pm(&[narrow, length, (113, &[1])]), Some((RegisterAddress::Port(0x608), u32::MAX)));
    let wide: (usize, &[u8]) = (208, &generic(SYSTEM_MEMORY, 0xfed0_8000));
    assert_eq!(pm(&[narrow, length, wide]), Some((RegisterAddress::Memory(0xfed0_8000), 0xff_ffff)));
    assert_eq!(pm(&[narrow, length, (112, &[0, 0, 0x10, 0])]), None, "hardware-reduced ACPI has no PM timer");

    let hpet = |address: [u8; 12]| {
        let body = [[0; 4].as_slice(), &address, &[0, 0x80, 0, 0]].concat();
        describe(&machine(&[make_table(HPET, &body)])).hpet
    };
    assert_eq!(hpet(generic(SYSTEM_MEMORY, 0xfed0_0000)), Some(0xfed0_0000));
    assert_eq!(hpet(port(0x400)), None, "the registers must be in memory");
    assert_eq!(hpet(generic(SYSTEM_MEMORY, 0)), None);
    assert_eq!(describe(&machine(&[make_table(HPET, &[0; 8])])).hpet, None, "too short");
}

#[test]
fn definition_blocks_begin_with_the_dsdt_and_have_spans() {
    let (dsdt, ssdt) = (make_table(DSDT, b"first"), make_table(SSDT, b"second"));
    let with = |fields: &[(usize, &[u8])]| {
        let tables = [ssdt.clone(), fadt(fields), make_table(SSDT, b"third")];
        let memory = machine(&tables).with(0x7000, dsdt.clone());
        let tables = Tables::find(&memory, Some(0x500));
        let blocks: Vec<Vec<u8>> = tables.definition_blocks().map(<[u8]>::to_vec).collect();
        (blocks, tables.ranges().map(|span| span.start()).collect::<Vec<_>>())
    };
    let all: [&[u8]; 3] = [b"first", b"second", b"third"];
    assert_eq!(
        with(&[(40, &[0, 0x70, 0, 0])]),
        (all.map(<[u8]>::to_vec).to_vec(), vec![0x1_2000, 0x7000, 0x1_0000, 0x1_4000])
    );
    assert_eq!(
        with(&[(40, &[1, 0x70, 0, 0]), (140, &[0, 0x70])]).0.len(),
        3,
        "the extended address takes precedence"
    );
    assert_eq!(with(&[(40, &[0, 0x70, 0, 0]), (140, &[1, 0x70])]).0.len(), 3, "unless there is no table");
    assert_eq!(with(&[]).0.len(), 0, "no SSDT without a DSDT");
}

#[test]
fn ssdts_are_kept_once_and_up_to_a_total_size() {
    let kept = |addresses: &[u64], table: &[u8]| {
        let list: Vec<u8> = addresses.iter().flat_map(|at| (*at as u32).to_le_bytes()).collect();
        let root = make_table(RSDT, &[0x5000u32.to_le_bytes().to_vec(), list].concat());
        let memory = Blocks::default().with(0x500, pointer(0, 0x1000, 0)).with(0x1000, root);
        let memory =
            memory.with(0x5000, fadt(&[(40, &[0, 0x70, 0, 0])])).with(0x7000, make_table(DSDT, b"first"));
        let places: std::collections::BTreeSet<_> = addresses.iter().copied().collect();
        let memory = places.into_iter().fold(memory, |memory, at| memory.with(at, table.to_vec()));
        Tables::find(&memory, Some(0x500)).definition_blocks().skip(1).map(<[u8]>::len).collect::<Vec<_>>()
    };
    let (small, large) = (make_table(SSDT, b"x"), make_table(SSDT, &vec![0; MAX_TABLE_BYTES - HEADER_BYTES]));
    assert_eq!(kept(&[0x10_0000; 40], &large), [MAX_TABLE_BYTES - HEADER_BYTES], "listed forty times");
    let apart: Vec<u64> = (1..6).map(|number| number << 24).collect();
    assert_eq!(kept(&apart, &large).len(), 2, "2 MiB in total");
    assert_eq!(kept(&apart, &small).len(), 5);
}

proptest! {
    #[test]
    fn any_tables_are_read_or_ignored(
        kind in prop::sample::select(vec![MCFG, MADT, FADT, HPET, DMAR, IVRS]),
        body in prop::collection::vec(prop_oneof![3 => 0u8..16, 1 => any::<u8>()], 0..300),
        revision in 0u8..4,
        address in any::<u64>(),
    ) {
        let memory = machine(&[make_table(kind, &body)]).with(0x800, pointer(revision, 0x1000, address));
        for rsdp in [0x800, 0x500, address] {
            let found = Description::read(&Tables::find(&memory, Some(rsdp)), RUNNING);
            prop_assert_eq!(found.processors.first(), Some(&RUNNING));
        }
    }
}
