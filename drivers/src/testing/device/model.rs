//! The card as a whole: registers and queues together.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config_reads::ConfigReads;
use super::control::ControlRing;
use super::registers::{FAILED, Registers, Transition};
use super::ring::{self, DeviceRing, Framing, Place, Terms, Way};
use super::{Commands, Setup, Slow, Violation};
use crate::testing::FakeMachine;
use crate::virtio::transport::QueuePlace;

const NET_CTRL_VQ: u64 = 1 << 17;
const NET_CTRL_RX: u64 = 1 << 18;
const NET_MQ: u64 = 1 << 22;

/// The state of a card.
#[derive(Debug)]
pub(super) struct Model {
    pub machine: Arc<FakeMachine>,
    pub setup: Setup,
    pub registers: Registers,
    pub rings: Vec<DeviceRing>,
    control: Option<ControlRing>,
    /// Commands since the last reset: number and data.
    pub commands: Vec<Vec<u8>>,
    /// Queue pairs that the device uses.
    pairs: u16,
    pub violations: Vec<Violation>,
    /// Looks at the status until a reset shows; with the status that shows until then.
    pub reset: (Slow, u8),
    pub generation: u32,
    pub config_reads: ConfigReads,
    pub is_cut_off: bool,
}

impl Model {
    pub fn new(machine: Arc<FakeMachine>, setup: Setup) -> Self {
        Self {
            machine,
            registers: Registers::after_reset(&setup),
            setup,
            rings: Vec::new(),
            control: None,
            commands: Vec::new(),
            pairs: 1,
            violations: Vec::new(),
            reset: (Slow::Looks(0), 0),
            generation: 0,
            config_reads: ConfigReads::default(),
            is_cut_off: false,
        }
    }

    /// Takes what the driver has published on all queues.
    pub fn fetch(&mut self) {
        for index in 0..self.rings.len() {
            let is_enabled = self.registers.queues.get(index).is_some_and(|queue| queue.is_enabled);
            let pair = u16::try_from(index / 2).unwrap_or(u16::MAX);
            let (before, rest) = self.rings.split_at_mut(index);
            let Some((ring, behind)) = rest.split_first_mut().filter(|_| is_enabled) else { continue };
            ring.fetch(|| before.iter().chain(behind.iter()).flat_map(DeviceRing::buffers).collect());
            if pair >= self.pairs && index % 2 == 1 && !ring.owned.is_empty() {
                self.violations.push(Violation::PairNotInUse { pair });
            }
        }
    }

    pub fn write_status(&mut self, status: u8) {
        let Self { registers, setup, violations, .. } = self;
        if !self.config_reads.end(setup.interface) {
            violations.push(Violation::ConfigUnchecked);
        }
        let is_reset_over = self.reset.0 == Slow::Looks(0);
        if !is_reset_over && status & FAILED == 0 && status != 0 {
            violations.push(Violation::ResetNotAwaited);
        }
        match registers.write_status(status, setup, violations) {
            Transition::None => {}
            Transition::Start => self.start(),
            Transition::Reset => self.reset(),
        }
    }

    fn reset(&mut self) {
        let before = self.registers.status;
        let slow = if before == 0 { Slow::Looks(0) } else { self.setup.quirks.slow_reset };
        self.reset = (slow, before);
        for ring in self.rings.drain(..) {
            self.violations.extend(ring.violations);
        }
        self.registers = Registers::after_reset(&self.setup);
        (self.control, self.pairs) = (None, 1);
        self.commands.clear();
    }

    fn start(&mut self) {
        let terms = self.terms();
        let framing = Framing::of(self.setup.interface, self.registers.accepted);
        let control = self.registers.control_queue();
        for (queue, registers) in (0..).zip(&self.registers.queues) {
            let memory = ring::memory(self.machine.clone(), queue, registers.place, terms);
            if queue == control {
                let ring = ControlRing::new(memory, self.setup.interface);
                self.control = (registers.is_enabled && self.has(NET_CTRL_VQ)).then_some(ring);
                break;
            }
            let way = if queue % 2 == 0 { Way::In } else { Way::Out };
            self.rings.push(DeviceRing::new(memory, way, framing));
        }
    }

    /// What the driver has agreed on about queues.
    fn terms(&self) -> Terms {
        Terms::of(&self.setup, self.registers.accepted)
    }

    /// The ISR status: whether a queue has interrupted.
    pub fn isr(&self) -> u8 {
        self.rings.iter().any(|ring| ring.bells.is_asserted).into()
    }

    /// The driver has heard what these bits say.
    pub fn acknowledge(&mut self, bits: u8) {
        if bits & 1 != 0 {
            self.rings.iter_mut().for_each(|ring| ring.bells.is_asserted = false);
        }
    }

    pub fn read_status(&mut self) -> u8 {
        let (slow, before) = self.reset;
        let shown = match slow {
            Slow::Looks(0) => self.registers.status,
            Slow::Looks(looks) => {
                self.reset.0 = Slow::Looks(looks - 1);
                before
            }
            Slow::Forever => before,
        };
        if shown == 0 { 0 } else { shown | self.setup.quirks.extra_status }
    }

