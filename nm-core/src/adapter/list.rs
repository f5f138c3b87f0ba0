//! The interfaces of a netmap.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use spin::Mutex;

use super::info::InterfaceInfo;
use super::interface::Interface;
use crate::mem::Trust;
use crate::name::InterfaceName;
use crate::open_error::{KnownInterface, OpenError};

/// The interfaces, in the order in which they were attached.
///
/// The lock is held for a look at the list only: none of an interface's locks is taken under it.
#[derive(Default)]
pub(crate) struct Interfaces(Mutex<Vec<Arc<Interface>>>);

/// There is an interface of that name already.
pub(crate) struct Exists;

impl Interfaces {
    /// Adds an interface, if there is none of its name.
    pub(crate) fn add(&self, interface: Interface) -> Result<(), Exists> {
        let mut list = self.0.lock();
        if list.iter().any(|other| other.name() == interface.name()) {
            return Err(Exists);
        }
        list.push(Arc::new(interface));
        Ok(())
    }

    /// Whether there is an interface of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.lock().iter().any(|interface| interface.name() == name)
    }

    /// Takes the interface `name` out.
    pub(crate) fn remove(&self, name: &str) -> Result<Arc<Interface>, OpenError> {
        let mut list = self.0.lock();
        let at = list.iter().position(|interface| interface.name() == name);
        let removed = at.map(|at| list.remove(at));
        drop(list);
        removed.ok_or_else(|| unknown(name, &self.all()))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Interface>> {
        self.0.lock().clone()
    }

    /// The interface that `wanted` points at, which was asked for as `name`.
    #[doc(alias = "netmap_get_na")]
    pub(crate) fn find(&self, name: &str, wanted: InterfaceName<'_>) -> Result<Arc<Interface>, OpenError> {
        let all = self.all();
        let found = all.iter().find(|interface| match wanted {
            InterfaceName::Name(name) => interface.name() == name,
            InterfaceName::Mac(mac) => interface.info().nic.mac == mac,
        });
        found.cloned().ok_or_else(|| unknown(name, &all))
    }

    /// The interface `name`.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<Interface>, OpenError> {
        self.find(name, InterfaceName::Name(name))
    }

    /// How many buffers an interface that is being opened may have: a fair share of those that its region has for a
    /// port of this kind, among the closed interfaces.
    pub(crate) fn share(&self, of: &Interface, trust: Trust) -> u32 {
        let is_rival =
            |other: &&Arc<Interface>| Arc::ptr_eq(other.region(), of.region()) && !other.is_in_use();
        let rivals = self.all().iter().filter(is_rival).count().max(1);
        of.region().available(trust) / rivals as u32
    }
}

/// There is no interface `name` among these. Takes their locks.
fn unknown(name: &str, all: &[Arc<Interface>]) -> OpenError {
    let known = all.iter().map(|interface| interface.info());
    let known = known.map(|InterfaceInfo { name, nic, .. }| KnownInterface { name, mac: nic.mac }).collect();
    OpenError::Unknown { name: name.to_string(), known }
}
