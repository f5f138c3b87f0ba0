//! Ethernet frames to send: headers of every kind, and contents that differ in each.

use std::env;

use fastrand::Rng;

/// Bytes of an Ethernet header without tags.
pub const HEADER: usize = 14;
/// The shortest frame of a standard Ethernet, without its checksum.
pub const SHORTEST: usize = 60;
/// The longest untagged one.
pub const LONGEST: usize = 1514;

/// An EtherType set aside for experiments on a local network.
pub const EXPERIMENTAL: u16 = 0x88b5;
/// 802.1Q: a customer's VLAN tag.
pub const VLAN: u16 = 0x8100;
/// 802.1ad: a provider's VLAN tag, in front of a customer's.
pub const QINQ: u16 = 0x88a8;

/// The address that all stations listen to.
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// A seed for frames: the one in `MILLRACE_SEED`, or another each time. It is printed, so that a failure can
/// be had again.
pub fn seed() -> u64 {
    let given = env::var("MILLRACE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("frames are made from MILLRACE_SEED={seed}");
    seed
}

/// Random frames.
#[derive(Debug)]
pub struct Generator {
    random: Rng,
}

/// EtherTypes of IPv4, IPv6 and tags, behind which QEMU's e1000e looks: it does not send a frame whose IP header is no such.
const PARSED: [u16; 4] = [0x0800, 0x86dd, VLAN, QINQ];

impl Generator {
    /// From a [`seed`].
    pub fn new() -> Self {
        Self { random: Rng::with_seed(seed()) }
    }

    /// `length` random bytes, all of them: header too. Only that the EtherType is none that a card looks behind.
    pub fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut frame = vec![0; length];
        self.random.fill(&mut frame);
        if let Some(ethertype) = frame.get_mut(12..14)
            && PARSED.iter().any(|parsed| parsed.to_be_bytes() == *ethertype)
        {
            ethertype.copy_from_slice(&EXPERIMENTAL.to_be_bytes());
        }
        frame
    }

    /// A random frame of `length` bytes between two random stations.
    pub fn frame(&mut self, length: usize) -> Vec<u8> {
        let destination = self.station();
        self.frame_to(destination, &[], length)
    }

    /// A random frame of `length` bytes to `destination`, with `tags` of EtherType and content in front of
    /// its own EtherType.
    pub fn frame_to(&mut self, destination: [u8; 6], tags: &[(u16, u16)], length: usize) -> Vec<u8> {
        let mut frame = Vec::with_capacity(length);
        frame.extend(destination);
        frame.extend(self.station());
        for (ethertype, content) in tags {
            frame.extend(ethertype.to_be_bytes());
            frame.extend(content.to_be_bytes());
        }
        frame.extend(EXPERIMENTAL.to_be_bytes());
        let payload = self.noise(length.saturating_sub(frame.len()));
        frame.extend(payload);
        frame.truncate(length);
        frame
    }

    /// The address of one station, administered locally.
    pub fn station(&mut self) -> [u8; 6] {
        let [a, b, c, d, e, ..] = self.random.u64(..).to_le_bytes();
        [0x02, a, b, c, d, e]
    }

    /// The address of a random multicast group.
    pub fn group(&mut self) -> [u8; 6] {
        let [_, b, c, d, e, f] = self.station();
        [0x03, b, c, d, e, f]
    }

    /// A random number within `range`.
    pub fn number(&mut self, range: std::ops::RangeInclusive<u16>) -> u16 {
        self.random.u16(range)
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_between_the_addresses_and_the_ethertype() {
        let frame = Generator::new().frame_to(BROADCAST, &[(QINQ, 7), (VLAN, 0x2005)], 64);
        assert_eq!(frame.len(), 64);
        assert_eq!(frame[..6], BROADCAST);
        assert_eq!(frame[12..22], [0x88, 0xa8, 0, 7, 0x81, 0, 0x20, 5, 0x88, 0xb5]);
    }

    /// Of so many frames, a dozen would.
    #[test]
    fn noise_names_no_protocol_that_is_looked_into() {
        let mut generator = Generator::new();
        for _ in 0..200_000 {
            let frame = generator.noise(HEADER);
            let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
            assert!(!PARSED.contains(&ethertype), "{ethertype:#06x}");
        }
    }

    #[test]
    fn any_length_can_be_had() {
        let mut generator = Generator::new();
        for length in 1..=LONGEST {
            assert_eq!(generator.frame(length).len(), length);
        }
    }
}
