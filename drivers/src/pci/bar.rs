//! Base address registers: decoding and sizing (section 6.2.5.1).

use core::fmt;

use super::config::register;
use super::{Address, Command, ConfigSpace, Function};

/// Number of BARs in an endpoint's header.
const SLOTS: usize = 6;

/// A range of addresses that a function answers at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// Memory.
    Memory {
        /// Physical address, a multiple of `bytes`; 0 when none is assigned.
        address: u64,
        /// Length, a power of two.
        bytes: u64,
        /// Reads have no side effects.
        is_prefetchable: bool,
    },
    /// Io ports.
    Io {
        /// First port, a multiple of `ports`; 0 when none is assigned.
        port: u32,
        /// How many, a power of two.
        ports: u32,
    },
}

/// Why a BAR cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarError {
    /// The function has no such BAR, or it is the upper half of the one before.
    Absent,
    /// Its type field holds a reserved value.
    ReservedType,
    /// A 64-bit BAR starts in the last register, so that its upper half is missing.
    NoUpperHalf,
    /// What the register keeps of the ones written to it is not the mask of a power of two, or its address is not a
    /// multiple of its length.
    NotAligned,
    /// It is io ports where memory was wanted.
    IoPorts,
    /// It is memory where io ports were wanted.
    Memory,
    /// It has no address.
    Unassigned,
    /// Its io ports are not among the 65536 that there are.
    NoSuchPort,
}

/// Where the io ports of a BAR are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The first, a multiple of `ports` and not 0.
    pub first: u16,
    /// How many, a power of two.
    pub ports: u16,
}

/// Where the memory of a BAR is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRange {
    /// Physical address, a multiple of `bytes` and not 0.
    pub address: u64,
    /// Length, a power of two.
    pub bytes: u64,
}

/// The BARs of a function, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bars {
    slots: [Result<Bar, BarError>; SLOTS],
}

impl Bars {
    /// The BAR with this number, 0 to 5.
    pub fn get(&self, number: u8) -> Result<Bar, BarError> {
        self.slots.get(usize::from(number)).copied().unwrap_or(Err(BarError::Absent))
    }

    /// The memory of the BAR with this number.
    pub fn memory(&self, number: u8) -> Result<MemoryRange, BarError> {
        match self.get(number)? {
            Bar::Io { .. } => Err(BarError::IoPorts),
            Bar::Memory { address: 0, .. } => Err(BarError::Unassigned),
            Bar::Memory { address, bytes, .. } => Ok(MemoryRange { address, bytes }),
        }
    }

    /// The io ports of the BAR with this number.
    pub fn ports(&self, number: u8) -> Result<PortRange, BarError> {
        let (first, ports) = match self.get(number)? {
            Bar::Memory { .. } => return Err(BarError::Memory),
            Bar::Io { port: 0, .. } => return Err(BarError::Unassigned),
            Bar::Io { port, ports } => (port, ports),
        };
        let (Ok(first), Ok(ports)) = (u16::try_from(first), u16::try_from(ports)) else {
            return Err(BarError::NoSuchPort);
        };
        Ok(PortRange { first, ports })
    }

    /// The BARs that can be used, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Bar)> {
        (0..).zip(&self.slots).filter_map(|(number, slot)| Some((number, (*slot).ok()?)))
    }
}

impl Function {
    /// Reads type, address and length of each BAR. Address decoding of the function is off during the call, so its registers
    /// must not be accessed meanwhile.
    pub fn bars(&self, config: &dyn ConfigSpace) -> Bars {
        // A BAR that holds all ones would answer at a place that belongs to something else.
        let before = self.change_command(config, Command::empty(), Command::IO | Command::MEMORY);
        let mut slots = [Err(BarError::Absent); SLOTS];
        let count = self.header.bar_count();
        let mut number = 0;
        while number < count {
            let register = BarRegister { config, address: self.address, number };
            let (slot, registers) = register.decode(count);
            if let Some(place) = slots.get_mut(usize::from(number)) {
                *place = slot;
            }
            number += registers;
        }
        self.change_command(config, before, Command::empty());
        Bars { slots }
    }
}

