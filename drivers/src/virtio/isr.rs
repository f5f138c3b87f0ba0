//! The ISR status of a virtio device: why it asserts its line (sections 4.1.4.5 and 4.2.2, InterruptStatus).

use crate::line::IrqStatus;

/// A queue has used buffers.
const QUEUE: u8 = 1;
/// The configuration has changed.
const CONFIG: u8 = 2;

/// What a device says by its ISR status. All ones are of a device that is gone.
pub(crate) fn causes(status: u8) -> IrqStatus {
    let status = if status == !0 { 0 } else { status };
    IrqStatus::any_queue(status & QUEUE != 0, status & (QUEUE | CONFIG) != 0)
}
