//! Which driver a PCI function or a virtio-mmio device gets.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::claims::AlreadyClaimed;
use crate::e1000::{Attachment, E1000, MapError, Model, StartError};
use crate::hal::Hal;
use crate::iommu::ActiveIommu;
use crate::options::Options;
use crate::pci::{Claim, ConfigSpace, Function};
use crate::virtio::legacy::{LegacyPciError, LegacyPciTransport};
use crate::virtio::mmio::{MmioTransport, Slot, SlotError};
use crate::virtio::net::{NetError, VirtioNet};
use crate::virtio::pci::{PciError, PciTransport};

/// The cards that there is a driver for: vendor, device, driver.
const CARDS: [(u16, u16, Driver); 7] = [
    // virtio 1.2, section 4.1.2: 0x1040 and the device type, 1 for a network card.
    (0x1af4, 0x1041, Driver::VirtioNet),
    // The transitional network card (section 4.1.2.3): driven by the modern interface if it has that.
    (0x1af4, 0x1000, Driver::TransitionalVirtioNet),
    (0x8086, 0x100e, Driver::E1000(Model::I82540em)),
    (0x8086, 0x1008, Driver::E1000(Model::I82544)),
    (0x8086, 0x100c, Driver::E1000(Model::I82544)),
    (0x8086, 0x100f, Driver::E1000(Model::I82545em)),
    (0x8086, 0x10d3, Driver::E1000(Model::I82574l)),
];

/// The device id of a network card (section 5.1.1).
const NETWORK_CARD: u32 = 1;
/// The most of a virtio-mmio device's registers that is mapped; a network card uses some 280 bytes.
const MMIO_LIMIT: u64 = 4096;

#[derive(Debug, Clone, Copy)]
enum Driver {
    VirtioNet,
    TransitionalVirtioNet,
    E1000(Model),
}

/// A card with its driver, stopped, ready to be attached.
#[derive(Debug)]
pub enum Card {
    /// A virtio network card.
    VirtioNet(VirtioNet),
    /// An Intel gigabit card.
    E1000(E1000),
}

impl Card {
    /// The letters that an interface name of such a card begins with; a running number follows.
    pub fn name_prefix(&self) -> &'static str {
        match self {
            Self::VirtioNet(_) => "vtnet",
            Self::E1000(_) => "em",
        }
    }
}

/// What kind of card it is.
impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VirtioNet(card) => write!(f, "{card}"),
            Self::E1000(card) => write!(f, "{}", card.model()),
        }
    }
}

/// Why one of our cards cannot be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeError {
    /// The function has a driver already.
    Claimed(AlreadyClaimed),
    /// The registers of a virtio device cannot be found.
    Pci(PciError),
    /// Nor can they by the legacy interface.
    LegacyPci(LegacyPciError),
    /// There is no virtio-mmio device that can be driven.
    Slot(SlotError),
    /// It is not a virtio network card that this driver can use.
    Net(NetError),
    /// The registers of an Intel card cannot be reached.
    Map(MapError),
    /// The Intel card does not start.
    Start(StartError),
    /// An Intel card accesses memory through an IOMMU that does not let it.
    BehindIommu(ActiveIommu),
}

/// Sets up the driver for `function`, with the card stopped; `None` when no driver here is made for it.
pub fn probe(
    hal: &Arc<dyn Hal>,
    config: &Arc<dyn ConfigSpace>,
    function: &Function,
    options: Options,
) -> Option<Result<Card, ProbeError>> {
    let is_it =
        |&&(vendor, device, _): &&(u16, u16, Driver)| (vendor, device) == (function.vendor, function.device);
    let &(_, _, driver) = CARDS.iter().find(is_it)?;
    Some(match driver {
        Driver::VirtioNet => probe_virtio_net(hal, config, function, options),
        Driver::TransitionalVirtioNet => match probe_virtio_net(hal, config, function, options) {
            Err(ProbeError::Pci(PciError::LegacyOnly)) => {
                probe_legacy_virtio_net(hal, config, function, options)
            }
            found => found,
        },
        // Unlike a virtio card, it cannot but access memory through the IOMMU.
        Driver::E1000(model) => match options.iommu {
            Some(iommu) => Err(ProbeError::BehindIommu(iommu)),
            None => probe_e1000(hal, config, function, model).map(Card::E1000),
        },
    })
}

