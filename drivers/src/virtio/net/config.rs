//! The card's configuration registers (section 5.1.4).

use nm_core::nic::Link;

use super::NetError;
use crate::virtio::features::Features;
use crate::virtio::transport::{Transport, read_stable};

/// Offset of the station address, six bytes.
const MAC: usize = 0;
/// Offset of the status, two bytes.
const STATUS: usize = 6;
/// Bit of the status: there is a carrier.
const STATUS_LINK_UP: u16 = 1;

/// The card's station address, or `fallback` when the device has none.
pub(super) fn station_address<T: Transport>(
    transport: &T,
    features: Features,
    fallback: [u8; 6],
) -> Result<[u8; 6], NetError> {
    if !features.contains(Features::NET_MAC) {
        return Ok(fallback);
    }
    let mac = read_stable(transport, |transport| {
        let mut mac = [0; 6];
        for (i, byte) in mac.iter_mut().enumerate() {
            *byte = transport.config_u8(MAC + i)?;
        }
        Ok(mac)
    })?;
    Ok(mac)
}

/// The state of the link. A device that does not report it, or whose report cannot be read, counts as up: frames
/// that cannot pass are the device's to drop.
pub(super) fn link<T: Transport>(transport: &T, features: Features) -> Link {
    let is_down = features.contains(Features::NET_STATUS)
        && transport.config_u16(STATUS).is_ok_and(|status| status & STATUS_LINK_UP == 0);
    if is_down { Link::Down } else { Link::Up }
}
