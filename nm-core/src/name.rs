//! Names of ports: netmap's grammar.
//!
//! `netmap:IF` and plain `IF` are all hardware rings of an interface, `netmap:IF-2` is ring 2 each way. An interface
//! is given by its name, or by its MAC address as `mac-` and 12 hexadecimal digits: `mac-525400000001`. A name that begins
//! with `mac-` is never anything else. `IF^` is the host rings alone, `IF^1` host ring 1 each way, `IF*` hardware and host
//! rings. Other forms of netmap's names (`{1` for a pipe, `/` and `@` for options, `vale…:`) are recognised and refused
//! with the feature that they ask for.

use alloc::string::{String, ToString};
use core::fmt;

/// The longest name of an interface, in bytes.
#[doc(alias = "IFNAMSIZ")]
pub const INTERFACE_NAME_MAX: usize = 15;

/// A port's name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortName<'a> {
    /// The interface.
    pub interface: InterfaceName<'a>,
    /// Which of its rings.
    pub rings: RingSelection,
}

/// How a port's name points at an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceName<'a> {
    /// The interface of this name.
    Name(&'a str),
    /// The interface with this MAC address.
    Mac([u8; 6]),
}

/// The rings that a port binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingSelection {
    /// All hardware rings.
    #[doc(alias = "NR_REG_ALL_NIC")]
    AllHardware,
    /// The hardware ring of this number, each way.
    #[doc(alias("NR_REG_ONE_NIC", "NETMAP_HW_RING"))]
    One(u16),
    /// All host rings.
    #[doc(alias("NR_REG_SW", "NETMAP_SW_RING"))]
    Host,
    /// The host ring of this number, each way.
    #[doc(alias = "NR_REG_ONE_SW")]
    OneHost(u16),
    /// All hardware rings and all host rings.
    #[doc(alias = "NR_REG_NIC_SW")]
    HardwareAndHost,
}

/// Why a name is not the name of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// No interface can have this name.
    Invalid(String),
    /// The name begins with `mac-`, but 12 hexadecimal digits do not follow.
    MalformedMac(String),
    /// The name asks for something that this version does not offer.
    Unsupported {
        /// The whole name.
        name: String,
        /// What it asks for.
        feature: Feature,
    },
}

/// What netmap's names can ask for besides a whole interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `{N` or `}N`
    Pipe,
    /// `/…` or `@…`
    Options,
    /// `valeX:…`
    Vale,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipe => "a pipe",
            Self::Options => "port options",
            Self::Vale => "a VALE switch",
        })
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(name) => write!(f, "\"{name}\" is not the name of a port (netmap:IF or IF)"),
            Self::MalformedMac(name) => write!(
                f,
                "\"{name}\" has a malformed MAC address; the form is mac- and 12 hexadecimal digits, such as \
                 mac-525400000001"
            ),
            Self::Unsupported { name, feature } => {
                write!(f, "\"{name}\" asks for {feature}, which this version does not support")
            }
        }
    }
}

impl core::error::Error for NameError {}

impl<'a> PortName<'a> {
    /// Takes `name` apart.
    pub fn parse(name: &'a str) -> Result<Self, NameError> {
        let unsupported = |feature| Err(NameError::Unsupported { name: name.to_string(), feature });
        if name.starts_with("vale") && name.contains(':') {
            return unsupported(Feature::Vale);
        }
        let invalid = || NameError::Invalid(name.to_string());
        let (interface, suffix) = split_interface(name)?;
        let mut rest = suffix.chars();
        let rings = match rest.next() {
            None => RingSelection::AllHardware,
            Some('-') => RingSelection::One(parse_ring(rest.as_str()).ok_or_else(invalid)?),
            Some('^') if rest.as_str().is_empty() => RingSelection::Host,
            Some('^') => RingSelection::OneHost(parse_ring(rest.as_str()).ok_or_else(invalid)?),
            Some('*') if rest.as_str().is_empty() => RingSelection::HardwareAndHost,
            Some('{' | '}') => return unsupported(Feature::Pipe),
            Some('/' | '@') => return unsupported(Feature::Options),
            Some(_) => return Err(invalid()),
        };
        Ok(Self { interface, rings })
    }
}

/// The interface at the front of a port's name, and what follows it.
fn split_interface(port: &str) -> Result<(InterfaceName<'_>, &str), NameError> {
    let name = port.strip_prefix("netmap:").unwrap_or(port);
    if let Some(rest) = name.strip_prefix("mac-") {
        return split_mac(rest).ok_or_else(|| NameError::MalformedMac(port.to_string()));
    }
    let end = name.find(|c: char| !is_name_character(c)).unwrap_or(name.len());
    let (interface, rest) = name.split_at(end);
    let is_valid = is_interface_name(interface);
    is_valid
        .then_some((InterfaceName::Name(interface), rest))
        .ok_or_else(|| NameError::Invalid(port.to_string()))
}

