//! Inputs of interrupt controllers.

/// The active level of an interrupt signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polarity {
    /// Active high.
    High,
    /// Active low.
    Low,
}

/// The trigger mode of an interrupt signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Edge-triggered.
    Edge,
    /// Level-triggered.
    Level,
}

/// An input of an interrupt controller, and the signal that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterruptInput {
    /// Global system interrupt (GSI): the number of the input, counted over all I/O APICs (5.2.13).
    pub gsi: u32,
    /// Active level of the signal.
    pub polarity: Polarity,
    /// Trigger mode of the signal.
    pub trigger: Trigger,
}

/// Interrupt source override (5.2.12.5): an ISA interrupt that is not connected to the input of its own number, or is not an
/// active-high edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceOverride {
    /// Number of the interrupt on the ISA bus.
    pub irq: u8,
    /// The input that the interrupt is connected to.
    pub input: InterruptInput,
}
