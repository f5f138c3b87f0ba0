//! What a function says about itself in the first registers.

use core::fmt;

use super::capability::Capabilities;
use super::config::register;
use super::{Address, Command, ConfigSpace};

/// A function that answered, and the facts by which a driver recognises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Where it sits.
    pub address: Address,
    /// Vendor id.
    pub vendor: u16,
    /// Device id, the vendor's choice.
    pub device: u16,
    /// Revision, the vendor's choice.
    pub revision: u8,
    /// Base class: 2 is a network controller, 6 a bridge.
    pub class: u8,
    /// Subclass.
    pub subclass: u8,
    /// Programming interface within the subclass.
    pub interface: u8,
    /// What the registers behind the first 16 bytes look like.
    pub header: Header,
    /// The device has functions beyond number 0 (as function 0 says; meaningless in the others).
    pub is_multifunction: bool,
    /// The board that the function is on; only with [`Header::Endpoint`].
    pub subsystem: Option<SubsystemId>,
}

/// Layout of a function's header (section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Type 0: a device.
    Endpoint,
    /// Type 1: a PCI-to-PCI bridge.
    Bridge,
    /// Anything else: CardBus, or unknown.
    Other(u8),
}

/// Who made the board, and which it is (section 6.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubsystemId {
    /// Vendor id of the board's maker.
    pub vendor: u16,
    /// The maker's number.
    pub device: u16,
}

/// Base class of network controllers, whatever their subclass (PCI Code and ID Assignment Specification, section 1.3).
const NETWORK_CONTROLLER: u8 = 0x02;

impl Function {
    /// Whether its base class is that of network controllers.
    pub fn is_network_controller(&self) -> bool {
        self.class == NETWORK_CONTROLLER
    }

    /// Reads the facts of the function at `address`; `None` when none answers there.
    pub fn read(config: &dyn ConfigSpace, address: Address) -> Option<Self> {
        let (vendor, device) = halves(config.read32(address, register::VENDOR_AND_DEVICE));
        if matches!(vendor, 0xffff | 0) {
            return None;
        }
        let [revision, interface, subclass, class] =
            config.read32(address, register::CLASS_AND_REVISION).to_le_bytes();
        let [_line, _latency, kind, _bist] = config.read32(address, register::HEADER_TYPE).to_le_bytes();
        let header = Header::from_register(kind);
        let subsystem = (header == Header::Endpoint).then(|| {
            let (vendor, device) = halves(config.read32(address, register::SUBSYSTEM));
            SubsystemId { vendor, device }
        });
        let is_multifunction = kind & 0x80 != 0;
        Some(Self {
            address,
            vendor,
            device,
            revision,
            class,
            subclass,
            interface,
            header,
            is_multifunction,
            subsystem,
        })
    }

    /// The function's capability list.
    pub fn capabilities<'a>(&self, config: &'a dyn ConfigSpace) -> Capabilities<'a> {
        Capabilities::of(config, self.address)
    }

    /// Sets and clears bits of the command register and tells what it held before.
    pub fn change_command(&self, config: &dyn ConfigSpace, set: Command, clear: Command) -> Command {
        let (before, _status) = halves(config.read32(self.address, register::COMMAND_AND_STATUS));
        let before = Command::from_bits_retain(before);
        let after = before.difference(clear).union(set);
        // The status register shares the dword; its bits are cleared by writing ones, so it gets zeros.
        config.write32(self.address, register::COMMAND_AND_STATUS, u32::from(after.bits()));
        before
    }
}

impl Header {
    fn from_register(kind: u8) -> Self {
        match kind & 0x7f {
            0 => Self::Endpoint,
            1 => Self::Bridge,
            other => Self::Other(other),
        }
    }

    /// How many BARs a header of this kind has.
    pub(super) fn bar_count(self) -> u8 {
        match self {
            Self::Endpoint => 6,
            Self::Bridge => 2,
            Self::Other(_) => 0,
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, vendor, device, class, subclass, .. } = self;
        write!(f, "{address} {vendor:04x}:{device:04x} class {class:02x}{subclass:02x}")
    }
}

/// Lower and upper half of a register.
fn halves(register: u32) -> (u16, u16) {
    let [a, b, c, d] = register.to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
}
