//! The card as a whole: registers and rings together.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::registers::{CTRL_MASTER_DISABLE, CTRL_RESET, ENABLE, Registers, RingOffsets, complaint};
use super::ring::{DONE, DeviceRing, END, RECEIVED_END, REPORT};
use super::setup::IntelSetup;
use super::violation::{IntelViolation, Ring};
use crate::e1000::{Model as Card, Offset};
use crate::testing::{FakeMachine, Slow};

const STATUS_LINK: u32 = 1 << 1;
const STATUS_MASTER: u32 = 1 << 19;
const LONG_FRAMES: u32 = 1 << 5;
/// A long frame is one of more bytes, without its checksum.
const STANDARD: usize = 1518;

/// The state of a card.
#[derive(Debug)]
pub(super) struct Model {
    machine: Arc<FakeMachine>,
    pub setup: IntelSetup,
    pub registers: Registers,
    receive: DeviceRing,
    transmit: DeviceRing,
    pub violations: Vec<IntelViolation>,
    /// Looks until a reset shows its end, and until the end of requests shows.
    resetting: Slow,
    quieting: Slow,
    causes: u32,
    is_asserted: bool,
    pub interrupts: u64,
    pub is_cut_off: bool,
}

/// Goes one look further; whether it is over.
fn look(slow: &mut Slow) -> bool {
    if let Slow::Looks(looks @ 1..) = slow {
        *looks -= 1;
        return false;
    }
    *slow == Slow::Looks(0)
}

impl Model {
    pub fn new(machine: Arc<FakeMachine>, setup: IntelSetup) -> Self {
        let mut registers = Registers::default();
        registers.reset(&setup);
        Self {
            machine,
            setup,
            registers,
            receive: DeviceRing::new(Ring::Receive),
            transmit: DeviceRing::new(Ring::Transmit),
            violations: Vec::new(),
            resetting: Slow::Looks(0),
            quieting: Slow::Looks(0),
            causes: 0,
            is_asserted: false,
            interrupts: 0,
            is_cut_off: false,
        }
    }

    pub fn ring(&self, ring: Ring) -> &DeviceRing {
        match ring {
            Ring::Receive => &self.receive,
            Ring::Transmit => &self.transmit,
        }
    }

    fn ring_mut(&mut self, ring: Ring) -> &mut DeviceRing {
        match ring {
            Ring::Receive => &mut self.receive,
            Ring::Transmit => &mut self.transmit,
        }
    }

    pub fn is_on(&self, ring: Ring) -> bool {
        self.registers.get(ring.offsets().control) & ENABLE != 0
    }

    fn is_express(&self) -> bool {
        self.setup.model == Card::I82574l
    }

    fn complain(&mut self, violation: IntelViolation) {
        self.violations.push(violation);
    }
}

/// Registers.
impl Model {
    pub fn read(&mut self, offset: Offset) -> u32 {
        if self.setup.quirks.is_gone {
            return !0;
        }
        if offset != Offset::Ctrl && self.resetting != Slow::Looks(0) {
            self.complain(IntelViolation::ResetNotAwaited { offset });
        }
        match offset {
            Offset::Ctrl => {
                let is_over = look(&mut self.resetting);
                self.registers.get(offset) | if is_over { 0 } else { CTRL_RESET }
            }
            Offset::Status => self.status(),
            Offset::Eerd => self.eeprom(),
            Offset::Icr => {
                let causes = self.causes;
                self.acknowledge();
                causes
            }
            _ => self.registers.get(offset),
        }
    }

    fn status(&mut self) -> u32 {
        let is_quiet =
            self.registers.get(Offset::Ctrl) & CTRL_MASTER_DISABLE != 0 && look(&mut self.quieting);
        let master = if self.is_express() && !is_quiet { STATUS_MASTER } else { 0 };
        master | if self.setup.is_link_up { STATUS_LINK } else { 0 }
    }

