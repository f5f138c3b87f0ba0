//! Where a function sits.

use core::fmt;

/// Bus, device and function number of a function of segment 0; displayed as `00:03.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// Device numbers of one bus.
    pub const DEVICES: u8 = 32;
    /// Function numbers of one device.
    pub const FUNCTIONS: u8 = 8;

    /// The address, unless `device` is above 31 or `function` above 7.
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < Self::DEVICES && function < Self::FUNCTIONS {
            Some(Self { bus, device, function })
        } else {
            None
        }
    }

    /// Bus number.
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// Device number on the bus, 0 to 31.
    pub const fn device(self) -> u8 {
        self.device
    }

    /// Function number in the device, 0 to 7.
    pub const fn function(self) -> u8 {
        self.function
    }

    /// Bus, device and function packed into 16 bits as PCI does: 8, 5 and 3 bits. Shifted left by 8 it is the
    /// address part of port 0xCF8, shifted left by 12 the offset in an ECAM window.
    pub const fn routing_id(self) -> u16 {
        (self.bus as u16) << 8 | (self.device as u16) << 3 | self.function as u16
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{:x}", self.bus, self.device, self.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_numbers_that_do_not_fit_and_packs_those_that_do() {
        assert!(Address::new(0, 32, 0).is_none());
        assert!(Address::new(0, 0, 8).is_none());
        let last = Address::new(255, 31, 7).unwrap();
        assert_eq!(last.routing_id(), 0xffff);
        assert_eq!(Address::new(1, 2, 3).unwrap().routing_id(), 0x0113);
    }

    #[test]
    fn displays_as_lspci_does() {
        assert_eq!(std::format!("{}", Address::new(0, 0x1f, 3).unwrap()), "00:1f.3");
    }
}
