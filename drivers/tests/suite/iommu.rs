//! Which IOMMUs keep cards from memory, and which cards that concerns.

use std::sync::Arc;

use millrace_drivers::hal::Hal;
use millrace_drivers::iommu::ActiveIommu;
use millrace_drivers::pci::{Address, ConfigSpace, Function, RootBuses};
use millrace_drivers::testing::{FakeFunction, FakeMachine, FakePci};
use millrace_drivers::{Options, ProbeError, probe};

const UNIT: u64 = 0xfed9_0000;
/// Where the registers of a virtio IOMMU are: the common configuration, and behind it the device's own.
const BAR: u64 = 0xfe00_0000;
const DEVICE: usize = 0x1000;
/// Offset of `bypass` in the latter (virtio 1.3, section 5.13.4: behind 8 + 16 + 8 + 4 bytes).
const BYPASS: usize = DEVICE + 36;

/// A machine whose unit holds this value in the register at `offset`, and its opposite in all others.
fn with_unit(offset: usize, value: u32) -> Arc<FakeMachine> {
    let words = (0..0x20).step_by(4).map(|at| if at == offset { value } else { !value });
    let machine = FakeMachine::new();
    machine.add_registers(UNIT, &words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    machine
}

#[test]
fn a_unit_is_active_if_its_register_says_so() {
    type Look = fn(&dyn Hal, u64) -> Option<ActiveIommu>;
    let intel: (Look, _, _, _) = (ActiveIommu::intel, 0x1c, 1 << 31, ActiveIommu::Intel { registers: UNIT });
    let amd: (Look, _, _, _) = (ActiveIommu::amd, 0x18, 1, ActiveIommu::Amd { registers: UNIT });
    for (look, offset, bit, active) in [intel, amd] {
        let found = |value| look(with_unit(offset, value).as_ref(), UNIT);
        assert_eq!(found(bit), Some(active));
        assert_eq!(found(!2), Some(active), "whatever the other bits are");
        assert_eq!((found(0), found(!bit)), (None, None));
        assert_eq!(found(u32::MAX), None, "there is no unit");
        assert_eq!(look(FakeMachine::new().as_ref(), UNIT), None, "no registers can be mapped");
    }
}

fn place(device: u8) -> Address {
    Address::new(0, device, 0).unwrap()
}

/// A virtio IOMMU as QEMU shows it.
fn virtio_iommu() -> FakeFunction {
    let capability = |kind, offset: u32| {
        let (length, multiplier) = if kind == 2 { (20, &[4, 0, 0, 0][..]) } else { (16, &[][..]) };
        let head = [length, kind, 4, 0, 0, 0];
        [&head[..], &offset.to_le_bytes(), &0x1000u32.to_le_bytes(), multiplier].concat()
    };
    let mut function = FakeFunction::endpoint(0x1af4, 0x1057);
    function.set_memory_bar(4, BAR, 0x4000, true);
    function.push_capability(0x70, 9, &capability(4, DEVICE as u32));
    function.push_capability(0x50, 9, &capability(2, 0x3000));
    function.push_capability(0x40, 9, &capability(1, 0));
    function
}

/// What is found on a bus with a virtio IOMMU that offers these features and holds this in `bypass`.
fn found(function: FakeFunction, features: u32, bypass: u8) -> Option<ActiveIommu> {
    let mut registers = vec![0; 0x4000];
    registers[4..8].copy_from_slice(&features.to_le_bytes());
    registers[BYPASS] = bypass;
    let machine = FakeMachine::new();
    machine.add_registers(BAR, &registers);
    let pci = FakePci::default();
    pci.insert(place(1), FakeFunction::endpoint(0x1af4, 0x1041));
    pci.insert(place(2), function);
    ActiveIommu::virtio(machine.as_ref(), &pci, &RootBuses::default())
}

#[test]
fn a_virtio_iommu_is_active_unless_it_is_configured_to_bypass() {
    let active = Some(ActiveIommu::Virtio { function: place(2) });
    // MAP_UNMAP and BYPASS are offered in any case; BYPASS_CONFIG is bit 6.
    assert_eq!(found(virtio_iommu(), 0b0100_1100, 1), None);
    assert_eq!(found(virtio_iommu(), 0b0100_1100, 0xff), None, "bits 1 to 7 are reserved");
    assert_eq!(found(virtio_iommu(), 0b0100_1100, 0), active);
    assert_eq!(found(virtio_iommu(), 0b0100_1100, 0xfe), active);
    assert_eq!(found(virtio_iommu(), 0b0000_1100, 1), active, "BYPASS has not been negotiated");
    let mut other = virtio_iommu();
    other.set(0, 0x1041_1af4);
    assert_eq!(found(other, 0, 0), None, "another virtio device");
    let mut unassigned = virtio_iommu();
    unassigned.set_memory_bar(4, 0, 0x4000, true);
    assert_eq!(found(unassigned, 0, 0), None, "its registers are nowhere");
}

#[test]
fn an_intel_card_behind_an_iommu_is_left_alone() {
    let iommu = ActiveIommu::Virtio { function: place(2) };
    let pci = Arc::new(FakePci::default());
    pci.insert(place(3), FakeFunction::endpoint(0x8086, 0x100e));
    let config: Arc<dyn ConfigSpace> = pci.clone();
    let function = Function::read(config.as_ref(), place(3)).unwrap();
    let hal: Arc<dyn Hal> = FakeMachine::new();
    let options = Options { iommu: Some(iommu), ..Options::default() };
    let error = probe(&hal, &config, &function, options).unwrap().map(drop).unwrap_err();
    assert_eq!(error, ProbeError::BehindIommu(iommu));
    assert_eq!(pci.writes(), []);
    assert_eq!(
        error.to_string(),
        "the virtio IOMMU at 00:02.0 blocks its memory accesses, and this image drives no IOMMU: have it bypass \
         (boot-bypass=on)"
    );
}
