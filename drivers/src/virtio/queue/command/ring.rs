//! What a ring has to do for commands, whatever its format.

/// Descriptors of a command.
pub(in crate::virtio::queue) const PARTS: u16 = 3;

/// Whether a ring of so many entries holds a command.
pub(in crate::virtio::queue) fn is_long_enough(entries: u16) -> bool {
    entries >= PARTS
}

/// A ring that commands go through.
pub(in crate::virtio::queue) trait CommandRing: Send {
    /// Lets the device know of the parts of a command. The one before has been answered. Returns whether the device wants a
    /// doorbell.
    fn send(&mut self, parts: [Part; PARTS as usize]) -> bool;

    /// What became of the command that was sent last.
    fn outcome(&self) -> Outcome;
}

/// A descriptor of a command.
#[derive(Debug, Clone, Copy)]
pub(in crate::virtio::queue) struct Part {
    pub(in crate::virtio::queue) address: u64,
    pub(in crate::virtio::queue) bytes: u32,
    /// What it is, and whether another follows.
    pub(in crate::virtio::queue) flags: u16,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::virtio::queue) enum Outcome {
    /// The device has not said anything.
    Pending,
    /// The device is done with it.
    Answered,
    /// The device is done with something else.
    Confused,
}
