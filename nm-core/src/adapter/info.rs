//! What an interface tells about itself.

use alloc::string::String;
use core::fmt;

use crate::generic::Choice;
use crate::nic::{Link, Mac, Mtu, NicInfo, Shape};

/// What an adapter is.
pub(super) struct AdapterInfo {
    pub(super) nic: NicInfo,
    pub(super) link: Link,
    pub(super) is_open: bool,
}

/// What an interface is. `Display` is the line that the console prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Its name.
    pub name: String,
    /// What the card says of itself, or the generic adapter in its place.
    pub nic: NicInfo,
    /// The adapter that its ports have, or that one gets when it is opened.
    pub adapter: Choice,
    /// Link state.
    pub link: Link,
    /// MTU of its ports.
    pub mtu: Mtu,
    /// Whether a port is open on it.
    pub is_open: bool,
    /// Its owner, if it is [claimed](crate::Netmap::claim).
    pub owner: Option<String>,
}

impl fmt::Display for InterfaceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, nic, adapter, link, mtu, owner, .. } = self;
        write!(f, "{name} mac={} link={link} mtu={mtu} {}", Mac(nic.mac), Shape(nic))?;
        if *adapter == Choice::Generic {
            f.write_str(" adapter=generic")?;
        }
        owner.as_ref().map_or(Ok(()), |owner| write!(f, " owner={owner}"))
    }
}
