//! The maximum transmission unit of an interface.

use core::fmt;

/// The longest payload of a frame behind its Ethernet header and tags, in bytes: [`Mtu::MIN`] to [`Mtu::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtu(u16);

/// Two MAC addresses and a type (IEEE 802.3, 3.1.1).
const ETHERNET_HEADER: u16 = 14;
/// Two VLAN tags, of the service and of the customer (IEEE 802.1Q, 9.3 and 9.5).
const VLAN_TAGS: u16 = 8;

impl Mtu {
    /// The smallest: what each IPv4 link must carry (RFC 791, 3.2), and the smallest that a virtio device may report (virtio 1.3,
    /// 5.1.4.1).
    pub const MIN: Self = Self(68);
    /// The largest: jumbo frames as switches commonly take them.
    pub const MAX: Self = Self(9000);
    /// That of Ethernet (IEEE 802.3, 3.2.7).
    pub const ETHERNET: Self = Self(1500);

    /// An MTU of `bytes`; `None` outside [`Mtu::MIN`] to [`Mtu::MAX`].
    pub const fn new(bytes: u16) -> Option<Self> {
        if bytes >= Self::MIN.0 && bytes <= Self::MAX.0 { Some(Self(bytes)) } else { None }
    }

    /// In bytes.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The longest frame, in bytes without CRC: with an Ethernet header and two VLAN tags.
    pub const fn frame_max(self) -> u16 {
        self.0 + ETHERNET_HEADER + VLAN_TAGS
    }

    /// The largest MTU whose longest frame has at most `bytes` bytes; `None` if that is below [`Mtu::MIN`].
    pub const fn of_frames(bytes: u16) -> Option<Self> {
        let payload = bytes.saturating_sub(ETHERNET_HEADER + VLAN_TAGS);
        Self::new(if payload > Self::MAX.0 { Self::MAX.0 } else { payload })
    }
}

impl Default for Mtu {
    /// [`Mtu::ETHERNET`].
    fn default() -> Self {
        Self::ETHERNET
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mtu_has_68_to_9000_bytes_and_its_frames_22_more() {
        let frame = |bytes| Mtu::new(bytes).map(Mtu::frame_max);
        for (bytes, expected) in [
            (67, None),
            (68, Some(90)),
            (1500, Some(1522)),
            (9000, Some(9022)),
            (9001, None),
            (u16::MAX, None),
        ] {
            assert_eq!(frame(bytes), expected, "{bytes}");
        }
        for (bytes, expected) in
            [(0, None), (89, None), (90, Some(68)), (1984, Some(1962)), (u16::MAX, Some(9000))]
        {
            assert_eq!(Mtu::of_frames(bytes).map(Mtu::get), expected, "{bytes}");
        }
    }
}
