//! Feature bits (section 2.2).

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// What a device offers, and what a driver accepts of it: the bits that this crate knows. Bits 24 to 40 are the same for all
    /// devices (section 6), the others are a network card's (section 5.1.3). Legacy devices have the lower 32.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Features: u64 {
        /// The device's largest MTU is in the configuration.
        const NET_MTU = 1 << 3;
        /// The station address is in the configuration.
        const NET_MAC = 1 << 5;
        /// The device spreads a frame that is longer than a receive buffer over several (section 5.1.6.3.2).
        const NET_MRG_RXBUF = 1 << 15;
        /// The link state is in the configuration.
        const NET_STATUS = 1 << 16;
        /// There is a control queue (section 5.1.6.5).
        const NET_CTRL_VQ = 1 << 17;
        /// The control queue takes the modes of reception.
        const NET_CTRL_RX = 1 << 18;
        /// There may be several queue pairs: the configuration says how many.
        const NET_MQ = 1 << 22;
        /// A legacy device takes a header and its packet in one descriptor (section 6.3).
        const ANY_LAYOUT = 1 << 27;
        /// Both sides say at which index they want to be notified (section 2.7.7 and 2.7.10).
        const RING_EVENT_IDX = 1 << 29;
        /// The device follows version 1 of the specification or a later one.
        const VERSION_1 = 1 << 32;
        /// The device uses addresses of the platform: what it accesses goes through an IOMMU if there is one, and is a
        /// physical address if there is none. Without the feature they are physical addresses in any case (section 6.1).
        const ACCESS_PLATFORM = 1 << 33;
        /// Queues are packed (section 2.8).
        const RING_PACKED = 1 << 34;
        /// The device uses the buffers of each queue in the order in which they were posted (sections 2.7.9 and 2.8.9).
        const IN_ORDER = 1 << 35;
        /// Memory accesses are ordered as the platform has it for devices in hardware (section 6.1).
        const ORDER_PLATFORM = 1 << 36;
        const _ = !0;
    }
}

/// The names that the specification has for feature bits, without `VIRTIO_F_` and `VIRTIO_NET_F_`: those that any device may offer
/// (section 6), then those of network cards (section 5.1.3). Error messages name features that were not accepted, so the list
/// has more than this driver uses.
const NAMES: [(u32, &str); 49] = [
    (24, "NOTIFY_ON_EMPTY"),
    (27, "ANY_LAYOUT"),
    (28, "INDIRECT_DESC"),
    (29, "EVENT_IDX"),
    (32, "VERSION_1"),
    (33, "ACCESS_PLATFORM"),
    (34, "RING_PACKED"),
    (35, "IN_ORDER"),
    (36, "ORDER_PLATFORM"),
    (37, "SR_IOV"),
    (38, "NOTIFICATION_DATA"),
    (39, "NOTIF_CONFIG_DATA"),
    (40, "RING_RESET"),
    (41, "ADMIN_VQ"),
    (0, "CSUM"),
    (1, "GUEST_CSUM"),
    (2, "CTRL_GUEST_OFFLOADS"),
    (3, "MTU"),
    (5, "MAC"),
    (6, "GSO"),
    (7, "GUEST_TSO4"),
    (8, "GUEST_TSO6"),
    (9, "GUEST_ECN"),
    (10, "GUEST_UFO"),
    (11, "HOST_TSO4"),
    (12, "HOST_TSO6"),
    (13, "HOST_ECN"),
    (14, "HOST_UFO"),
    (15, "MRG_RXBUF"),
    (16, "STATUS"),
    (17, "CTRL_VQ"),
    (18, "CTRL_RX"),
    (19, "CTRL_VLAN"),
    (20, "CTRL_RX_EXTRA"),
    (21, "GUEST_ANNOUNCE"),
    (22, "MQ"),
    (23, "CTRL_MAC_ADDR"),
    (50, "DEVICE_STATS"),
    (51, "HASH_TUNNEL"),
    (53, "VQ_NOTF_COAL"),
    (54, "GUEST_USO4"),
    (55, "GUEST_USO6"),
    (56, "HOST_USO"),
    (57, "HASH_REPORT"),
    (59, "GUEST_HDRLEN"),
    (60, "RSS"),
    (61, "RSC_EXT"),
    (62, "STANDBY"),
    (63, "SPEED_DUPLEX"),
];

/// The features by their names, with commas between them; a bit that has none in `NAMES` is `bit N`. Those of any device come
/// first: a device is more likely to insist on one of them than on an offload.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = |bit: &u32| self.bits() >> bit & 1 == 1;
        let named = NAMES.iter().filter(|(bit, _)| is_set(bit));
        let mut separator = "";
        for (_, name) in named {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        for bit in (0..u64::BITS).filter(|bit| is_set(bit) && NAMES.iter().all(|(named, _)| named != bit)) {
            write!(f, "{separator}bit {bit}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn features_are_told_by_name_and_unknown_ones_by_number() {
        let features = |bits: &[u32]| {
            let bits = bits.iter().fold(0u64, |bits, bit| bits | 1 << bit);
            Features::from_bits_retain(bits).to_string()
        };
        assert_eq!(features(&[]), "");
        assert_eq!(features(&[33]), "ACCESS_PLATFORM");
        assert_eq!(features(&[0, 4, 63, 33, 49]), "ACCESS_PLATFORM, CSUM, SPEED_DUPLEX, bit 4, bit 49");
        let all: std::vec::Vec<u32> = (0..64).collect();
        assert_eq!(features(&all).split(", ").count(), 64, "each bit is told once");
    }

    #[test]
    fn names_are_those_of_the_bits_that_the_driver_uses() {
        for (name, flag) in Features::all().iter_names() {
            let name = name.trim_start_matches("NET_").trim_start_matches("RING_EVENT");
            assert!(flag.to_string().ends_with(name), "{name} is {flag}");
        }
    }
}
