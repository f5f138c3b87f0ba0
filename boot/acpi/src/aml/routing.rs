//! PCI interrupt routing (`_PRT`, 6.2.13): which input of an interrupt controller an interrupt pin of a slot is connected to.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::resource::{Resource, resources};
use super::value::Value;
use super::{AmlError, Interpreter, NamespacePath, PciHostBridge, RegionHandler, host_bridges};
use crate::tables::{Polarity, Trigger};

/// Entries of a routing table that are read: twice as many as 32 slots of four pins need.
const MAX_ENTRIES: usize = 256;
/// `_ADR` of a PCI function (6.1.1, table 6.2): the device number in the upper half, the function number or all functions in the
/// lower half.
const DEVICE_SHIFT: u32 = 16;
const ALL_FUNCTIONS: u64 = 0xffff;
/// Argument of `_PIC` (5.8.1): the operating system uses I/O APICs.
const APIC_MODE: u64 = 1;

/// An interrupt pin of a PCI function, on a bus that the context gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterruptPin {
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7. A routing entry applies to all functions of a device; this number identifies a PCI-to-PCI bridge.
    pub function: u8,
    /// The pin, 0 (INTA) to 3 (INTD).
    pub pin: u8,
}

/// The PCI host bridges, and the interrupt routing of the buses behind them. The routing table of a bus is read on the first
/// query for that bus, and kept.
pub struct PciRoutes<H> {
    aml: Interpreter<H>,
    bridges: Vec<PciHostBridge>,
    /// Routing tables by the path of the bridge to the bus; `None` for a bridge without a table or with an unreadable one.
    tables: BTreeMap<NamespacePath, Option<RoutingTable>>,
    /// Result of `_PIC`, once it was called.
    apic_mode: Option<Result<(), AmlError>>,
}

/// The entries of one `_PRT`.
#[derive(Debug, Clone)]
struct RoutingTable(Vec<RoutingEntry>);

/// An entry of a `_PRT` (6.2.13): the GSI in `source_index`, or in `source` the interrupt link device whose resources name it.
#[derive(Debug, Clone, Copy)]
struct RoutingEntry {
    device: u8,
    pin: u8,
    source: Value,
    source_index: Value,
}

impl<H: RegionHandler> PciRoutes<H> {
    /// Finds the host bridges. Reads no routing table yet.
    pub fn new(mut aml: Interpreter<H>) -> Self {
        let bridges = host_bridges(&mut aml);
        Self { aml, bridges, tables: BTreeMap::new(), apic_mode: None }
    }

    /// The host bridges, in order of path.
    pub fn bridges(&self) -> &[PciHostBridge] {
        &self.bridges
    }

    /// The host bridge to root bus `bus`: the first, if there are several.
    pub fn bridge_to(&self, bus: u8) -> Option<&PciHostBridge> {
        self.bridges.iter().find(|bridge| bridge.bus == bus)
    }

    /// The interpreter.
    pub fn interpreter(&mut self) -> &mut Interpreter<H> {
        &mut self.aml
    }

    /// Finds the interrupt that the first pin of `path_to_root` is connected to. `path_to_root` has the pin of the interrupting
    /// function, then the pin of each PCI-to-PCI bridge above it; the last is on root bus `bus`. The pins are looked up in this
    /// order, each in the `_PRT` of the bridge to its bus, if that has one; the first match is the result.
    ///
    /// `None` if no pin has an entry, or if the interrupt link device of the entry is disabled. A table that cannot be evaluated is
    /// an error on the first query, and counts as absent afterwards.
    pub fn find(&mut self, bus: u8, path_to_root: &[InterruptPin]) -> Result<Option<Resource>, AmlError> {
        let Some(root) = self.bridge_to(bus) else { return Ok(None) };
        let mut bridges = vec![root.path.clone()];
        for pin in path_to_root.iter().skip(1).rev() {
            let below = bridges.last().and_then(|bridge| self.aml.child_at(bridge, *pin));
            let Some(below) = below else { break };
            bridges.push(below);
        }
        for (bridge, pin) in bridges.iter().zip(path_to_root.iter().rev()).rev() {
            if let Some(entry) = self.entry(bridge, *pin)? {
                return self.aml.interrupt_of(entry);
            }
        }
        Ok(None)
    }

