//! The reader on made-up and on broken input.

use std::vec::Vec;

use proptest::prelude::*;

use super::Multiboot2Error::*;
use super::*;
use crate::testing::Blocks;

const INFO: u64 = 0x1_0000;
const LINE: &[u8] = b"app=bridge \"a=vtnet1\"\0";

/// A tag of type `kind`, filled up to where the next begins.
fn tag(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut out = kind.to_le_bytes().to_vec();
    out.extend((8 + content.len() as u32).to_le_bytes());
    out.extend(content);
    out.resize(out.len().next_multiple_of(8), 0xee);
    out
}

/// A memory map with entries of `entry_bytes`: address, size, type, and zeros.
fn map_tag(entry_bytes: u32, list: &[(u64, u64, u32)]) -> Vec<u8> {
    let mut content = entry_bytes.to_le_bytes().to_vec();
    content.extend([0; 4]);
    for (start, bytes, kind) in list {
        let mut entry = [start.to_le_bytes(), bytes.to_le_bytes(), u64::from(*kind).to_le_bytes()].concat();
        entry.resize(entry_bytes as usize, 0);
        content.extend(entry);
    }
    tag(6, &content)
}

/// What a PC has: low memory, memory, a reserved region in it and ACPI tables.
fn good_map() -> Vec<u8> {
    map_tag(
        24,
        &[(0, 0x9_fc00, 1), (0x10_0000, 0x3f0_0000, 1), (0x7e_0000, 0x1000, 2), (0x3fe_0000, 0x2_0000, 3)],
    )
}

fn end() -> Vec<u8> {
    tag(0, &[])
}

/// Boot information with these tags, at [`INFO`] and nothing behind it.
fn machine(tags: &[Vec<u8>]) -> Blocks {
    let tags = tags.concat();
    let mut info = (8 + tags.len() as u32).to_le_bytes().to_vec();
    info.extend([0; 4]);
    info.extend(tags);
    Blocks::default().with(INFO, info)
}

fn error_of(memory: &Blocks) -> Multiboot2Error {
    read(memory, INFO).unwrap_err()
}

#[test]
fn reads_what_a_loader_leaves() {
    let new = [7; 36];
    let tags = [tag(2, b"GRUB 2.06\0"), tag(1, LINE), good_map(), tag(14, &[6; 20]), tag(15, &new), end()];
    let memory = machine(&tags);
    let info = read(&memory, INFO).unwrap();
    assert_eq!(info.loader, Loader::Multiboot2);
    assert_eq!(info.command_line, b"app=bridge \"a=vtnet1\"");
    let ranges: Vec<_> = info.memory.ram().iter().map(|span| (span.start(), span.end())).collect();
    assert_eq!(ranges, [(0, 0x9_fc00), (0x10_0000, 0x7e_0000), (0x7e_1000, 0x3fe_0000)]);
    assert_eq!(memory.bytes(info.rsdp.unwrap(), 36), Some(&new[..]));
    let bytes = 8 + tags.concat().len() as u64;
    assert_eq!(info.occupied, [AddrRange::sized(INFO, bytes), None, None]);
}

#[test]
fn a_command_line_and_a_root_pointer_may_be_absent() {
    let memory = machine(&[good_map(), end()]);
    let info = read(&memory, INFO).unwrap();
    assert_eq!((info.command_line, info.rsdp), (&b""[..], None));
}

#[test]
fn the_old_root_pointer_will_do_where_there_is_no_other() {
    let short = tag(15, &[7; 35]);
    let memory = machine(&[short.clone(), good_map(), tag(14, &[6; 20]), end()]);
    let rsdp = read(&memory, INFO).unwrap().rsdp.unwrap();
    assert_eq!(memory.bytes(rsdp, 20), Some(&[6; 20][..]));
    let memory = machine(&[short, good_map(), tag(14, &[6; 19]), end()]);
    assert_eq!(read(&memory, INFO).unwrap().rsdp, None);
}

#[test]
fn of_two_tags_the_first_counts_and_nothing_behind_the_last() {
    let other = map_tag(24, &[(0, 4096, 1)]);
    let memory = machine(&[tag(1, b"first\0"), good_map(), tag(1, b"second\0"), other, end(), tag(9, &[])]);
    let info = read(&memory, INFO).unwrap();
    assert_eq!(info.command_line, b"first");
    assert!(info.memory.ram_bytes() > 4096);
    assert!(read(&machine(&[good_map(), end(), std::vec![0xff; 40]]), INFO).is_ok());
}

#[test]
fn longer_entries_are_read_as_far_as_they_are_known() {
    let memory = machine(&[map_tag(40, &[(0x10_0000, 4096, 1), (0x20_0000, 8192, 1)]), end()]);
    assert_eq!(read(&memory, INFO).unwrap().memory.ram_bytes(), 12288);
}

#[test]
fn refuses_information_that_is_elsewhere_or_of_no_length() {
    assert_eq!(error_of(&Blocks::default()), Unreadable(INFO));
    assert_eq!(read(&machine(&[end()]), u64::MAX - 3).unwrap_err(), Unreadable(u64::MAX - 3));
    for bytes in [0, 8, 15, MAX_BYTES + 1, u32::MAX] {
        let info = [bytes.to_le_bytes(), [0; 4]].concat();
        assert_eq!(error_of(&Blocks::default().with(INFO, info)), BadLength(bytes));
    }
    let cut = [64u32.to_le_bytes(), [0; 4]].concat();
    assert_eq!(error_of(&Blocks::default().with(INFO, cut)), Unreadable(INFO));
}

