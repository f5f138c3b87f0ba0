//! Which input of an interrupt controller a pin of a PCI slot leads to (6.2.13, `_PRT`).

use alloc::vec::Vec;

use super::object::Value;
use super::resource::{Resource, resources};
use super::{AmlError, Host, Interpreter, Path};
use crate::acpi::{Polarity, Trigger};

/// Entries of a table that are read: 32 slots with four pins, and as many again.
const MAX_ENTRIES: usize = 256;

/// A pin of a slot: device number 0 to 31, and pin 0 (INTA) to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Device number.
    pub device: u8,
    /// The pin.
    pub pin: u8,
}

/// The routes of the slots of a host bridge's bus.
#[derive(Debug, Clone)]
pub struct Routes(Vec<(Pin, Value, Value)>);

/// The host bridges to PCI: what has the id of one, in the order of their paths.
pub(super) fn host_bridges<H: Host>(aml: &mut Interpreter<H>) -> Vec<Path> {
    let devices = aml.devices();
    devices.into_iter().filter(|device| aml.is_one_of(device, &["PNP0A03", "PNP0A08"])).collect()
}

/// The host bridge that is there and whose bus is number 0 of segment group 0: not one of those that machines with several
/// root buses have besides.
pub fn root_bridge<H: Host>(aml: &mut Interpreter<H>) -> Option<Path> {
    host_bridges(aml).into_iter().find(|bridge| aml.is_present(bridge) && aml.has_bus_0(bridge, 0))
}

impl Routes {
    /// Has the firmware know that I/O APICs are used (5.8.1, `_PIC`), and asks it for the routes of `bridge`.
    pub fn read<H: Host>(aml: &mut Interpreter<H>, bridge: &Path) -> Result<Self, AmlError> {
        match aml.evaluate(&Path::root().join(*b"_PIC"), &[1]) {
            Ok(_) | Err(AmlError::NoSuchName(_)) => {}
            Err(error) => return Err(error),
        }
        let table = aml.elements(&bridge.join(*b"_PRT"))?;
        let entries = table.into_iter().take(MAX_ENTRIES).filter_map(|entry| {
            let &[Value::Integer(address), Value::Integer(pin), source, index] =
                aml.elements_of(entry).ok()?
            else {
                return None;
            };
            let (device, pin) = (u8::try_from(address >> 16).ok()?, u8::try_from(pin).ok()?);
            Some((Pin { device, pin }, source, index))
        });
        Ok(Self(entries.collect()))
    }

    /// Where `pin` leads. A route names the input itself, which is a low level then, or a device whose resources say it; one
    /// that has a choice has made it. `None` when nothing is said of the pin, or that device is switched off.
    pub fn find<H: Host>(&self, aml: &mut Interpreter<H>, pin: Pin) -> Result<Option<Resource>, AmlError> {
        let Some(&(_, source, index)) = self.0.iter().find(|(found, ..)| *found == pin) else {
            return Ok(None);
        };
        if let Value::Integer(0) = source {
            let number = u32::try_from(aml.to_integer(index)?).map_err(|_| AmlError::OutOfRange)?;
            let (polarity, trigger) = (Polarity::Low, Trigger::Level);
            return Ok(Some(Resource::Interrupt { number, polarity, trigger, is_isa: false }));
        }
        let link = aml.path_of(source)?;
        if !aml.is_enabled(&link) {
            return Ok(None);
        }
        let listed = aml.bytes(&link.join(*b"_CRS"))?;
        Ok(resources(&listed).into_iter().find(|found| matches!(found, Resource::Interrupt { .. })))
    }
}

impl<H: Host> Interpreter<H> {
    /// Whether the bus of a host bridge is number 0 of segment group 0, as `_BBN` and `_SEG` say (6.5.5, 6.5.6): without
    /// them, it is.
    pub(super) fn has_bus_0(&mut self, bridge: &Path, depth: u32) -> bool {
        [*b"_BBN", *b"_SEG"].into_iter().all(|name| {
            let Some(node) = self.names.get(&bridge.join(name)) else { return true };
            let number = self.result_of(node, Vec::new(), depth);
            number.and_then(|number| self.to_integer(number)) == Ok(0)
        })
    }

    /// The path of what a name in a package stands for.
    fn path_of(&self, value: Value) -> Result<Path, AmlError> {
        let Value::Name(handle) = value else { return Err(AmlError::WrongKind) };
        let (scope, name) = self.arena.name(handle)?;
        self.names.path(scope, name).ok_or(AmlError::NoSuchName(name.last()))
    }
}