/// The MAC address at the front of `text`, and what follows it.
fn split_mac(text: &str) -> Option<(InterfaceName<'_>, &str)> {
    let (digits, rest) = text.split_at_checked(MAC_DIGITS)?;
    let continues = rest.starts_with(|c| is_name_character(c) || c == ':');
    parse_mac(digits).filter(|_| !continues).map(|mac| (InterfaceName::Mac(mac), rest))
}

/// Whether a name of an interface can have this character.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// The number of a ring: decimal digits alone.
fn parse_ring(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether an interface can have this name: 1 to [`INTERFACE_NAME_MAX`] letters, digits, dots and underscores.
pub fn is_interface_name(name: &str) -> bool {
    name.chars().all(is_name_character) && (1..=INTERFACE_NAME_MAX).contains(&name.len())
}

/// Digits of a MAC address.
const MAC_DIGITS: usize = 12;

/// Twelve hexadecimal digits.
fn parse_mac(digits: &str) -> Option<[u8; 6]> {
    if digits.len() != MAC_DIGITS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    let [_, _, mac @ ..] = value.to_be_bytes();
    Some(mac)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn interfaces_and_their_rings() {
        let all = RingSelection::AllHardware;
        let by_name = InterfaceName::Name("vtnet0");
        let by_mac = InterfaceName::Mac([0x52, 0x54, 0, 0, 0, 0xab]);
        let cases = [
            ("vtnet0", by_name, all),
            ("netmap:vtnet0", by_name, all),
            ("vtnet0-0", by_name, RingSelection::One(0)),
            ("netmap:vtnet0-12", by_name, RingSelection::One(12)),
            ("vtnet0^", by_name, RingSelection::Host),
            ("netmap:vtnet0^3", by_name, RingSelection::OneHost(3)),
            ("netmap:vtnet0*", by_name, RingSelection::HardwareAndHost),
            ("mac-5254000000ab*", by_mac, RingSelection::HardwareAndHost),
            ("mac-5254000000aB", by_mac, all),
            ("netmap:mac-5254000000ab-1", by_mac, RingSelection::One(1)),
        ];
        for (name, interface, rings) in cases {
            assert_eq!(PortName::parse(name), Ok(PortName { interface, rings }), "{name}");
        }
    }

    #[test]
    fn what_is_not_offered_is_named() {
        let cases = [
            ("netmap:em0{1", Feature::Pipe),
            ("em0}1", Feature::Pipe),
            ("netmap:em0/x", Feature::Options),
            ("em0@2", Feature::Options),
            ("vale0:x", Feature::Vale),
        ];
        for (name, feature) in cases {
            assert_eq!(PortName::parse(name), Err(NameError::Unsupported { name: name.into(), feature }));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            "netmap:",
            "netmap:^",
            "em 0",
            "netmap:netmap:em0",
            "em0-",
            "em0-x",
            "em0-+1",
            "em0-65536",
            "em0-1^",
            "em0^*",
            "em0^-1",
            "em0*1",
            "abcdefghijklmnop",
            "em0é",
        ] {
            assert_eq!(PortName::parse(name), Err(NameError::Invalid(name.into())), "{name}");
        }
    }

    #[test]
    fn a_malformed_mac_address_is_named_as_such() {
        let names = [
            "mac-",
            "mac-5254",
            "mac-52540000001",
            "mac-5254000000011",
            "mac-52540000000g",
            "mac-+25400000001",
            "mac-52:54:00:00:00:01",
            "mac-525400000001:",
            "netmap:mac-0",
            "mac-52540000000é",
        ];
        for name in names {
            assert_eq!(PortName::parse(name), Err(NameError::MalformedMac(name.into())), "{name}");
        }
        for name in ["mac-525400000001-", "mac-525400000001^x"] {
            assert_eq!(PortName::parse(name), Err(NameError::Invalid(name.into())), "{name}");
        }
        assert_eq!(PortName::parse("mac0-1").map(|port| port.rings), Ok(RingSelection::One(1)));
        assert_eq!(
            NameError::MalformedMac("mac-5254".into()).to_string(),
            "\"mac-5254\" has a malformed MAC address; the form is mac- and 12 hexadecimal digits, such as \
             mac-525400000001"
        );
    }

    proptest! {
        #[test]
        fn never_panics(name in "\\PC{0,40}") {
            let _ = PortName::parse(&name);
        }
    }
}
