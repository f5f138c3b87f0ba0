//! Host bridges to PCI, and the root bus that each leads to.

use alloc::vec::Vec;

use super::{Host, Interpreter, Path};

/// The ids of a host bridge: to PCI, and to PCI Express.
const IDS: [&str; 2] = ["PNP0A03", "PNP0A08"];
const NAME_OP: u8 = 0x08;
const METHOD_OP: u8 = 0x14;
const BYTE_PREFIX: u8 = 0x0a;

/// A host bridge that is present, in segment group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBridge {
    /// Its device in the namespace.
    pub path: Path,
    /// The number of the root bus behind it.
    pub bus: u8,
}

/// The host bridges that are present (`_STA`) and in segment group 0, in the order of their paths. A bridge is left out when
/// the method that gives its bus or its segment group fails.
pub fn host_bridges<H: Host>(aml: &mut Interpreter<H>) -> Vec<HostBridge> {
    let devices = aml.devices().into_iter();
    devices
        .filter_map(|path| {
            let is_there = aml.is_one_of(&path, &IDS) && aml.is_present(&path);
            let bus = if is_there { aml.root_bus(&path, 0) } else { None }?;
            Some(HostBridge { path, bus })
        })
        .collect()
}

/// Whether `block`, the code of a definition block, may describe a host bridge to a root bus other than 0. Such a bridge
/// has a `_BBN` (6.5.5), so the interpreter need not run when each `_BBN` in the block is declared as the constant 0. The
/// search takes one pass over the bytes.
pub fn may_have_other_root_buses(block: &[u8]) -> bool {
    block.windows(4).enumerate().any(|(at, bytes)| bytes == b"_BBN" && !is_constant_zero(block, at))
}

/// Whether the name at `at` is declared as the constant 0: `Name (_BBN, 0)`. Behind 0x14, 0x08 may be the length of a method.
fn is_constant_zero(block: &[u8], at: usize) -> bool {
    let (before, behind) = block.split_at(at);
    let is_name = matches!(before, [.., lead, NAME_OP] if *lead != METHOD_OP) || before == [NAME_OP];
    is_name && matches!(behind.get(4..), Some([0, ..] | [BYTE_PREFIX, 0, ..]))
}

impl<H: Host> Interpreter<H> {
    /// The root bus of a host bridge: the lowest 8 bits of `_BBN` (6.5.5), 0 without it. `None` in a segment group other than
    /// 0 (6.5.6, `_SEG`), and when either is not known because its method fails.
    pub(super) fn root_bus(&mut self, bridge: &Path, depth: u32) -> Option<u8> {
        let mut number = |name| {
            let Some(node) = self.names.get(&bridge.join(name)) else { return Some(0) };
            let value = self.result_of(node, Vec::new(), depth).ok()?;
            self.to_integer(value).ok()
        };
        let segment = number(*b"_SEG")?;
        let [bus, ..] = number(*b"_BBN")?.to_le_bytes();
        (segment == 0).then_some(bus)
    }
}
