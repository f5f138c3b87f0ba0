//! The card's configuration registers (section 5.1.4).

use core::ops::RangeInclusive;

use log::warn;
use nm_driver::nic::{Link, Mtu};

use super::NetError;
use crate::virtio::features::Features;
use crate::virtio::transport::{Transport, read_stable};

/// Offset of the station address, six bytes.
const MAC: usize = 0;
/// Offset of the number of queue pairs, two bytes.
const QUEUE_PAIRS: usize = 8;
/// Offset of the status, two bytes.
const STATUS: usize = 6;
/// Offset of the MTU, two bytes.
const MTU: usize = 10;
/// Bit of the status: there is a carrier.
const STATUS_LINK_UP: u16 = 1;

/// Queue pairs that a device may say it has (section 5.1.4.1).
const QUEUE_PAIRS_ALLOWED: RangeInclusive<u16> = 1..=0x8000;

/// How many queue pairs the device says it has. A number that cannot be is taken for one, which every card has.
pub(super) fn queue_pairs(transport: &dyn Transport, features: Features) -> u16 {
    if !features.contains(Features::NET_MQ) {
        return 1;
    }
    let pairs = transport.config_u16(QUEUE_PAIRS).ok();
    pairs.filter(|pairs| QUEUE_PAIRS_ALLOWED.contains(pairs)).unwrap_or(1)
}

/// The largest MTU that the device takes (section 5.1.4), if it says so by `offered`. One that is out of range, which is named in
/// the log, or cannot be read, counts as none.
pub(super) fn mtu(transport: &dyn Transport, offered: Features) -> Option<Mtu> {
    if !offered.contains(Features::NET_MTU) {
        return None;
    }
    let bytes = transport.config_u16(MTU).ok()?;
    let mtu = Mtu::new(bytes);
    if mtu.is_none() {
        let (least, most, default) = (Mtu::MIN, Mtu::MAX, Mtu::ETHERNET);
        warn!(
            "the device reports an MTU of {bytes}, not {least} to {most}; it is ignored (default {default})"
        );
    }
    mtu
}

/// The card's station address, or `fallback` when the device has none.
pub(super) fn station_address(
    transport: &dyn Transport,
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
pub(super) fn link(transport: &dyn Transport, features: Features) -> Link {
    let is_down = features.contains(Features::NET_STATUS)
        && transport.config_u16(STATUS).is_ok_and(|status| status & STATUS_LINK_UP == 0);
    if is_down { Link::Down } else { Link::Up }
}
