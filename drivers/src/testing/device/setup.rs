//! What a model of the card offers, and how it misbehaves.

use alloc::vec;
use alloc::vec::Vec;

use crate::virtio::features::Features;

/// Which rules the card follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Those of version 1 of the specification and later.
    Modern,
    /// Those of the sections named "Legacy Interface".
    Legacy,
}

/// What the card offers.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its rules.
    pub interface: Interface,
    /// Feature bits.
    pub offered: Features,
    /// Station address.
    pub mac: [u8; 6],
    /// Entries of each queue: receive, transmit.
    pub queue_sizes: Vec<u16>,
    /// The link has a carrier.
    pub is_link_up: bool,
    /// Misbehaviour.
    pub quirks: Quirks,
}

/// Misbehaviour; by default there is none.
#[derive(Debug, Clone, Default)]
pub struct Quirks {
    /// How many looks at the status do not show a reset yet.
    pub slow_reset: Slow,
    /// FEATURES_OK does not stay.
    pub refuses_features: bool,
    /// The size of a queue does not change when written.
    pub keeps_queue_size: bool,
    /// Queues are enabled from the start, by what the registers say.
    pub queues_in_use: bool,
    /// A queue does not become enabled.
    pub keeps_queue_disabled: bool,
    /// Bits that show in the status besides those that are set, unless it is zero.
    pub extra_status: u8,
    /// So many reads of the configuration are followed by a change of it.
    pub config_changes: u32,
    /// Nothing cuts the device off from memory.
    pub cannot_be_cut_off: bool,
}

/// How long a device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// So many looks.
    Looks(u32),
    /// It never gets there.
    Forever,
}

impl Default for Slow {
    fn default() -> Self {
        Self::Looks(0)
    }
}

impl Default for Setup {
    /// A card as QEMU has it: all features that the driver uses, and some that it does not, and queues of 256.
    fn default() -> Self {
        let known = Features::VERSION_1 | Features::RING_EVENT_IDX | Features::NET_MAC | Features::NET_STATUS;
        // CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF, CTRL_VQ, INDIRECT_DESC.
        let others = 1 << 0 | 1 << 1 | 1 << 7 | 1 << 11 | 1 << 15 | 1 << 17 | 1 << 28;
        Self {
            interface: Interface::Modern,
            offered: known | Features::from_bits_retain(others),
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            queue_sizes: vec![256, 256],
            is_link_up: true,
            quirks: Quirks::default(),
        }
    }
}

impl Setup {
    /// The default, with queues of these sizes.
    pub fn with_queues(receive: u16, transmit: u16) -> Self {
        Self { queue_sizes: vec![receive, transmit], ..Self::default() }
    }

    /// The same as a legacy device.
    #[must_use]
    pub fn legacy(mut self) -> Self {
        self.interface = Interface::Legacy;
        self.offered.remove(Features::VERSION_1);
        self
    }

    /// The same without these features.
    #[must_use]
    pub fn without(mut self, features: Features) -> Self {
        self.offered.remove(features);
        self
    }
}
