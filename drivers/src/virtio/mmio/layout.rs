//! Offsets of the registers (sections 4.2.2 and 4.2.4), each of four bytes.

/// `virt`, in little-endian order.
pub(super) const MAGIC: usize = 0x000;
/// Version of the registers: 1 or 2.
pub(super) const VERSION: usize = 0x004;
/// Kind of device; 0 where there is none.
pub(super) const DEVICE_ID: usize = 0x008;
/// The word of the offered features that is selected.
pub(super) const DEVICE_FEATURES: usize = 0x010;
/// Selects that word.
pub(super) const DEVICE_FEATURES_SEL: usize = 0x014;
/// The word of the accepted features that is selected.
pub(super) const DRIVER_FEATURES: usize = 0x020;
/// Selects that word.
pub(super) const DRIVER_FEATURES_SEL: usize = 0x024;
/// The size of the pages in which queues are counted; version 1 only.
pub(super) const GUEST_PAGE_SIZE: usize = 0x028;
/// Selects the queue that the registers below are about.
pub(super) const QUEUE_SEL: usize = 0x030;
/// The most entries that the device offers for it.
pub(super) const QUEUE_NUM_MAX: usize = 0x034;
/// The entries that the driver wants.
pub(super) const QUEUE_NUM: usize = 0x038;
/// What the used ring is aligned to; version 1 only.
pub(super) const QUEUE_ALIGN: usize = 0x03c;
/// Number of the queue's first page, 0 when there is none; version 1 only.
pub(super) const QUEUE_PFN: usize = 0x040;
/// The queue is enabled; not in version 1.
pub(super) const QUEUE_READY: usize = 0x044;
/// Doorbell of all queues: takes a queue's number.
pub(super) const QUEUE_NOTIFY: usize = 0x050;
/// Why the device interrupts.
pub(super) const INTERRUPT_STATUS: usize = 0x060;
/// Takes those of these bits that have been heard.
pub(super) const INTERRUPT_ACK: usize = 0x064;
/// Device status.
pub(super) const STATUS: usize = 0x070;
/// Descriptor table, lower half of its address; the upper is behind it. Not in version 1.
pub(super) const QUEUE_DESC: usize = 0x080;
/// Available ring, as [`QUEUE_DESC`].
pub(super) const QUEUE_DRIVER: usize = 0x090;
/// Used ring, as [`QUEUE_DESC`].
pub(super) const QUEUE_DEVICE: usize = 0x0a0;
/// Changes when the configuration does; not in version 1.
pub(super) const CONFIG_GENERATION: usize = 0x0fc;
/// The configuration of this kind of device, of any length, with accesses of the size of its fields.
pub(super) const CONFIG: usize = 0x100;