    /// A byte of the configuration, which may change behind the read.
    pub fn read_config(&mut self, offset: usize) -> Option<u8> {
        let status = u8::from(self.setup.is_link_up);
        let pairs = self.setup.pairs.to_le_bytes();
        let mtu = self.setup.mtu.to_le_bytes();
        let byte = self.setup.mac.iter().chain(&[status, 0]).chain(&pairs).chain(&mtu).nth(offset).copied();
        if let Some(left) = self.setup.quirks.config_changes.checked_sub(1) {
            self.setup.quirks.config_changes = left;
            self.generation = self.generation.wrapping_add(1);
            // Every byte of the address is another one now.
            self.setup.mac.iter_mut().for_each(|byte| *byte = byte.wrapping_add(0x11));
        }
        byte
    }

    pub fn write_features(&mut self, features: u64) {
        self.registers.write_features(features, &self.setup, &mut self.violations);
    }

    pub fn is_queue_enabled(&self, queue: u16) -> bool {
        let queue = self.registers.queues.get(usize::from(queue));
        self.setup.quirks.queues_in_use || queue.is_some_and(|queue| queue.is_enabled)
    }

    pub fn offered_queue_size(&self, queue: u16) -> u16 {
        self.setup.sizes(self.registers.accepted).get(usize::from(queue)).copied().unwrap_or(0)
    }

    pub fn write_queue_size(&mut self, queue: u16, size: u16) {
        let keeps_size = self.setup.quirks.keeps_queue_size;
        let offered = self.offered_queue_size(queue);
        let format = self.terms().format;
        let Some(registers) = self.registers.queue_to_write(queue, &self.setup, &mut self.violations) else {
            return;
        };
        if !format.has_size(size) || size > offered {
            self.violations.push(Violation::QueueSize { queue });
        }
        registers.place.size = if keeps_size { registers.place.size } else { size };
    }

    pub fn write_queue_addresses(&mut self, queue: u16, place: QueuePlace) {
        let QueuePlace { descriptors, available, used, .. } = place;
        let Some(registers) = self.registers.queue_to_write(queue, &self.setup, &mut self.violations) else {
            return;
        };
        registers.place = Place { size: registers.place.size, descriptors, available, used };
    }

    pub fn ring_doorbell(&mut self, queue: u16) {
        let is_running = self.registers.is_running() && self.is_queue_enabled(queue);
        match self.rings.get_mut(usize::from(queue)) {
            Some(ring) if is_running => ring.doorbell(),
            None if is_running && self.control.is_some() => self.take_command(),
            _ => self.violations.push(Violation::DoorbellAtWrongTime { queue }),
        }
    }

    /// Takes a command from the control queue and answers it.
    fn take_command(&mut self) {
        let Some(control) = &mut self.control else { return };
        let Some((command, reply)) = control.take(&mut self.violations) else { return };
        self.commands.push(command.clone());
        let manner = self.setup.quirks.commands;
        let is_obeyed = manner != Commands::Obeyed || self.obey(&command);
        if let Some(control) = &mut self.control {
            control.answer(&reply, u8::from(!is_obeyed), manner, &mut self.violations);
        }
    }

    /// Does as a command says (sections 5.1.6.5.1 and 5.1.6.5.5); returns whether it can.
    fn obey(&mut self, command: &[u8]) -> bool {
        match *command {
            [0, 0, 0 | 1] if self.has(NET_CTRL_RX) => true,
            [4, 0, low, high] if self.has(NET_MQ) => self.use_pairs(u16::from_le_bytes([low, high])),
            [class, command, ..] => {
                self.violations.push(Violation::WrongCommand { class, command });
                false
            }
            _ => false,
        }
    }

    fn use_pairs(&mut self, pairs: u16) -> bool {
        let is_enabled = |pair: &u16| {
            let is_there = pair.saturating_mul(2) + 1 < self.registers.control_queue();
            is_there && self.is_queue_enabled(2 * pair) && self.is_queue_enabled(2 * pair + 1)
        };
        if let Some(pair) = (0..pairs).find(|pair| !is_enabled(pair)) {
            self.violations.push(Violation::PairNotEnabled { pair });
            return false;
        }
        self.pairs = pairs;
        pairs > 0
    }

    /// Whether the driver has accepted a feature.
    fn has(&self, feature: u64) -> bool {
        self.registers.accepted & feature != 0
    }

    /// Tells where a queue is in the legacy way (section 2.7.2): by its first page.
    pub fn write_queue_page(&mut self, queue: u16, first: u64, align: u64) {
        let place = self.registers.queues.get(usize::from(queue)).map(|queue| queue.place);
        let entries = u64::from(place.unwrap_or_default().size);
        let available = first + 16 * entries;
        let used = (available + 2 * (3 + entries)).next_multiple_of(align.max(1));
        self.write_queue_addresses(queue, QueuePlace { size: 0, descriptors: first, available, used });
        self.enable_queue(queue);
    }

    /// The address of the first byte of a queue that is enabled.
    pub fn queue_start(&self, queue: u16) -> u64 {
        let start = self.registers.queues.get(usize::from(queue)).map_or(0, |queue| queue.place.descriptors);
        if self.is_queue_enabled(queue) { start.max(1 << 12) } else { 0 }
    }

    pub fn enable_queue(&mut self, queue: u16) {
        let machine = self.machine.clone();
        let format = self.terms().format;
        let keeps_disabled = self.setup.quirks.keeps_queue_disabled;
        let Some(registers) = self.registers.queue_to_write(queue, &self.setup, &mut self.violations) else {
            return;
        };
        registers.is_enabled = !keeps_disabled;
        self.violations.extend(registers.place.complaint(&machine, queue, format));
    }
}
