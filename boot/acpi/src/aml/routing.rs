//! Which input of an interrupt controller a pin of a PCI slot leads to (6.2.13, `_PRT`).

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::object::Value;
use super::resource::{Resource, resources};
use super::{AmlError, Host, HostBridge, Interpreter, Path, host_bridges};
use crate::tables::{Polarity, Trigger};

/// Entries of a table that are read: 32 slots with four pins, and as many again.
const MAX_ENTRIES: usize = 256;
/// In the lower half of an `_ADR`: all functions of a device (6.1.1).
const ALL_FUNCTIONS: u64 = 0xffff;

/// A pin of a function on some bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7. A route applies to all functions of a device; this finds the device of a bridge.
    pub function: u8,
    /// The pin, 0 (INTA) to 3.
    pub pin: u8,
}

/// The host bridges, and the interrupt routes of the buses behind them. Each table is read when a route on its bus is asked
/// for first, and kept.
pub struct PciRoutes<H> {
    aml: Interpreter<H>,
    bridges: Vec<HostBridge>,
    /// By the path of the bridge to the bus; `None` for a bridge without a table, or whose table cannot be read.
    tables: BTreeMap<Path, Option<Table>>,
    /// Whether the firmware accepts that I/O APICs are used, once it was told.
    mode: Option<Result<(), AmlError>>,
}

/// The routes of the slots of one bus.
#[derive(Debug, Clone)]
struct Table(Vec<Route>);

/// The route of one pin of a device: an input's number in `index`, or a device whose resources name the input in `source`.
#[derive(Debug, Clone, Copy)]
struct Route {
    device: u8,
    pin: u8,
    source: Value,
    index: Value,
}

impl<H: Host> PciRoutes<H> {
    /// Finds the host bridges. No table is read yet.
    pub fn new(mut aml: Interpreter<H>) -> Self {
        let bridges = host_bridges(&mut aml);
        Self { aml, bridges, tables: BTreeMap::new(), mode: None }
    }

    /// The host bridges, in the order of their paths.
    pub fn bridges(&self) -> &[HostBridge] {
        &self.bridges
    }

    /// The host bridge to root bus `bus`: the first of several.
    pub fn bridge_to(&self, bus: u8) -> Option<&HostBridge> {
        self.bridges.iter().find(|bridge| bridge.bus == bus)
    }

    /// The interpreter that the bridges were found by.
    pub fn interpreter(&mut self) -> &mut Interpreter<H> {
        &mut self.aml
    }

    /// The input that an interrupt leads to. `way` has the pin of the function that interrupts, then that of each
    /// PCI-to-PCI bridge above it; the last is on root bus `bus`. A PCI-to-PCI bridge may have a table of its own: the first
    /// pin that has a route counts. `None` when no pin has one, or when the route leads to a device that is switched off. A
    /// table that cannot be read is an error the first time, and empty from then on.
    pub fn find(&mut self, bus: u8, way: &[Pin]) -> Result<Option<Resource>, AmlError> {
        let Some(root) = self.bridge_to(bus) else { return Ok(None) };
        let mut bridges = vec![root.path.clone()];
        for pin in way.iter().skip(1).rev() {
            let below = bridges.last().and_then(|bridge| self.aml.child_at(bridge, *pin));
            let Some(below) = below else { break };
            bridges.push(below);
        }
        for (bridge, pin) in bridges.iter().zip(way.iter().rev()).rev() {
            if let Some(route) = self.route(bridge, *pin)? {
                return self.aml.input_of(route);
            }
        }
        Ok(None)
    }

    /// What the table of a bridge says of a pin on its bus.
    fn route(&mut self, bridge: &Path, pin: Pin) -> Result<Option<Route>, AmlError> {
        if !self.tables.contains_key(bridge) {
            let read = self.read(bridge);
            self.tables.insert(bridge.clone(), read.as_ref().ok().cloned().flatten());
            read?;
        }
        let table = self.tables.get(bridge).and_then(Option::as_ref);
        let is_asked = |route: &&Route| route.device == pin.device && route.pin == pin.pin;
        Ok(table.and_then(|Table(routes)| routes.iter().find(is_asked)).copied())
    }

    /// Reads the table of a bridge, if it has one. The firmware is told before that I/O APICs are used.
    fn read(&mut self, bridge: &Path) -> Result<Option<Table>, AmlError> {
        let name = bridge.join(*b"_PRT");
        if self.aml.names.get(&name).is_none() {
            return Ok(None);
        }
        let aml = &mut self.aml;
        (*self.mode.get_or_insert_with(|| aml.use_io_apics()))?;
        let entries = self.aml.elements(&name)?;
        let routes = entries.into_iter().take(MAX_ENTRIES).filter_map(|entry| {
            let &[Value::Integer(address), Value::Integer(pin), source, index] =
                self.aml.elements_of(entry).ok()?
            else {
                return None;
            };
            Some(Route {
                device: u8::try_from(address >> 16).ok()?,
                pin: u8::try_from(pin).ok()?,
                source,
                index,
            })
        });
        Ok(Some(Table(routes.collect())))
    }
}

impl<H: Host> Interpreter<H> {
    /// Tells the firmware that I/O APICs are used (5.8.1, `_PIC`): tables may depend on it.
    fn use_io_apics(&mut self) -> Result<(), AmlError> {
        match self.evaluate(&Path::root().join(*b"_PIC"), &[1]) {
            Ok(_) | Err(AmlError::NoSuchName(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The device below `parent` with this device and function number (6.1.1, `_ADR`).
    fn child_at(&mut self, parent: &Path, pin: Pin) -> Option<Path> {
        let device = u64::from(pin.device) << 16;
        let addresses = [device | u64::from(pin.function), device | ALL_FUNCTIONS];
        let children = self.devices().into_iter().filter(|path| path.parent().as_ref() == Some(parent));
        let mut children = children.collect::<Vec<_>>().into_iter();
        children
            .find(|child| self.integer(&child.join(*b"_ADR")).is_ok_and(|found| addresses.contains(&found)))
    }

    /// Where a route leads. A route names the input itself, which is a low level then, or a device whose resources name it; a
    /// device that has a choice has made it. `None` when that device is switched off.
    fn input_of(&mut self, route: Route) -> Result<Option<Resource>, AmlError> {
        if let Value::Integer(0) = route.source {
            let number = u32::try_from(self.to_integer(route.index)?).map_err(|_| AmlError::OutOfRange)?;
            let (polarity, trigger) = (Polarity::Low, Trigger::Level);
            return Ok(Some(Resource::Interrupt { number, polarity, trigger, is_isa: false }));
        }
        let link = self.path_of(route.source)?;
        if !self.is_enabled(&link) {
            return Ok(None);
        }
        let listed = self.bytes(&link.join(*b"_CRS"))?;
        Ok(resources(&listed).into_iter().find(|found| matches!(found, Resource::Interrupt { .. })))
    }

    /// The path of what a name in a package stands for.
    fn path_of(&self, value: Value) -> Result<Path, AmlError> {
        let Value::Name(handle) = value else { return Err(AmlError::WrongKind) };
        let (scope, name) = self.arena.name(handle)?;
        self.names.path(scope, name).ok_or(AmlError::NoSuchName(name.last()))
    }
}
