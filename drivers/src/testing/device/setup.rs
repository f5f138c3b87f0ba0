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
    /// Entries of each queue: receive, transmit, and so on for each pair.
    pub queue_sizes: Vec<u16>,
    /// Entries of the control queue, which comes behind the pairs; 0 when there is none.
    pub control_size: u16,
    /// How many queue pairs the configuration says there are.
    pub pairs: u16,
    /// The largest MTU, in the configuration.
    pub mtu: u16,
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
    /// FEATURES_OK does not stay unless these features were accepted (section 6.2 lets a device insist on some).
    pub insists_on: Features,
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
    /// What becomes of commands.
    pub commands: Commands,
    /// A device with packed queues gives back the length of what it wrote without the flag that says that there is one (section
    /// 2.8.3), as QEMU does; from its next start on.
    pub omits_write_flag: bool,
    /// Nothing cuts the device off from memory.
    pub cannot_be_cut_off: bool,
}

/// What a device does with a command on its control queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Commands {
    /// As it is told, if it knows the command.
    #[default]
    Obeyed,
    /// Nothing, and it says so.
    Refused,
    /// Nothing, without an answer.
    Ignored,
    /// It answers, but names a command that there was not.
    AnsweredForAnother,
    /// It answers more commands than there were.
    AnsweredTwice,
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
        let of_control = Features::NET_CTRL_VQ | Features::NET_CTRL_RX;
        // CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF, INDIRECT_DESC.
        let others = 1 << 0 | 1 << 1 | 1 << 7 | 1 << 11 | 1 << 15 | 1 << 28;
        Self {
            interface: Interface::Modern,
            offered: known | of_control | Features::from_bits_retain(others),
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            queue_sizes: vec![256, 256],
            control_size: 64,
            pairs: 1,
            mtu: 1500,
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

    /// The default with so many queue pairs, each like the first.
    pub fn with_pairs(pairs: u16) -> Self {
        let queue_sizes = vec![256; 2 * usize::from(pairs)];
        let mut setup = Self { queue_sizes, pairs, ..Self::default() };
        setup.offered |= Features::NET_MQ;
        setup
    }

    /// Entries of all queues by number, for a driver that has accepted these features; 0 for one that there is not. Only
    /// who knows that there can be several pairs finds them (section 5.1.2).
    pub(super) fn sizes(&self, accepted: u64) -> Vec<u16> {
        let has_pairs = accepted & Features::NET_MQ.bits() != 0;
        let pairs = if has_pairs { self.queue_sizes.len().max(2) } else { 2 };
        let sizes = self.queue_sizes.iter().copied().chain(core::iter::repeat(0)).take(pairs);
        sizes.chain([self.control_size]).collect()
    }

    /// The feature bits that a driver may accept: legacy devices have the lower 32.
    pub(super) fn offered_bits(&self) -> u64 {
        match self.interface {
            Interface::Modern => self.offered.bits(),
            Interface::Legacy => self.offered.bits() & u64::from(u32::MAX),
        }
    }

    /// The same with packed queues for a driver that wants them.
    #[must_use]
    pub fn packed(mut self) -> Self {
        self.offered |= Features::RING_PACKED;
        self
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
