//! virtio-mmio devices that the definition blocks describe (virtio 1.2, 4.2.1 leaves it to the platform; QEMU and Linux have
//! the id LNRO0005 for them). The interpreter runs only if that id is in a block.

use alloc::vec::Vec;

use millrace_acpi::aml::{Interpreter, NamespacePath, RangeKind, Resource, resources};
use millrace_acpi::tables::{Description, InterruptInput};
use spin::Once;

use super::hardware::PciConfigHandler;

const ID: &str = "LNRO0005";

static DEVICES: Once<Vec<MmioPlace>> = Once::new();

/// The resources of a virtio-mmio device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MmioPlace {
    /// Physical address of its registers.
    pub address: u64,
    /// Length of its registers in bytes, not 0.
    pub bytes: u64,
    /// Input that its interrupt is connected to. A device without an interrupt is not used.
    pub line: InterruptInput,
}

/// The devices that are present, in order of their paths.
pub fn mmio_devices() -> &'static [MmioPlace] {
    DEVICES.call_once(find)
}

/// The input `gsi` as a virtio-mmio device describes it; `None` if no such device has been found.
pub(super) fn line_at(gsi: u32) -> Option<InterruptInput> {
    DEVICES.get()?.iter().map(|place| place.line).find(|line| line.gsi == gsi)
}

fn find() -> Vec<MmioPlace> {
    let is_there = |block: &Vec<u8>| block.windows(ID.len()).any(|bytes| bytes == ID.as_bytes());
    let Some(acpi) = super::ACPI.get().filter(|acpi| acpi.blocks.iter().any(is_there)) else {
        return Vec::new();
    };
    let Some(mut aml) = super::interpreter() else { return Vec::new() };
    let devices = aml.devices();
    devices.iter().filter_map(|device| place(&mut aml, device, &acpi.description)).collect()
}

fn place(
    aml: &mut Interpreter<PciConfigHandler>,
    device: &NamespacePath,
    acpi: &Description,
) -> Option<MmioPlace> {
    if !aml.has_id(device, &[ID]) || !aml.is_present(device) {
        return None;
    }
    let listed = aml.bytes(&device.join(*b"_CRS"));
    let listed = listed.inspect_err(|error| log::warn!(target: "acpi", "{device}: {error}"));
    let listed = resources(&listed.ok()?);
    let memory = listed.iter().find_map(|resource| match *resource {
        Resource::Range { kind: RangeKind::Memory, first, count } => Some((first, count)),
        _ => None,
    });
    let line = listed.iter().find_map(|resource| resource.interrupt_input(acpi));
    let (address, bytes) = memory?;
    Some(MmioPlace { address, bytes, line: line? })
}