    /// The word that was asked for; DONE stays clear where there is none.
    fn eeprom(&self) -> u32 {
        let asked = self.registers.get(Offset::Eerd);
        let (shift, done) = if self.is_express() { (2, 1 << 1) } else { (8, 1 << 4) };
        let Some(mac) = self.setup.eeprom_mac.filter(|_| asked & 1 != 0) else { return asked };
        let mut words =
            mac.chunks(2).map(|pair| pair.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)));
        let word = words.nth((asked >> shift & 0xff) as usize).unwrap_or(0xffff);
        word << 16 | asked & !1 | done
    }

    pub fn write(&mut self, offset: Offset, value: u32) {
        if self.setup.quirks.is_gone {
            return;
        }
        if self.resetting != Slow::Looks(0) {
            self.complain(IntelViolation::ResetNotAwaited { offset });
        }
        self.violations.extend(complaint(self.setup.model, offset, value));
        if Ring::placed_by(offset).is_some_and(|ring| self.is_on(ring)) {
            self.complain(IntelViolation::RingMovedWhileOn { offset });
        }
        match offset {
            Offset::Ctrl => self.write_ctrl(value),
            Offset::Rctl => self.write_control(Ring::Receive, value),
            Offset::Tctl => self.write_control(Ring::Transmit, value),
            Offset::Rdt => self.write_tail(Ring::Receive, value),
            Offset::Tdt => self.write_tail(Ring::Transmit, value),
            Offset::Ims => self.set_mask(self.registers.get(Offset::Ims) | value),
            Offset::Imc => self.set_mask(self.registers.get(Offset::Ims) & !value),
            _ => self.registers.write(offset, value),
        }
    }

    fn write_ctrl(&mut self, value: u32) {
        self.registers.write(Offset::Ctrl, value & !CTRL_RESET);
        if value & CTRL_MASTER_DISABLE != 0 && value & CTRL_RESET == 0 {
            self.quieting = self.setup.quirks.slow_quiet;
        }
        if value & CTRL_RESET == 0 {
            return;
        }
        let may_request = self.is_express() && value & CTRL_MASTER_DISABLE == 0;
        if self.is_on(Ring::Receive) || self.is_on(Ring::Transmit) || may_request {
            self.complain(IntelViolation::ResetWhileBusy);
        }
        self.switch_off(Ring::Receive);
        self.switch_off(Ring::Transmit);
        self.registers.reset(&self.setup);
        self.resetting = self.setup.quirks.slow_reset;
        (self.causes, self.is_asserted) = (0, false);
    }

    fn write_control(&mut self, ring: Ring, value: u32) {
        let RingOffsets { control, .. } = ring.offsets();
        let (was_on, is_on) = (self.is_on(ring), value & ENABLE != 0);
        if was_on && is_on && ring == Ring::Receive {
            self.complain(IntelViolation::ControlWrittenTwice);
        }
        self.registers.write(control, value);
        if is_on && !was_on {
            self.switch_on(ring);
        }
        if !is_on {
            self.switch_off(ring);
        }
    }

    /// Lets go of the ring; its head register tells how far the card came.
    fn switch_off(&mut self, ring: Ring) {
        let head = core::mem::replace(self.ring_mut(ring), DeviceRing::new(ring)).head;
        if head != 0 {
            self.registers.set(ring.offsets().head, head.into());
        }
    }

    /// Takes over where the ring is.
    fn switch_on(&mut self, ring: Ring) {
        let RingOffsets { low, high, length, head, tail, .. } = ring.offsets();
        let get = |offset| self.registers.get(offset);
        let base = u64::from(get(high)) << 32 | u64::from(get(low));
        let (bytes, head, tail) = (get(length), get(head) as u16, get(tail) as u16);
        if !base.is_multiple_of(16) {
            self.complain(IntelViolation::RingMisaligned { ring });
        }
        if bytes == 0 || !bytes.is_multiple_of(128) {
            self.complain(IntelViolation::RingLength { ring });
        }
        if !self.machine.has(base, bytes as usize) {
            self.complain(IntelViolation::RingOutsideMemory { ring });
        }
        if ring == Ring::Transmit && !self.is_express() && self.registers.writes(Offset::Tipg) == 0 {
            self.complain(IntelViolation::GapsUndefined);
        }
        let state = self.ring_mut(ring);
        (state.base, state.len, state.head, state.tail) = (base, (bytes / 16) as u16, head, tail);
        self.fetch(ring);
    }

    fn write_tail(&mut self, ring: Ring, value: u32) {
        self.registers.write(ring.offsets().tail, value);
        if !self.is_on(ring) {
            // Before a ring is switched on, its tail is put where its head is.
            if value != 0 {
                self.complain(IntelViolation::DoorbellWhileOff { ring });
            }
            return;
        }
        let state = self.ring_mut(ring);
        state.doorbells += 1;
        let (head, before, tail) = (state.head, state.tail, value as u16);
        if tail >= state.len {
            return self.complain(IntelViolation::TailOutOfRange { ring });
        }
        if tail == before {
            return self.complain(IntelViolation::DoorbellWithoutDescriptors { ring });
        }
        if state.distance(head, tail) < state.distance(head, before) {
            return self.complain(IntelViolation::TailMovedBack { ring });
        }
        state.tail = tail;
        self.fetch(ring);
    }

    fn fetch(&mut self, ring: Ring) {
        let limit = self.buffer_bytes().min(self.frame_max()) as u64;
        let Self { machine, receive, transmit, violations, .. } = self;
        let (state, other) = match ring {
            Ring::Receive => (receive, transmit),
            Ring::Transmit => (transmit, receive),
        };
        state.fetch(machine, limit, &other.buffers(), violations);
    }

    /// The size of a buffer, as the receive control has it.
    fn buffer_bytes(&self) -> usize {
        let control = self.registers.get(Offset::Rctl);
        let size = control >> 16 & 3;
        if control >> 25 & 1 == 0 { 2048 >> size } else { 32768 >> size }
    }

    /// The longest frame that is taken, without its checksum.
    fn frame_max(&self) -> usize {
        if self.registers.get(Offset::Rctl) & LONG_FRAMES == 0 { STANDARD } else { 16380 }
    }
}