/// One BAR's register.
#[derive(Clone, Copy)]
struct BarRegister<'a> {
    config: &'a dyn ConfigSpace,
    address: Address,
    number: u8,
}

impl BarRegister<'_> {
    /// The BAR that starts here in a header of `count` BARs, and how many registers it takes.
    fn decode(self, count: u8) -> (Result<Bar, BarError>, u8) {
        let low = self.read();
        if low & 1 != 0 {
            return (self.decode_io(low), 1);
        }
        match low >> 1 & 3 {
            0 => (self.decode_memory32(low), 1),
            2 if self.number + 1 < count => (self.decode_memory64(low), 2),
            2 => (Err(BarError::NoUpperHalf), 1),
            _ => (Err(BarError::ReservedType), 1),
        }
    }

    fn decode_io(self, low: u32) -> Result<Bar, BarError> {
        let kept = self.probe() & !3;
        // A function may leave out the upper 16 bits: the processors that it was made for have no more ports.
        let kept = if kept >> 16 == 0 && kept != 0 { kept | 0xffff_0000 } else { kept };
        let port = low & !3;
        let ports = length(u64::from(kept) | !0 << 32, u64::from(port))?;
        Ok(Bar::Io { port, ports: u32::try_from(ports).map_err(|_| BarError::NotAligned)? })
    }

    fn decode_memory32(self, low: u32) -> Result<Bar, BarError> {
        let kept = self.probe() & !0xf;
        if kept == 0 {
            return Err(BarError::Absent);
        }
        let address = u64::from(low & !0xf);
        let bytes = length(u64::from(kept) | !0 << 32, address)?;
        Ok(Bar::Memory { address, bytes, is_prefetchable: low & 8 != 0 })
    }

    fn decode_memory64(self, low: u32) -> Result<Bar, BarError> {
        let upper = Self { number: self.number + 1, ..self };
        let kept = u64::from(self.probe() & !0xf) | u64::from(upper.probe()) << 32;
        let address = u64::from(low & !0xf) | u64::from(upper.read()) << 32;
        let bytes = length(kept, address)?;
        Ok(Bar::Memory { address, bytes, is_prefetchable: low & 8 != 0 })
    }

    fn offset(self) -> u16 {
        register::FIRST_BAR + 4 * u16::from(self.number)
    }

    fn read(self) -> u32 {
        self.config.read32(self.address, self.offset())
    }

    /// Writes ones, tells which of them the register kept, and puts back what it held.
    fn probe(self) -> u32 {
        let before = self.read();
        self.config.write32(self.address, self.offset(), !0);
        let kept = self.read();
        self.config.write32(self.address, self.offset(), before);
        kept
    }
}

/// The length of a BAR that keeps the address bits `kept` and holds `address`.
fn length(kept: u64, address: u64) -> Result<u64, BarError> {
    let bytes = (!kept).wrapping_add(1);
    match bytes {
        0 => Err(BarError::Absent),
        _ if !bytes.is_power_of_two() || address & (bytes - 1) != 0 => Err(BarError::NotAligned),
        _ => Ok(bytes),
    }
}

impl fmt::Display for BarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no such BAR",
            Self::ReservedType => "its type is a reserved one",
            Self::NoUpperHalf => "it is a 64-bit BAR without an upper half",
            Self::NotAligned => "its length is not a power of two, or its address not a multiple of it",
            Self::IoPorts => "it is an I/O BAR, not a memory BAR",
            Self::Memory => "it is a memory BAR, not an I/O BAR",
            Self::NoSuchPort => "its I/O ports end beyond port 65535",
            Self::Unassigned => "it has no address: the firmware assigned none",
        })
    }
}

impl core::error::Error for BarError {}
