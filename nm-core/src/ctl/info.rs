//! What a port is, before it is bound and while it is.

use crate::adapter::{BoundRing, Rings, Slots};
use crate::mem::{MemId, Region, Trust};
use crate::name::PortName;
use crate::netmap::Netmap;
use crate::open_error::OpenError;
use crate::raw::RawPort;

/// What `NIOCGINFO` and `NIOCREGIF` tell: rings of the interface, whichever of them the port binds, and its memory. For
/// the memory alone all numbers of rings and slots are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("nmreq", "nmreq_port_info_get"))]
pub struct PortInfo {
    /// Hardware transmit rings.
    #[doc(alias = "nr_tx_rings")]
    pub tx_rings: u16,
    /// Hardware receive rings.
    #[doc(alias = "nr_rx_rings")]
    pub rx_rings: u16,
    /// Host transmit rings.
    #[doc(alias = "nr_host_tx_rings")]
    pub host_tx_rings: u16,
    /// Host receive rings.
    #[doc(alias = "nr_host_rx_rings")]
    pub host_rx_rings: u16,
    /// Slots of each hardware transmit ring.
    #[doc(alias = "nr_tx_slots")]
    pub tx_slots: u32,
    /// Slots of each hardware receive ring.
    #[doc(alias = "nr_rx_slots")]
    pub rx_slots: u32,
    /// Slots of each host ring.
    pub host_slots: u32,
    /// The memory region.
    #[doc(alias = "nr_mem_id")]
    pub region: MemId,
    /// Its length.
    #[doc(alias = "nr_memsize")]
    pub bytes: usize,
}

impl PortInfo {
    /// Whether the memory is the port's own, not the region that ports share.
    #[doc(alias("NETMAP_PRIV_MEM", "NETMAP_MEM_PRIVATE"))]
    pub fn is_private(&self) -> bool {
        self.region.is_private()
    }

    /// The port of this name, which need not be open. Nothing is opened for it.
    pub(super) fn look_up(netmap: &Netmap, name: &str) -> Result<Self, OpenError> {
        if name.is_empty() {
            return Ok(Self::memory(netmap.region()));
        }
        let port = PortName::parse(name).map_err(OpenError::Name)?;
        let interface = netmap.list().find(name, port.interface)?;
        let share = netmap.list().share(&interface, Trust::Raw);
        Ok(Self::memory(interface.region()).with_rings(interface.shape(share)))
    }

    /// An open port.
    pub(super) fn of(port: &RawPort) -> Self {
        let (tx, rx) = port.bound();
        let memory = Self::memory(port.mapping().region());
        tx.iter().chain(rx).next().and_then(BoundRing::shape).map_or(memory, |shape| memory.with_rings(shape))
    }

    fn memory(region: &Region) -> Self {
        Self {
            tx_rings: 0,
            rx_rings: 0,
            host_tx_rings: 0,
            host_rx_rings: 0,
            tx_slots: 0,
            rx_slots: 0,
            host_slots: 0,
            region: region.id(),
            bytes: region.bytes(),
        }
    }

    fn with_rings(self, (rings, slots): (Rings, Slots)) -> Self {
        Self {
            tx_rings: rings.tx,
            rx_rings: rings.rx,
            host_tx_rings: rings.host_tx,
            host_rx_rings: rings.host_rx,
            tx_slots: slots.tx,
            rx_slots: slots.rx,
            host_slots: slots.host,
            ..self
        }
    }
}
