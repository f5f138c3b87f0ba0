//! Which devices have a driver: each one at most.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use crate::pci::Address;

/// How a device is found, which tells it from all others of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicePlace {
    /// A PCI function.
    Pci(Address),
    /// A device whose registers are at this physical address.
    Mmio(u64),
}

/// The devices of a machine that are claimed. [`Hal`](crate::hal::Hal) has the set.
///
/// The lock is held for a look-up only, and never in an interrupt handler.
#[derive(Debug)]
pub struct Claims(Arc<Mutex<Vec<DevicePlace>>>);

/// A claimed device. Dropped, it can be claimed again.
#[derive(Debug)]
pub struct DeviceClaim {
    place: DevicePlace,
    claims: Arc<Mutex<Vec<DevicePlace>>>,
    is_kept: bool,
}

/// A driver has the device already, or had it and could not stop it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlreadyClaimed(pub DevicePlace);

impl Claims {
    /// None yet.
    #[expect(clippy::new_without_default, reason = "a set is made for a machine, on purpose")]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    /// Claims the device at `place`.
    #[inline(never)]
    pub fn claim(&self, place: DevicePlace) -> Result<DeviceClaim, AlreadyClaimed> {
        let mut claimed = self.0.lock();
        if claimed.contains(&place) {
            return Err(AlreadyClaimed(place));
        }
        claimed.push(place);
        Ok(DeviceClaim { place, claims: self.0.clone(), is_kept: false })
    }
}

impl DeviceClaim {
    /// Keeps the claim for good, also when this value is dropped: for a device that could not be stopped, which must not be
    /// let access memory again.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for DeviceClaim {
    #[inline(never)]
    fn drop(&mut self) {
        if !self.is_kept {
            self.claims.lock().retain(|place| *place != self.place);
        }
    }
}

impl fmt::Display for AlreadyClaimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place) = self;
        write!(f, "the device at {place} already has a driver")
    }
}

impl core::error::Error for AlreadyClaimed {}

impl fmt::Debug for AlreadyClaimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DevicePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(address) => write!(f, "PCI {address}"),
            Self::Mmio(address) => write!(f, "{address:#x}"),
        }
    }
}
