//! What is known of the doorbells and interrupts of a queue.

/// What passes between the two sides besides buffers.
#[derive(Debug)]
pub struct Bells {
    /// Times that the doorbell rang.
    pub doorbells: u64,
    /// The position that was published when it rang last.
    pub at_last_doorbell: u64,
    /// The position up to which the device had read when it asked for a doorbell; `None` when it rang or asked for none.
    pub waiting_from: Option<u64>,
    /// The device wants no doorbells.
    pub is_quiet: bool,
    /// Interrupts so far.
    pub interrupts: u64,
    /// An interrupt came since the driver went to sleep last.
    pub is_interrupt_pending: bool,
    /// An interrupt came that the driver has not acknowledged.
    pub is_asserted: bool,
}

impl Bells {
    /// Those of a device that has just been set running: it waits for the first doorbell.
    pub fn new() -> Self {
        Self {
            doorbells: 0,
            at_last_doorbell: 0,
            waiting_from: Some(0),
            is_quiet: false,
            interrupts: 0,
            is_interrupt_pending: false,
            is_asserted: false,
        }
    }

    /// An interrupt is sent.
    pub fn interrupt(&mut self) {
        self.interrupts += 1;
        self.is_interrupt_pending = true;
        self.is_asserted = true;
    }
}
