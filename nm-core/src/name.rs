//! Names of ports: netmap's grammar.
//!
//! `netmap:IF` and plain `IF` are all hardware rings of an interface. An interface goes by its name, or by its
//! station address as `mac-525400000001`. What netmap writes behind the interface (`-1` for one ring, `^` and `*` for
//! host rings, `{1` for a pipe, `/` and `@` for options) and `vale…:` names are recognised and refused as what they
//! are, so that nobody looks for an interface of that name.

use alloc::string::{String, ToString};
use core::fmt;

/// The longest name of an interface, in bytes.
#[doc(alias = "IFNAMSIZ")]
pub const INTERFACE_NAME_MAX: usize = 15;

/// A port's name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortName<'a> {
    /// The interface of this name.
    Interface(&'a str),
    /// The interface with this station address.
    Mac([u8; 6]),
}

/// Why a name is not the name of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// No interface can have this name.
    Invalid(String),
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
    /// `-N`
    SingleRing,
    /// `^` or `*`
    HostRings,
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
            Self::SingleRing => "a single ring",
            Self::HostRings => "host rings",
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
            Self::Unsupported { name, feature } => {
                write!(f, "\"{name}\" asks for {feature}, which this version does not have")
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
        let rest = name.strip_prefix("netmap:").unwrap_or(name);
        if let Some(mac) = rest.strip_prefix("mac-").and_then(parse_mac) {
            return Ok(Self::Mac(mac));
        }
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
        let (interface, suffix) = rest.split_at(end);
        if !is_interface_name(interface) {
            return Err(NameError::Invalid(name.to_string()));
        }
        match suffix.chars().next() {
            None => Ok(Self::Interface(interface)),
            Some('-') => unsupported(Feature::SingleRing),
            Some('^' | '*') => unsupported(Feature::HostRings),
            Some('{' | '}') => unsupported(Feature::Pipe),
            Some('/' | '@') => unsupported(Feature::Options),
            Some(_) => Err(NameError::Invalid(name.to_string())),
        }
    }
}

/// Whether an interface can have this name: 1 to [`INTERFACE_NAME_MAX`] letters, digits, dots and underscores.
pub fn is_interface_name(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    letters && (1..=INTERFACE_NAME_MAX).contains(&name.len())
}

/// Twelve hexadecimal digits.
fn parse_mac(digits: &str) -> Option<[u8; 6]> {
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
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
    fn whole_interfaces() {
        for name in ["vtnet0", "netmap:vtnet0"] {
            assert_eq!(PortName::parse(name), Ok(PortName::Interface("vtnet0")));
        }
        let mac = Ok(PortName::Mac([0x52, 0x54, 0, 0, 0, 0xab]));
        assert_eq!(PortName::parse("mac-5254000000aB"), mac);
        assert_eq!(PortName::parse("netmap:mac-5254000000ab"), mac);
    }

    #[test]
    fn what_is_not_offered_is_named() {
        let cases = [
            ("netmap:em0-1", Feature::SingleRing),
            ("em0^", Feature::HostRings),
            ("netmap:em0*", Feature::HostRings),
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
        for name in ["", "netmap:", "netmap:^", "em 0", "netmap:netmap:em0", "abcdefghijklmnop", "em0é"] {
            assert_eq!(PortName::parse(name), Err(NameError::Invalid(name.into())), "{name}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(name in "\\PC{0,40}") {
            let _ = PortName::parse(&name);
        }
    }
}
