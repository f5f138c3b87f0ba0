//! The machines that QEMU is asked to be.

use std::fmt;

/// A QEMU machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// i440FX: PCI config space through I/O ports.
    Pc,
    /// Q35: PCI Express, config space in memory as well.
    Q35,
    /// microvm: no legacy devices but the serial port, and PCI only for cards that sit there.
    Microvm,
}

impl Machine {
    /// Its name for QEMU's `-machine`.
    pub fn name(self) -> &'static str {
        match self {
            Machine::Pc => "pc",
            Machine::Q35 => "q35",
            Machine::Microvm => "microvm",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
