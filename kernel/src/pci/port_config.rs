//! Configuration space through two I/O ports (PCI Local Bus Specification 3.0, 3.2.2.3.2: mechanism #1).
#![expect(unsafe_code, reason = "`ConfigSpace` carries a contract about what an access reaches")]

use millrace_drivers::pci::{Address, ConfigSpace};
use spin::Mutex;

use crate::ports::IoPort;

/// Turns the data port into a window to the register that the address port names.
const ENABLE: u32 = 1 << 31;
/// Bytes of a function's configuration space that can be reached this way.
const BYTES: u16 = 256;

/// The pair of ports. The lock keeps an address and the access that it is meant for together.
pub(super) struct PortConfig(Mutex<()>);

impl PortConfig {
    /// The ports, if there is a PCI host behind them: it keeps what is written to the address port.
    pub(super) fn find() -> Option<Self> {
        let before: u32 = IoPort::PCI_ADDRESS.read();
        IoPort::PCI_ADDRESS.write(ENABLE);
        let has_host = IoPort::PCI_ADDRESS.read::<u32>() == ENABLE;
        IoPort::PCI_ADDRESS.write(before);
        has_host.then_some(Self(Mutex::new(())))
    }
}

// SAFETY: the ports are those of configuration space, and the lock keeps the two accesses together. A port access touches no
// memory, and the processor makes each one, in order.
unsafe impl ConfigSpace for PortConfig {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        let Some(register) = register(at, offset) else { return u32::MAX };
        let _pair = self.0.lock();
        IoPort::PCI_ADDRESS.write(register);
        IoPort::PCI_DATA.read()
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        let Some(register) = register(at, offset) else { return };
        let _pair = self.0.lock();
        IoPort::PCI_ADDRESS.write(register);
        IoPort::PCI_DATA.write(value);
    }
}

/// What selects a register; `None` beyond what the ports reach.
fn register(at: Address, offset: u16) -> Option<u32> {
    (offset < BYTES).then(|| ENABLE | u32::from(at.routing_id()) << 8 | u32::from(offset & 0xfc))
}
