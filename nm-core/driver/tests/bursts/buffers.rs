//! The bytes of a buffer, by words.

use nm_driver::buffers::HEADROOM;

use crate::memory::{CAPACITY, Memory};

/// Bytes that tell their place.
fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8 + 1).collect()
}

#[test]
fn frames_of_any_length_go_in_and_come_out() {
    let memory = Memory::new(4);
    let buffers = memory.view().buffers;
    for len in 0..=usize::from(CAPACITY) {
        let frame = numbered(len);
        let mut buffer = buffers.get(3).unwrap();
        buffer.clear();
        assert_eq!(buffer.copy_from(&frame), Some(len as u16));
        let mut bytes = vec![0xff; usize::from(CAPACITY) + 9];
        assert_eq!(buffer.copy_to(&mut bytes), CAPACITY.into(), "no more than the payload");
        assert_eq!(bytes[..len], frame);
        assert!(bytes[len..usize::from(CAPACITY)].iter().all(|byte| *byte == 0));
        assert_eq!(bytes[CAPACITY.into()..], [0xff; 9]);
        assert_eq!(buffer.copy_to(&mut bytes[..len]), len);
        assert_eq!(memory.read(2, CAPACITY.into()), [0; CAPACITY as usize], "the buffer in front of it");
        assert_eq!(memory.read(4, CAPACITY.into()), [0; CAPACITY as usize], "and the one behind it");
    }
    assert_eq!(buffers.get(3).unwrap().copy_from(&[0; CAPACITY as usize + 1]), None);
}

#[test]
fn a_header_ends_where_the_payload_begins() {
    let memory = Memory::new(4);
    let buffers = memory.view().buffers;
    let mut buffer = buffers.get(2).unwrap();
    buffer.copy_from(&numbered(CAPACITY.into())).unwrap();
    buffer.write_header([0xaa; HEADROOM]);
    buffer.write_header([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    buffer.write_header([0; 0]);
    let headroom = memory.headroom(2);
    assert_eq!(headroom[..48], [0xaa; 48]);
    assert_eq!(headroom[48..], [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(memory.read(2, CAPACITY.into()), numbered(CAPACITY.into()));
    buffer.clear();
    assert_eq!((memory.headroom(2), memory.read(2, 8)), (vec![0; HEADROOM], vec![0; 8]));
}

#[test]
fn reserved_buffers_and_those_behind_the_last_are_none() {
    let buffers = Memory::new(4).view().buffers;
    let there: Vec<u32> = (0..10).filter(|&index| buffers.get(index).is_some()).collect();
    assert_eq!(there, [2, 3, 4, 5]);
    assert!((0..10).all(|index| buffers.contains(index) == there.contains(&index)));
    assert!(!buffers.contains(u32::MAX));
}
