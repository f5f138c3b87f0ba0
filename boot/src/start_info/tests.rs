//! The reader on made-up and on broken input.

use std::string::ToString as _;
use std::vec::Vec;

use proptest::prelude::*;

use super::StartInfoError::*;
use super::*;
use crate::testing::Blocks;

const INFO: u64 = 0x1000;
const MAP: u64 = 0x2000;
const LINE: u64 = 0x3000;

/// The fields that the reader looks at.
#[derive(Clone)]
struct Fields {
    magic: u32,
    version: u32,
    command_line: u64,
    rsdp: u64,
    map: u64,
    entries: u32,
}

const GOOD: Fields =
    Fields { magic: MAGIC, version: 1, command_line: LINE, rsdp: 0xf_5a10, map: MAP, entries: 2 };

impl Fields {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.magic.to_le_bytes());
        out.extend(self.version.to_le_bytes());
        out.extend([0; 16]);
        out.extend(self.command_line.to_le_bytes());
        out.extend(self.rsdp.to_le_bytes());
        out.extend(self.map.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend([0; 4]);
        out
    }
}

fn entries(list: &[(u64, u64, u32)]) -> Vec<u8> {
    let entry = |&(start, bytes, kind): &(u64, u64, u32)| {
        let fields = [start.to_le_bytes(), bytes.to_le_bytes(), u64::from(kind).to_le_bytes()];
        fields.concat()
    };
    list.iter().flat_map(entry).collect()
}

fn machine(fields: &Fields) -> Blocks {
    let map = entries(&[(0, 0x9_fc00, 1), (0x10_0000, 0x1f0_0000, 1)]);
    Blocks::default().with(INFO, fields.bytes()).with(MAP, map).with(LINE, *b"app=bridge a=vtnet1\0")
}

fn error_of(memory: &Blocks) -> StartInfoError {
    read(memory, INFO).unwrap_err()
}

#[test]
fn reads_what_a_loader_leaves() {
    let memory = machine(&GOOD);
    let info = read(&memory, INFO).unwrap();
    assert_eq!(info.loader, Loader::Pvh);
    assert_eq!(info.command_line, b"app=bridge a=vtnet1");
    assert_eq!(info.rsdp, Some(0xf_5a10));
    assert_eq!(info.memory.ram_bytes(), 0x9_fc00 + 0x1f0_0000);
    assert_eq!(
        info.occupied,
        [AddrRange::sized(INFO, 56), AddrRange::sized(MAP, 48), AddrRange::sized(LINE, 19)]
    );
}

#[test]
fn a_command_line_and_a_root_pointer_may_be_absent() {
    let memory = machine(&Fields { command_line: 0, rsdp: 0, ..GOOD });
    let info = read(&memory, INFO).unwrap();
    assert_eq!(info.command_line, b"");
    assert_eq!(info.rsdp, None);
    assert_eq!(info.occupied[2], None);
}

#[test]
fn refuses_what_is_no_start_info() {
    assert_eq!(error_of(&Blocks::default()), Unreadable(INFO));
    assert_eq!(error_of(&Blocks::default().with(INFO, [0; 39])), Unreadable(INFO));
    assert_eq!(error_of(&machine(&Fields { magic: 0x2bad_b002, ..GOOD })), BadMagic(0x2bad_b002));
    let cut = GOOD.bytes()[..48].to_vec();
    assert_eq!(error_of(&Blocks::default().with(INFO, cut)), Unreadable(INFO));
    assert_eq!(read(&machine(&GOOD), u64::MAX - 8).unwrap_err(), Unreadable(u64::MAX - 8));
}

#[test]
fn version_0_and_an_empty_map_are_no_memory_map() {
    let old = Fields { version: 0, ..GOOD }.bytes()[..40].to_vec();
    assert_eq!(error_of(&Blocks::default().with(INFO, old)), NoMemoryMap { version: 0 });
    assert_eq!(error_of(&machine(&Fields { map: 0, ..GOOD })), NoMemoryMap { version: 1 });
    assert_eq!(error_of(&machine(&Fields { entries: 0, ..GOOD })), NoMemoryMap { version: 1 });
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    assert!(read(&machine(&Fields { version: 7, ..GOOD }), INFO).is_ok());
}

