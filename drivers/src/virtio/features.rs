//! Feature bits (section 2.2).

use bitflags::bitflags;

bitflags! {
    /// What a device offers, and what a driver accepts of it: the bits that this crate knows. Bits 24 to 40 are the same for all
    /// devices (section 6), the others are a network card's (section 5.1.3). Legacy devices have the lower 32.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Features: u64 {
        /// The station address is in the configuration.
        const NET_MAC = 1 << 5;
        /// The link state is in the configuration.
        const NET_STATUS = 1 << 16;
        /// There is a control queue (section 5.1.6.5).
        const NET_CTRL_VQ = 1 << 17;
        /// The control queue takes the modes of reception.
        const NET_CTRL_RX = 1 << 18;
        /// There may be several queue pairs: the configuration says how many.
        const NET_MQ = 1 << 22;
        /// A legacy device takes a header and its packet in one descriptor (section 6.3).
        const ANY_LAYOUT = 1 << 27;
        /// Both sides say at which index they want to be notified (section 2.7.7 and 2.7.10).
        const RING_EVENT_IDX = 1 << 29;
        /// The device follows version 1 of the specification or a later one.
        const VERSION_1 = 1 << 32;
        /// Queues are packed (section 2.8).
        const RING_PACKED = 1 << 34;
        const _ = !0;
    }
}
