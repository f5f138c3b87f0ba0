//! Names of ports: netmap's grammar.
//!
//! `netmap:IF` and plain `IF` are all hardware rings of an interface, `netmap:IF-2` is ring 2 each way. An interface
//! is given by its name, or by its MAC address as `mac-` and 12 hexadecimal digits: `mac-525400000001`. A name that begins
//! with `mac-` is never anything else. `IF^` is the host rings alone, `IF^1` host ring 1 each way, `IF*` hardware and host
//! rings.
//!
//! The rest of netmap's grammar is recognised, and refused with the feature that it asks for: a VALE port (`vale0:x`), a pipe
//! (`IF{1`, `IF}1`), and behind the rings flags (`/x`) and a memory region or options (`@2`, `@conf:rings=2`). A name selects
//! rings once.

use alloc::string::{String, ToString};
use core::fmt::{self, Write as _};

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
    /// The name selects rings twice, or rings of a pipe: of `-`, `^`, `*`, `{` and `}` there may be one.
    Combined {
        /// The whole name.
        name: String,
        /// The first of the two marks.
        first: char,
        /// The second.
        second: char,
    },
    /// The name asks for something that this version does not offer.
    Unsupported {
        /// The whole name.
        name: String,
        /// What it asks for.
        feature: Feature,
    },
}

/// What netmap's names can ask for besides an interface and its rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `{N` or `}N`
    Pipe,
    /// `valeX:…`
    Vale,
    /// `/x`: no other port of the interface.
    #[doc(alias = "NR_EXCLUSIVE")]
    Exclusive,
    /// `/t`, `/r`, `/z`: a look at the frames of another port.
    #[doc(alias("NR_MONITOR_TX", "NR_MONITOR_RX", "NR_ZCOPY_MON"))]
    Monitor,
    /// `/R` or `/T`: receive rings or transmit rings only.
    #[doc(alias("NR_RX_RINGS_ONLY", "NR_TX_RINGS_ONLY"))]
    OneDirection,
    /// `@N`
    MemoryRegion,
    /// `@…`, other than a number.
    Options,
}

impl Feature {
    /// What a flag behind `/` asks for.
    fn of_flag(flag: u8) -> Option<Self> {
        const FLAGS: [(&[u8], Feature); 3] =
            [(b"x", Feature::Exclusive), (b"trz", Feature::Monitor), (b"RT", Feature::OneDirection)];
        FLAGS.iter().find(|(flags, _)| flags.contains(&flag)).map(|(_, feature)| *feature)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipe => "a pipe",
            Self::Vale => "a VALE switch",
            Self::Exclusive => "exclusive use (/x)",
            Self::Monitor => "a monitor (/t, /r, /z)",
            Self::OneDirection => "one direction only (/R, /T)",
            Self::MemoryRegion => "a memory region (@N)",
            Self::Options => "port options (@…)",
        })
    }
}

/// The forms that are supported, for error messages.
const SUPPORTED: &str = "use IF, IF-N, IF^, IF^N or IF*";

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(name) => write!(f, "\"{name}\" is not the name of a port (netmap:IF or IF)"),
            Self::MalformedMac(name) => write!(
                f,
                "\"{name}\" has a malformed MAC address; the form is mac- and 12 hexadecimal digits, such as \
                 mac-525400000001"
            ),
            Self::Combined { name, first, second } => {
                write!(f, "\"{name}\" combines ")?;
                f.write_char(*first)?;
                f.write_str(" and ")?;
                f.write_char(*second)?;
                write!(f, "; {SUPPORTED}")
            }
            Self::Unsupported { name, feature } => {
                write!(f, "\"{name}\" asks for {feature}, which is not supported; {SUPPORTED}")
            }
        }
    }
}

impl core::error::Error for NameError {}

impl<'a> PortName<'a> {
    /// Takes `name` apart.
    pub fn parse(name: &'a str) -> Result<Self, NameError> {
        Self::take_apart(name).map_err(|refusal| refusal.of(name.to_string()))
    }

    fn take_apart(name: &'a str) -> Result<Self, Refusal> {
        let name = without_prefix(name);
        if is_vale(name) {
            return Err(Refusal::Unsupported(Feature::Vale));
        }
        let (interface, suffix) = split_interface(name)?;
        let suffix = suffix.as_bytes();
        let (rings, rest) = split_rings(suffix).ok_or(Refusal::Invalid)?;
        let Some((&mark, behind)) = rest.split_first() else { return Ok(Self { interface, rings }) };
        let feature = match mark {
            b'/' => parse_flags(behind),
            b'@' => parse_options(behind),
            _ if !is_ring_mark(mark) => None,
            _ => match suffix.first().filter(|_| suffix.len() != rest.len()) {
                Some(&first) => return Err(Refusal::Combined { first, second: mark }),
                None => Some(Feature::Pipe),
            },
        };
        Err(feature.map_or(Refusal::Invalid, Refusal::Unsupported))
    }
}

/// A [`NameError`] without the name.
enum Refusal {
    Invalid,
    MalformedMac,
    Combined { first: u8, second: u8 },
    Unsupported(Feature),
}

impl Refusal {
    fn of(self, name: String) -> NameError {
        match self {
            Self::Invalid => NameError::Invalid(name),
            Self::MalformedMac => NameError::MalformedMac(name),
            Self::Combined { first, second } => {
                NameError::Combined { name, first: first.into(), second: second.into() }
            }
            Self::Unsupported(feature) => NameError::Unsupported { name, feature },
        }
    }
}