fn probe_virtio_net(
    hal: &Arc<dyn Hal>,
    config: &Arc<dyn ConfigSpace>,
    function: &Function,
    options: Options,
) -> Result<Card, ProbeError> {
    let sources = options.queue_pairs.get().saturating_mul(2);
    let transport = PciTransport::new(hal.as_ref(), Claim::new(hal.as_ref(), config, function)?, sources)?;
    Ok(Card::VirtioNet(VirtioNet::new(Box::new(transport), hal.clone(), fallback_mac(function), options)?))
}

fn probe_legacy_virtio_net(
    hal: &Arc<dyn Hal>,
    config: &Arc<dyn ConfigSpace>,
    function: &Function,
    options: Options,
) -> Result<Card, ProbeError> {
    let transport = LegacyPciTransport::new(hal.as_ref(), Claim::new(hal.as_ref(), config, function)?)?;
    Ok(Card::VirtioNet(VirtioNet::new(Box::new(transport), hal.clone(), fallback_mac(function), options)?))
}

fn probe_e1000(
    hal: &Arc<dyn Hal>,
    config: &Arc<dyn ConfigSpace>,
    function: &Function,
    model: Model,
) -> Result<E1000, ProbeError> {
    let card = Attachment::on_pci(hal.as_ref(), Claim::new(hal.as_ref(), config, function)?)?;
    let card = E1000::new(card, model, hal.clone(), fallback_mac(function))?;
    Ok(card)
}

/// Sets up the driver for the virtio-mmio device whose `bytes` of registers are at `address` and whose interrupt has the number
/// `irq`, with the card stopped. `None` when no device is there, or no driver here is made for it.
pub fn probe_mmio(
    hal: &Arc<dyn Hal>,
    address: u64,
    bytes: u64,
    irq: Option<u32>,
    options: Options,
) -> Option<Result<Card, ProbeError>> {
    find_mmio(hal, address, bytes).transpose().map(|slot| {
        let slot = slot?;
        let transport = Box::new(MmioTransport::new(slot).with_line(hal.as_ref(), irq));
        Ok(Card::VirtioNet(VirtioNet::new(transport, hal.clone(), mmio_fallback_mac(address), options)?))
    })
}

/// The network card in that place.
fn find_mmio(hal: &Arc<dyn Hal>, address: u64, bytes: u64) -> Result<Option<Slot>, SlotError> {
    let bytes = usize::try_from(bytes.min(MMIO_LIMIT)).unwrap_or(usize::MAX);
    Ok(Slot::find(hal.as_ref(), address, bytes)?.filter(|slot| slot.device_id == NETWORK_CARD))
}

/// The station address of a card that has none: locally administered, and different for each function of a machine.
/// Two machines with such cards in the same slot have the same addresses.
fn fallback_mac(function: &Function) -> [u8; 6] {
    let [bus, device_and_function] = function.address.routing_id().to_be_bytes();
    [0x02, b'm', b'r', 0, bus, device_and_function]
}

/// The same for a virtio-mmio device, by its address: two that are less than 256 bytes apart would share their registers.
fn mmio_fallback_mac(address: u64) -> [u8; 6] {
    let [_, low, middle, high, ..] = address.to_le_bytes();
    [0x02, b'm', b'm', high, middle, low]
}

impl From<AlreadyClaimed> for ProbeError {
    fn from(error: AlreadyClaimed) -> Self {
        Self::Claimed(error)
    }
}

impl From<PciError> for ProbeError {
    fn from(error: PciError) -> Self {
        Self::Pci(error)
    }
}

impl From<LegacyPciError> for ProbeError {
    fn from(error: LegacyPciError) -> Self {
        Self::LegacyPci(error)
    }
}

impl From<SlotError> for ProbeError {
    fn from(error: SlotError) -> Self {
        Self::Slot(error)
    }
}

impl From<NetError> for ProbeError {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<MapError> for ProbeError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

impl From<StartError> for ProbeError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed(error) => write!(f, "{error}"),
            Self::Pci(error) => write!(f, "{error}"),
            Self::LegacyPci(error) => write!(f, "{error}"),
            Self::Slot(error) => write!(f, "{error}"),
            Self::Net(error) => write!(f, "{error}"),
            Self::Map(error) => write!(f, "{error}"),
            Self::Start(error) => write!(f, "{error}"),
            Self::BehindIommu(iommu) => write!(f, "{iommu}"),
        }
    }
}

impl core::error::Error for ProbeError {}
