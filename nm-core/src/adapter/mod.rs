//! Adapters: what stands behind a name that ports can be opened on.
//!
//! [`hardware`] is the card. The host stack's, pipes', monitors' and switches' adapters implement the same
//! [`Adapter`].

pub(crate) mod hardware;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;

use crate::engine::Engine;
use crate::mem::{PortMemory, Region};
use crate::nic::{Link, NicInfo};
use crate::port::{OpenError, Port};
use crate::stats::RingReport;

/// What is behind an interface name.
pub(crate) trait Adapter: Send + Sync {
    fn info(&self) -> InterfaceInfo;

    /// The counters of all its rings, transmit rings first.
    fn counters(&self) -> Vec<RingReport>;

    /// Opens a port on all its rings, with about `share` buffers at most.
    fn open(self: Arc<Self>, region: &Arc<Region>, share: u32) -> Result<Port, OpenError>;

    /// Leaves netmap mode. After it, nothing behind the adapter touches the port's memory.
    fn close(&self);
}

/// What an interface is. `Display` is the line that the console prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Its name.
    pub name: String,
    /// What the card says of itself.
    pub nic: NicInfo,
    /// Link state.
    pub link: Link,
    /// Whether a port is open on it.
    pub is_open: bool,
}

/// Six bytes as people write a station address.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Display for InterfaceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, nic, link, .. } = self;
        let link = match link {
            Link::Up => "up",
            Link::Down => "down",
        };
        write!(f, "{name} mac={} link={link}", Mac(nic.mac))?;
        write!(f, " tx={}x{} rx={}x{}", nic.tx_queues, nic.tx_slots, nic.rx_queues, nic.rx_slots)
    }
}

/// What the rings of one bound port share. The last of them to go closes the port: the adapter is stopped first, then
/// the engines go, then the memory.
pub(crate) struct Binding {
    adapter: Arc<dyn Adapter>,
    parked: Mutex<Vec<Box<dyn Engine>>>,
    memory: PortMemory,
}

impl Binding {
    pub(crate) fn new(adapter: Arc<dyn Adapter>, memory: PortMemory) -> Arc<Self> {
        Arc::new(Self { adapter, parked: Mutex::new(Vec::new()), memory })
    }

    pub(crate) fn memory(&self) -> &PortMemory {
        &self.memory
    }

    /// Keeps the engine of a dropped ring until the adapter has been stopped.
    pub(crate) fn park(&self, engine: Box<dyn Engine>) {
        self.parked.lock().push(engine);
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.adapter.close();
    }
}