#[test]
fn refuses_tags_that_do_not_fit() {
    let with_size = |bytes: u32| [7u32.to_le_bytes(), bytes.to_le_bytes()].concat();
    for bytes in [0, 1, 7, 17, u32::MAX] {
        assert_eq!(error_of(&machine(&[with_size(bytes), end()])), BadTag { kind: 7, offset: 8, bytes });
    }
    assert_eq!(error_of(&machine(&[good_map()])), NoEnd);
    assert_eq!(error_of(&machine(&[good_map(), std::vec![0; 4]])), NoEnd);
    assert_eq!(error_of(&machine(&[with_size(11), std::vec![0; 3]])), NoEnd);
}

#[test]
fn refuses_a_missing_or_senseless_map() {
    assert_eq!(error_of(&machine(&[tag(1, LINE), end()])), NoMemoryMap);
    assert_eq!(error_of(&machine(&[tag(6, &[24, 0, 0]), end()])), NoMemoryMap);
    assert_eq!(error_of(&machine(&[tag(6, &[24, 0, 0, 0, 0, 0, 0]), end()])), NoMemoryMap);
    for bytes in [0, 23, 25, u32::MAX] {
        let map = [&bytes.to_le_bytes()[..], &[0; 4], &[0; 24]].concat();
        assert_eq!(error_of(&machine(&[tag(6, &map), end()])), BadEntries { bytes });
    }
    assert_eq!(error_of(&machine(&[map_tag(24, &[(0, 4096, 2)]), end()])), Map(MapError::NoRam));
    let overflow = map_tag(24, &[(4096, 4096, 1), (u64::MAX, 2, 1)]);
    let error = MapError::Overflow { index: 1, start: u64::MAX, bytes: 2 };
    assert_eq!(error_of(&machine(&[overflow, end()])), Map(error));
}

#[test]
fn the_command_line_must_end_within_its_tag() {
    assert_eq!(error_of(&machine(&[good_map(), tag(1, b""), end()])), CommandLineUnfinished);
    assert_eq!(error_of(&machine(&[good_map(), tag(1, b"app=bridge"), end()])), CommandLineUnfinished);
    let mut line = std::vec![b'x'; MAX_LINE];
    line.push(0);
    let memory = machine(&[good_map(), tag(1, &line), end()]);
    assert_eq!(read(&memory, INFO).unwrap().command_line.len(), MAX_LINE);
    line.insert(0, b'x');
    assert_eq!(error_of(&machine(&[good_map(), tag(1, &line), end()])), CommandLineTooLong);
}

/// A tag that is true to its length, or claims another.
fn any_tag() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(1u32), Just(6), Just(14), Just(15), any::<u32>()];
    let content = prop::collection::vec(any::<u8>(), 0..60);
    let claim =
        prop_oneof![4 => Just(None), 1 => (0u32..100).prop_map(Some), 1 => any::<u32>().prop_map(Some)];
    (kind, content, claim).prop_map(|(kind, content, claim)| {
        let mut tag = tag(kind, &content);
        if let Some(bytes) = claim {
            tag[4..8].copy_from_slice(&bytes.to_le_bytes());
        }
        tag
    })
}

/// The reader answers; what it hands on lies within the information, and errors can be shown.
fn answers(memory: &Blocks) {
    match read(memory, INFO) {
        Ok(info) => {
            let occupied = info.occupied[0].unwrap();
            assert!(memory.bytes(occupied.start(), occupied.bytes() as usize).is_some());
            assert!(info.command_line.len() <= occupied.bytes() as usize);
            let pointer = info.rsdp.map(|at| AddrRange::sized(at, RSDP_OLD_BYTES as u64).unwrap());
            assert!(pointer.is_none_or(|pointer| occupied.contains(pointer)));
        }
        Err(error) => assert!(!std::string::ToString::to_string(&error).is_empty()),
    }
}

proptest! {
    #[test]
    fn neither_the_order_of_tags_nor_what_lies_between_matters(
        tags in Just(std::vec![tag(1, LINE), good_map(), tag(14, &[6; 20]), tag(15, &[7; 40])]).prop_shuffle(),
        between in prop::collection::vec((16u32.., prop::collection::vec(any::<u8>(), 0..20)), 5),
    ) {
        let others = between.iter().map(|(kind, content)| tag(*kind, content));
        let mixed: Vec<_> = others.zip(tags.into_iter().chain([end()])).flat_map(|(a, b)| [a, b]).collect();
        let memory = machine(&mixed);
        let info = read(&memory, INFO).unwrap();
        prop_assert_eq!(info.command_line, &LINE[..LINE.len() - 1]);
        prop_assert_eq!(info.memory.ram_bytes(), 0x9_fc00 + 0x6e_0000 + 0x37f_f000);
        prop_assert_eq!(memory.bytes(info.rsdp.unwrap(), 40), Some(&[7; 40][..]));
    }

    #[test]
    fn never_panics_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0u32..250) {
        let mut bytes = bytes;
        answers(&Blocks::default().with(INFO, bytes.clone()));
        if let Some(claim) = bytes.get_mut(..4) {
            claim.copy_from_slice(&length.to_le_bytes());
        }
        answers(&Blocks::default().with(INFO, bytes));
    }

    #[test]
    fn never_panics_on_arbitrary_tags(
        tags in prop::collection::vec(any_tag(), 0..8),
        has_map in any::<bool>(),
        has_end in any::<bool>(),
    ) {
        let mut tags = tags;
        if has_map {
            tags.insert(0, good_map());
        }
        if has_end {
            tags.push(end());
        }
        answers(&machine(&tags));
    }
}