/// What names of ports may begin with.
const PREFIX: &str = "netmap:";

/// The name behind its prefix, if it has one.
fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Whether a name, without prefix, is that of a port of a VALE switch. The switch's own name may be empty.
fn is_vale(name: &str) -> bool {
    let behind = name.strip_prefix("vale").map(|switch| switch.trim_start_matches(is_name_character));
    behind.is_some_and(|behind| behind.starts_with(':'))
}

/// Whether this selects rings or a pipe.
fn is_ring_mark(mark: u8) -> bool {
    matches!(mark, b'-' | b'^' | b'*' | b'{' | b'}')
}

/// The rings that a suffix selects, and what follows. `None` if there is no number where there must be one.
fn split_rings(suffix: &[u8]) -> Option<(RingSelection, &[u8])> {
    let Some((mark @ (b'-' | b'^' | b'*'), rest)) = suffix.split_first() else {
        return Some((RingSelection::AllHardware, suffix));
    };
    let (number, behind) = split_number(rest)?;
    match (mark, number) {
        (b'-', Some(ring)) => Some((RingSelection::One(ring), behind)),
        (b'^', None) => Some((RingSelection::Host, behind)),
        (b'^', Some(ring)) => Some((RingSelection::OneHost(ring), behind)),
        (b'*', None) => Some((RingSelection::HardwareAndHost, behind)),
        _ => None,
    }
}

/// The decimal number at the front, if there is one, and what follows it. `None` for a number that no ring has.
fn split_number(mut text: &[u8]) -> Option<(Option<u16>, &[u8])> {
    let mut number = None;
    while let Some((&digit @ b'0'..=b'9', rest)) = text.split_first() {
        number = Some(number.unwrap_or(0u16).checked_mul(10)?.checked_add(u16::from(digit - b'0'))?);
        text = rest;
    }
    Some((number, text))
}

/// What the flags behind `/` ask for, which options may follow: the first counts.
fn parse_flags(text: &[u8]) -> Option<Feature> {
    let mut first = None;
    for (at, flag) in text.iter().enumerate() {
        if *flag == b'@' {
            return first.filter(|_| at + 1 < text.len());
        }
        let feature = Feature::of_flag(*flag)?;
        first = first.or(Some(feature));
    }
    first
}

/// What the text behind `@` asks for, if there is any.
fn parse_options(text: &[u8]) -> Option<Feature> {
    let is_number = text.iter().all(u8::is_ascii_digit);
    (!text.is_empty()).then_some(if is_number { Feature::MemoryRegion } else { Feature::Options })
}

/// The interface at the front of a name without prefix, and what follows it.
fn split_interface(name: &str) -> Result<(InterfaceName<'_>, &str), Refusal> {
    if let Some(rest) = name.strip_prefix("mac-") {
        return split_mac(rest).ok_or(Refusal::MalformedMac);
    }
    let end = name.find(|c: char| !is_name_character(c)).unwrap_or(name.len());
    let (interface, rest) = name.split_at(end);
    if is_interface_name(interface) {
        Ok((InterfaceName::Name(interface), rest))
    } else {
        Err(Refusal::Invalid)
    }
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
            ("em0{1-0", Feature::Pipe),
            ("em0{1/z", Feature::Pipe),
            ("netmap:em0/x", Feature::Exclusive),
            ("em0*/x", Feature::Exclusive),
            ("em0/xR@3", Feature::Exclusive),
            ("em0-1/R", Feature::OneDirection),
            ("em0^/T", Feature::OneDirection),
            ("em0-1/RT", Feature::OneDirection),
            ("em0^2/t", Feature::Monitor),
            ("mac-525400000001/rz", Feature::Monitor),
            ("em0@2", Feature::MemoryRegion),
            ("em0-1@3", Feature::MemoryRegion),
            ("em0@conf:rings=1", Feature::Options),
            ("em0*@vale1:2", Feature::Options),
            ("vale0:x", Feature::Vale),
            ("vale0:1", Feature::Vale),
            ("vale:x-1", Feature::Vale),
            ("netmap:vale0:1", Feature::Vale),
        ];
        for (name, feature) in cases {
            assert_eq!(PortName::parse(name), Err(NameError::Unsupported { name: name.into(), feature }));
        }
        let error = PortName::parse("em0-1/R").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"em0-1/R\" asks for one direction only (/R, /T), which is not supported; use IF, IF-N, IF^, IF^N or IF*"
        );
    }

    #[test]
    fn rings_are_selected_once() {
        let cases = [
            ("em0-1{2", '-', '{'),
            ("em0^}2", '^', '}'),
            ("em0*{2", '*', '{'),
            ("em0-1^", '-', '^'),
            ("em0^*", '^', '*'),
            ("em0^-1", '^', '-'),
            ("netmap:em0^1-1", '^', '-'),
            ("mac-525400000001*^", '*', '^'),
        ];
        for (name, first, second) in cases {
            let expected = NameError::Combined { name: name.into(), first, second };
            assert_eq!(PortName::parse(name), Err(expected), "{name}");
        }
        assert_eq!(
            PortName::parse("em0-1{2").unwrap_err().to_string(),
            "\"em0-1{2\" combines - and {; use IF, IF-N, IF^, IF^N or IF*"
        );
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
            "em0-1x",
            "em0^x",
            "em0*1",
            "em0/",
            "em0/Q",
            "em0/xQ",
            "em0/x@",
            "em0@",
            "em0:1",
            "em0-/R",
            "va le0:1",
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
