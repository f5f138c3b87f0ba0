//! PCI host bridges, and the root bus behind each.

use alloc::vec::Vec;

use super::opcode::{BYTE_PREFIX, METHOD_OP, NAME_OP, ZERO_OP};
use super::{Interpreter, NamespacePath, RegionHandler};

/// Hardware ids of a PCI and of a PCI Express host bridge.
const IDS: [&str; 2] = ["PNP0A03", "PNP0A08"];

/// A PCI host bridge that is present and in segment group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciHostBridge {
    /// Path of its device.
    pub path: NamespacePath,
    /// Number of the root bus behind it.
    pub bus: u8,
}

/// The PCI host bridges that are present (`_STA`, 6.3.7) and in segment group 0, in order of path. A bridge whose bus or
/// segment group cannot be evaluated is left out.
pub fn host_bridges<H: RegionHandler>(aml: &mut Interpreter<H>) -> Vec<PciHostBridge> {
    let devices = aml.devices().into_iter();
    devices
        .filter_map(|path| {
            let is_there = aml.has_id(&path, &IDS) && aml.is_present(&path);
            let bus = if is_there { aml.root_bus(&path, 0) } else { None }?;
            Some(PciHostBridge { path, bus })
        })
        .collect()
}

/// Whether the definition block `block` may describe a host bridge to a root bus other than 0. Such a bridge has a `_BBN`
/// (6.5.5), so that no interpreter is needed if the block declares every `_BBN` as the constant 0. The search takes one pass over
/// the bytes.
pub fn may_have_other_root_buses(block: &[u8]) -> bool {
    block.windows(4).enumerate().any(|(at, bytes)| bytes == b"_BBN" && !is_constant_zero(block, at))
}

/// Whether the name at `at` is declared as the constant 0: `Name (_BBN, 0)`. Behind MethodOp, the byte of NameOp may be the
/// PkgLength of a method.
fn is_constant_zero(block: &[u8], at: usize) -> bool {
    let (before, behind) = block.split_at(at);
    let is_name = matches!(before, [.., lead, NAME_OP] if *lead != METHOD_OP) || before == [NAME_OP];
    is_name && matches!(behind.get(4..), Some([ZERO_OP, ..] | [BYTE_PREFIX, 0, ..]))
}

impl<H: RegionHandler> Interpreter<H> {
    /// The root bus behind the host bridge `bridge`: the lowest 8 bits of `_BBN` (6.5.5), or 0 without `_BBN`. `None` in a
    /// segment group (`_SEG`, 6.5.6) other than 0, and if `_BBN` or `_SEG` cannot be evaluated.
    pub(super) fn root_bus(&mut self, bridge: &NamespacePath, depth: u32) -> Option<u8> {
        let mut number = |name| {
            let Some(object) = self.namespace.get(&bridge.join(name)) else { return Some(0) };
            let value = self.evaluate_object(object, Vec::new(), depth).ok()?;
            self.to_integer(value).ok()
        };
        let segment = number(*b"_SEG")?;
        let [bus, ..] = number(*b"_BBN")?.to_le_bytes();
        (segment == 0).then_some(bus)
    }
}
