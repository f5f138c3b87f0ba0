//! The device's registers, and the order in which a driver may use them (sections 2.1, 3.1.1, 4.1.4.3.2).

use alloc::vec::Vec;

use super::Violation;
use super::ring::Place;
use super::setup::{Interface, Setup};

const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
pub(super) const FAILED: u8 = 128;

/// What has to be set before a bit may be set.
const ORDER: [(u8, u8); 3] = [
    (DRIVER, ACKNOWLEDGE),
    (FEATURES_OK, ACKNOWLEDGE | DRIVER),
    (DRIVER_OK, ACKNOWLEDGE | DRIVER | FEATURES_OK),
];
/// The same where FEATURES_OK is not there (section 3.1.2).
const LEGACY_ORDER: [(u8, u8); 3] =
    [(DRIVER, ACKNOWLEDGE), (FEATURES_OK, NEVER), (DRIVER_OK, ACKNOWLEDGE | DRIVER)];
/// Bits that are never all set.
const NEVER: u8 = !0;

/// Registers of one queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueRegisters {
    pub place: Place,
    pub is_enabled: bool,
}

/// Registers of the device.
#[derive(Debug)]
pub(super) struct Registers {
    pub status: u8,
    pub accepted: u64,
    pub queues: Vec<QueueRegisters>,
}

/// What a write of the status register amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// The device resets itself.
    Reset,
    /// The device starts to work.
    Start,
    /// Nothing of this.
    None,
}

/// The registers of all queues, for a driver that has accepted these features.
fn queues(setup: &Setup, accepted: u64) -> Vec<QueueRegisters> {
    let registers = |size| QueueRegisters { place: Place { size, ..Place::default() }, is_enabled: false };
    setup.sizes(accepted).into_iter().map(registers).collect()
}

impl Registers {
    pub fn after_reset(setup: &Setup) -> Self {
        Self { status: 0, accepted: 0, queues: queues(setup, 0) }
    }

    /// The driver writes the status register.
    pub fn write_status(&mut self, to: u8, setup: &Setup, violations: &mut Vec<Violation>) -> Transition {
        let from = self.status;
        if to == 0 {
            return Transition::Reset;
        }
        if to & from != from {
            violations.push(Violation::StatusCleared { from, to });
        }
        let added = to & !from;
        let order = if setup.interface == Interface::Legacy { LEGACY_ORDER } else { ORDER };
        if order.iter().any(|&(bit, before)| added & bit != 0 && from & before != before) {
            violations.push(Violation::StatusOrder { from, to });
        }
        self.status = to;
        if added & FEATURES_OK != 0 && !self.are_features_acceptable(setup) {
            self.status &= !FEATURES_OK;
        }
        if added & DRIVER_OK == 0 || to & FAILED != 0 {
            return Transition::None;
        }
        if self.queues.iter().take(2).any(|queue| !queue.is_enabled) {
            violations.push(Violation::NotAllQueuesEnabled);
        }
        Transition::Start
    }

    fn are_features_acceptable(&self, setup: &Setup) -> bool {
        let is_version_1 = self.accepted >> 32 & 1 == 1;
        let has_all = setup.quirks.insists_on.bits() & !self.accepted == 0;
        let is_offered = self.accepted & !setup.offered_bits() == 0;
        is_version_1 && has_all && is_offered && !setup.quirks.refuses_features
    }

    /// The driver writes the features that it accepts.
    pub fn write_features(&mut self, features: u64, setup: &Setup, violations: &mut Vec<Violation>) {
        if features & !setup.offered_bits() != 0 {
            violations.push(Violation::FeaturesNotOffered);
        }
        let is_late = match setup.interface {
            Interface::Modern => self.status & FEATURES_OK != 0,
            // Before the queues, at the latest: what a queue holds depends on them.
            Interface::Legacy => {
                self.status & DRIVER_OK != 0 || self.queues.iter().any(|queue| queue.is_enabled)
            }
        };
        if self.status & DRIVER == 0 || is_late {
            violations.push(Violation::FeaturesAtWrongTime);
        }
        self.accepted = features;
        self.queues = queues(setup, features);
    }

    /// Number of the control queue.
    pub fn control_queue(&self) -> u16 {
        u16::try_from(self.queues.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The queue's registers, which the driver is about to write.
    pub fn queue_to_write(
        &mut self,
        queue: u16,
        setup: &Setup,
        violations: &mut Vec<Violation>,
    ) -> Option<&mut QueueRegisters> {
        let begins = if setup.interface == Interface::Legacy { DRIVER } else { FEATURES_OK };
        let is_time = self.status & begins != 0 && self.status & DRIVER_OK == 0;
        let registers = self.queues.get_mut(usize::from(queue))?;
        if !is_time || registers.is_enabled {
            violations.push(Violation::QueueAtWrongTime { queue });
        }
        Some(registers)
    }

    /// Whether the device may use queues.
    pub fn is_running(&self) -> bool {
        self.status & DRIVER_OK != 0
    }
}
