//! OperationRegion, and the PCI function that a region in PCI configuration space belongs to.

use super::code::Cursor;
use super::context::EvalContext;
use super::name::NamespacePath;
use super::object::Object;
use super::value::Value;
use super::{AmlError, Interpreter, RegionHandler, RegionSpace};
use crate::address_space::{PCI_CONFIG, SYSTEM_IO, SYSTEM_MEMORY};

/// `_ADR` of a PCI function (6.1.1, table 6.2): the device number in the upper half, the function number in the lower half.
const DEVICE_SHIFT: u32 = 16;
const FUNCTION: u64 = 0xffff;
/// Devices on a bus, and functions of a device.
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;

impl<H: RegionHandler> Interpreter<H> {
    pub(super) fn operation_region(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<(), AmlError> {
        let name = self.read_name(code)?;
        let space = self.code.byte(code)?;
        let start = self.integer_value(context, code)?;
        let bytes = self.integer_value(context, code)?;
        let space = match space {
            SYSTEM_MEMORY => Some(RegionSpace::SystemMemory),
            SYSTEM_IO => Some(RegionSpace::SystemIo),
            PCI_CONFIG => self.pci_function(context),
            _ => None,
        };
        let object = space.map_or(Object::UnsupportedRegion, |space| Object::Region { space, start, bytes });
        self.add_named(context, &name, object)
    }

    /// The PCI function whose configuration space a region in `context` belongs to: the function of the device around it, by
    /// `_ADR` (6.1.1), on the root bus of the host bridge around that device (`_BBN`, 6.5.5). An object that is declared behind
    /// the region counts as absent. `None` for functions behind PCI-to-PCI bridges, in segment groups other than 0, and on a root
    /// bus whose number is unknown.
    fn pci_function(&mut self, context: &EvalContext) -> Option<RegionSpace> {
        let scope = &context.scope;
        let address = self
            .namespace
            .get(&scope.join(*b"_ADR"))
            .and_then(|object| self.read_object_value(object).ok())?;
        let Value::Integer(address) = address else { return None };
        let parent = scope.parent()?;
        let is_below_pci_bridge = self.has_child(&parent, *b"_ADR") && !self.has_child(&parent, *b"_HID");
        if is_below_pci_bridge {
            return None;
        }
        // The function of a host bridge itself is on the bus behind that bridge.
        let is_host_bridge = self.has_child(scope, *b"_BBN") || self.has_child(scope, *b"_SEG");
        let bridge = if is_host_bridge { NamespacePath::clone(scope) } else { parent };
        let bus = self.root_bus(&bridge, context.depth)?;
        let device = u8::try_from(address >> DEVICE_SHIFT).ok()?;
        let function = u8::try_from(address & FUNCTION).ok()?;
        (device < DEVICES && function < FUNCTIONS).then_some(RegionSpace::PciConfig { bus, device, function })
    }
}