#[test]
fn refuses_a_map_that_is_too_large_or_elsewhere() {
    assert_eq!(error_of(&machine(&Fields { entries: 129, ..GOOD })), TooManyRegions(129));
    assert_eq!(error_of(&machine(&Fields { entries: u32::MAX, ..GOOD })), TooManyRegions(u32::MAX));
    assert_eq!(error_of(&machine(&Fields { entries: 3, ..GOOD })), MapUnreadable(MAP));
    assert_eq!(error_of(&machine(&Fields { map: u64::MAX - 3, ..GOOD })), MapUnreadable(u64::MAX - 3));
}

#[test]
fn refuses_a_map_that_makes_no_sense() {
    let memory = |list: &[(u64, u64, u32)]| {
        let fields = Fields { entries: list.len() as u32, command_line: 0, ..GOOD };
        Blocks::default().with(INFO, fields.bytes()).with(MAP, entries(list))
    };
    assert_eq!(error_of(&memory(&[(0, 4096, 2)])), Map(MapError::NoRam));
    let error = error_of(&memory(&[(u64::MAX, 2, 1)]));
    assert_eq!(error, Map(MapError::Overflow { index: 0, start: u64::MAX, bytes: 2 }));
}

#[test]
fn the_command_line_must_end_somewhere() {
    let with_line = |line: Vec<u8>| {
        let map = entries(&[(0, 4096, 1), (8192, 4096, 1)]);
        Blocks::default().with(INFO, GOOD.bytes()).with(MAP, map).with(LINE, line)
    };
    assert_eq!(error_of(&with_line(b"app=bridge".to_vec())), CommandLineUnreadable(LINE));
    let mut line = std::vec![b'x'; MAX_LINE];
    line.push(0);
    let memory = with_line(line.clone());
    assert_eq!(read(&memory, INFO).unwrap().command_line.len(), MAX_LINE);
    line.insert(0, b'x');
    assert_eq!(error_of(&with_line(line)), CommandLineTooLong);
    let last = Fields { command_line: u64::MAX, ..GOOD };
    assert_eq!(error_of(&machine(&last)), CommandLineUnreadable(u64::MAX));
}

/// QEMU on `pc` and `q35` writes a command line of more than 4096 bytes over the structure.
#[test]
fn damage_is_told_with_its_usual_cause() {
    let overwritten = Blocks::default().with(INFO, [b' '; 56]);
    let pointers = Fields { map: 0x2020_2020_2020_2020, ..GOOD };
    let line = Fields { command_line: 0x2020_2020_2020_2020, ..GOOD };
    for memory in
        [overwritten, machine(&pointers), machine(&line), machine(&Fields { entries: 0x2020, ..GOOD })]
    {
        let text = error_of(&memory).to_string();
        assert!(
            text.contains("command line longer than 4096 bytes") && text.ends_with("shorten it"),
            "{text}"
        );
    }
    for memory in [Blocks::default(), machine(&Fields { map: 0, ..GOOD })] {
        let text = error_of(&memory).to_string();
        assert!(!text.contains("command line"), "{text}");
    }
    assert_eq!(CommandLineTooLong.to_string(), "command line longer than 4096 bytes: shorten it");
}

proptest! {
    /// Whatever lies in memory, the reader answers; errors can be shown.
    #[test]
    fn never_panics(
        info in prop::collection::vec(any::<u8>(), 0..64),
        has_magic in any::<bool>(),
        map in prop::collection::vec(any::<u8>(), 0..200),
        line in prop::collection::vec(any::<u8>(), 0..64),
        pointers in prop::array::uniform2(prop_oneof![Just(MAP), Just(LINE), any::<u64>()]),
        count in 0u32..200,
    ) {
        let mut info = info;
        if has_magic && info.len() >= 56 {
            info[..8].copy_from_slice(&[0x78, 0xc5, 0x6e, 0x33, 1, 0, 0, 0]);
            info[24..32].copy_from_slice(&pointers[0].to_le_bytes());
            info[40..48].copy_from_slice(&pointers[1].to_le_bytes());
            info[48..52].copy_from_slice(&count.to_le_bytes());
        }
        let memory = Blocks::default().with(INFO, info).with(MAP, map).with(LINE, line);
        if let Err(error) = read(&memory, INFO) {
            prop_assert!(!std::string::ToString::to_string(&error).is_empty());
        }
    }
}
