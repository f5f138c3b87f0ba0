//! What stands in for QEMU where the harness itself is tested: a bridge that can be told to do wrong.

use std::os::unix::net::UnixDatagram;
use std::thread;

use crate::Wire;
use crate::wire::LONGEST_FRAME;

/// A wire, and what stands in for QEMU's end of it.
pub(crate) fn wire_and_card() -> (Wire, UnixDatagram) {
    let wire = Wire::new().unwrap();
    let card = UnixDatagram::bind(wire.card_path()).unwrap();
    card.connect(wire.host_path()).unwrap();
    wire.connect().unwrap();
    (wire, card)
}

/// Two wires, and between them, left to right, a bridge that passes what `treat` makes of each frame and its
/// number. It ends with the wires.
pub(crate) fn bridge(treat: impl Fn(usize, Vec<u8>) -> Vec<Vec<u8>> + Send + 'static) -> (Wire, Wire) {
    let (left, left_card) = wire_and_card();
    let (right, right_card) = wire_and_card();
    thread::spawn(move || {
        let mut buffer = vec![0; LONGEST_FRAME];
        for number in 0.. {
            let Ok(length) = left_card.recv(&mut buffer) else { return };
            for frame in treat(number, buffer[..length].to_vec()) {
                if right_card.send(&frame).is_err() {
                    return;
                }
            }
        }
    });
    (left, right)
}