/// Frames.
impl Model {
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        loop {
            let owned = self.transmit.take(&self.machine, &mut self.violations)?;
            frame.extend_from_slice(DeviceRing::data(&owned));
            if owned.word & REPORT != 0 {
                self.transmit.write_word(&self.machine, owned.position, owned.word | DONE);
                self.raise(Ring::Transmit);
            }
            if owned.word & END != 0 {
                return Some(frame);
            }
        }
    }

    pub fn receive(&mut self, frame: &[u8]) -> bool {
        let size = self.buffer_bytes();
        let needed = frame.len().div_ceil(size);
        if !self.is_on(Ring::Receive) || frame.len() > self.frame_max() || self.receive.owned.len() < needed {
            return false;
        }
        let mut parts = frame.chunks(size).peekable();
        while let Some(part) = parts.next() {
            let Some(owned) = self.receive.take(&self.machine, &mut self.violations) else { return false };
            self.machine.write(owned.address, part);
            let end = if parts.peek().is_none() { RECEIVED_END } else { 0 };
            self.receive.write_word(&self.machine, owned.position, part.len() as u64 | end | DONE);
        }
        self.raise(Ring::Receive);
        true
    }

    pub fn complete_falsely(&mut self, ring: Ring, word: u64) {
        let Self { machine, receive, transmit, violations, .. } = self;
        let state = if ring == Ring::Receive { receive } else { transmit };
        if let Some(owned) = state.take(machine, violations) {
            state.write_word(machine, owned.position, word);
        }
    }

    pub fn scribble(&mut self, ring: Ring, position: u16, word: u64) {
        let Self { machine, receive, transmit, .. } = self;
        let state = if ring == Ring::Receive { receive } else { transmit };
        state.scribble(machine, position, word);
    }
}

/// Interrupts.
impl Model {
    fn cause(ring: Ring) -> u32 {
        match ring {
            Ring::Receive => 1 << 7,
            Ring::Transmit => 1,
        }
    }

    fn raise(&mut self, ring: Ring) {
        self.causes |= Self::cause(ring);
        self.assert_line();
    }

    fn set_mask(&mut self, mask: u32) {
        self.registers.write(Offset::Ims, mask);
        self.assert_line();
    }

    fn assert_line(&mut self) {
        let is_wanted = self.causes & self.registers.get(Offset::Ims) != 0;
        self.interrupts += u64::from(is_wanted && !self.is_asserted);
        self.is_asserted = is_wanted;
    }

    pub fn acknowledge(&mut self) {
        self.causes = 0;
        self.assert_line();
    }

    pub fn driver_sleeps(&mut self, ring: Ring) {
        if self.registers.get(Offset::Ims) & Self::cause(ring) == 0 {
            self.complain(IntelViolation::SleepsUnarmed { ring });
        }
    }
}
