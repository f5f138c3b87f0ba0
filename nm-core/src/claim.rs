//! Claims: an interface that has an owner, such as a switch, and cannot be opened by its name.
//!
//! | | [`Netmap::claim`] | open by name | [`Claim::open`] |
//! |---|---|---|---|
//! | closed | claimed | opened | |
//! | a port is open on it | [`InUse`](OpenError::InUse) | as its rings allow | |
//! | claimed | [`Owned`](OpenError::Owned) | [`Owned`](OpenError::Owned) | as its rings allow |
//! | detached | [`Unknown`](OpenError::Unknown) | [`Unknown`](OpenError::Unknown) | [`Gone`](OpenError::Gone) |
//!
//! A claim and an open that meet are one after the other, so one of them is refused.

use alloc::string::{String, ToString};
use alloc::sync::{Arc, Weak};
use core::fmt;

use crate::adapter::{Interface, Interfaces, Opener, Sharing, Wanted};
use crate::mem::Trust;
use crate::name::RingSelection;
use crate::netmap::Netmap;
use crate::open_error::OpenError;
use crate::port::Port;

/// An interface that belongs to the holder. Dropping it gives the interface back: it can be opened by name again, as far as
/// ports that were opened here leave rings.
#[doc(alias = "NETMAP_OWNED_BY_KERN")]
pub struct Claim {
    interface: Arc<Interface>,
    /// Those with which it shares the buffers.
    others: Weak<Interfaces>,
    owner: String,
}

impl Netmap {
    /// Makes the interface `name` belong to `owner`, who is named to all others that want it. Refused if a port is open on
    /// it, or if it has an owner already.
    pub fn claim(&self, name: &str, owner: &str) -> Result<Claim, OpenError> {
        let interface = self.list().named(name)?;
        interface.claim(owner)?;
        Ok(Claim { interface, others: Arc::downgrade(self.list()), owner: owner.to_string() })
    }
}

impl Claim {
    /// Name of the interface.
    pub fn name(&self) -> &str {
        self.interface.name()
    }

    /// Its owner.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Opens a port of these rings. It has them for itself.
    pub fn open(&self, rings: RingSelection) -> Result<Port, OpenError> {
        let trust = Trust::Safe;
        let share = match self.others.upgrade() {
            Some(others) => others.share(&self.interface, trust),
            None => self.interface.region().available(trust),
        };
        let wanted = Wanted { rings, sharing: Sharing::Exclusive, trust, offsets: None };
        Port::new(self.interface.bind(Opener::Owner, wanted, share)?)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.interface.give_back();
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("name", &self.name())
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
