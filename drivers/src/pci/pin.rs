//! The pin that a function interrupts by, and where it comes out on the bus of the host bridge.

use super::config::register;
use super::{Address, ConfigSpace, Function, Header, functions};
use crate::hal::LineSource;

/// Pins of a slot: INTA to INTD.
const PINS: u8 = 4;
/// Bridges on the way to the host bridge, at most. Their buses have ascending numbers.
const MAX_BRIDGES: usize = 256;

impl Function {
    /// The line that this function interrupts by, if it has one (section 6.2.4). Behind bridges the pins are rotated: pin
    /// `p` of device `d` is pin `(p + d) % 4` of the bridge (PCI-to-PCI Bridge Architecture Specification, 9.1).
    pub fn line_source(&self, config: &dyn ConfigSpace) -> Option<LineSource> {
        let interrupt = config.read32(self.address, register::INTERRUPT_LINE);
        let [firmware_line, pin, ..] = interrupt.to_le_bytes();
        let mut pin = pin.checked_sub(1).filter(|pin| *pin < PINS)?;
        let mut at = self.address;
        for _ in 0..MAX_BRIDGES {
            if at.bus() == 0 {
                return Some(LineSource::Slot { device: at.device(), pin, firmware_line });
            }
            pin = (pin + at.device()) % PINS;
            at = bridge_to(config, at.bus())?;
        }
        None
    }
}

/// The bridge whose secondary bus this is; its own bus has a lower number.
fn bridge_to(config: &dyn ConfigSpace, bus: u8) -> Option<Address> {
    let leads_there = |bridge: &Function| {
        let [_primary, secondary, ..] = config.read32(bridge.address, register::BUS_NUMBERS).to_le_bytes();
        bridge.header == Header::Bridge && secondary == bus && bridge.address.bus() < bus
    };
    functions(config).find(leads_there).map(|bridge| bridge.address)
}