    /// The entry for a pin in the routing table of a bridge.
    fn entry(&mut self, bridge: &NamespacePath, pin: InterruptPin) -> Result<Option<RoutingEntry>, AmlError> {
        if !self.tables.contains_key(bridge) {
            let read = self.read_table(bridge);
            self.tables.insert(bridge.clone(), read.as_ref().ok().cloned().flatten());
            read?;
        }
        let table = self.tables.get(bridge).and_then(Option::as_ref);
        let is_match = |entry: &&RoutingEntry| entry.device == pin.device && entry.pin == pin.pin;
        Ok(table.and_then(|RoutingTable(entries)| entries.iter().find(is_match)).copied())
    }

    /// Evaluates the `_PRT` of a bridge, if it has one. `_PIC` is called before the first.
    fn read_table(&mut self, bridge: &NamespacePath) -> Result<Option<RoutingTable>, AmlError> {
        if !self.aml.has_child(bridge, *b"_PRT") {
            return Ok(None);
        }
        let aml = &mut self.aml;
        (*self.apic_mode.get_or_insert_with(|| aml.select_apic_mode()))?;
        let entries = self.aml.elements(&bridge.join(*b"_PRT"))?.into_iter().take(MAX_ENTRIES);
        let valid = entries.filter_map(|entry| RoutingEntry::new(self.aml.elements_of(entry).ok()?));
        Ok(Some(RoutingTable(valid.collect())))
    }
}

impl RoutingEntry {
    /// Decodes the elements of an entry; `None` if they are malformed.
    fn new(elements: &[Value]) -> Option<Self> {
        let &[Value::Integer(address), Value::Integer(pin), source, source_index] = elements else {
            return None;
        };
        let device = u8::try_from(address >> DEVICE_SHIFT).ok()?;
        Some(Self { device, pin: u8::try_from(pin).ok()?, source, source_index })
    }
}

impl<H: RegionHandler> Interpreter<H> {
    /// Tells the firmware that I/O APICs are used (`_PIC`, 5.8.1); a `_PRT` may depend on it.
    fn select_apic_mode(&mut self) -> Result<(), AmlError> {
        match self.evaluate(&NamespacePath::root().join(*b"_PIC"), &[APIC_MODE]) {
            Ok(_) | Err(AmlError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The device in scope `parent` that has the device and function number of `pin` (`_ADR`, 6.1.1).
    fn child_at(&mut self, parent: &NamespacePath, pin: InterruptPin) -> Option<NamespacePath> {
        let device = u64::from(pin.device) << DEVICE_SHIFT;
        let addresses = [device | u64::from(pin.function), device | ALL_FUNCTIONS];
        let children = self.devices().into_iter().filter(|path| path.parent().as_ref() == Some(parent));
        let mut children = children.collect::<Vec<_>>().into_iter();
        children
            .find(|child| self.integer(&child.join(*b"_ADR")).is_ok_and(|found| addresses.contains(&found)))
    }

    /// The interrupt of a routing entry: a GSI, which is level-triggered and active low, or the current setting of an interrupt
    /// link device. `None` if the link device is disabled.
    fn interrupt_of(&mut self, entry: RoutingEntry) -> Result<Option<Resource>, AmlError> {
        if let Value::Integer(0) = entry.source {
            let gsi = self.to_integer(entry.source_index)?;
            let number = u32::try_from(gsi).map_err(|_| AmlError::OutOfRange)?;
            let (polarity, trigger) = (Polarity::Low, Trigger::Level);
            return Ok(Some(Resource::Interrupt { number, polarity, trigger, is_isa: false }));
        }
        let link = self.path_of(entry.source)?;
        if !self.is_enabled(&link) {
            return Ok(None);
        }
        let listed = self.bytes(&link.join(*b"_CRS"))?;
        Ok(resources(&listed).into_iter().find(|found| matches!(found, Resource::Interrupt { .. })))
    }

    /// The path of the object that a name in a package refers to.
    fn path_of(&self, value: Value) -> Result<NamespacePath, AmlError> {
        let Value::Name(handle) = value else { return Err(AmlError::WrongType) };
        let (scope, name) = self.arena.name(handle)?;
        self.namespace.find_path(scope, name).ok_or(AmlError::NotFound(name.last()))
    }
}
