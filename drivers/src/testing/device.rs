//! Model of the virtio network card (section 5.1).
//!
//! A test holds a [`NetDevice`] and plays the device with it; the driver under test holds a [`ModelTransport`] to the
//! same card, or its registers ([`legacy_pci`], [`mmio`]). The device does nothing on its own: each step is a call, so that a
//! test decides about every order.

mod config_reads;
mod control;
mod legacy_pci;
mod mmio;
mod model;
mod registers;
mod ring;
mod setup;
mod transport;
mod violation;

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard};

use self::model::Model;
use self::ring::{DeviceRing, Framing};
use super::{FakeMachine, lock};
use crate::virtio::transport::QueuePlace;

pub use self::mmio::MmioVersion;
pub use self::setup::{Commands, Interface, Quirks, Setup, Slow};
pub use self::transport::ModelTransport;
pub use self::violation::Violation;

/// A card, shared by the test and the driver.
#[derive(Debug, Clone)]
pub struct NetDevice {
    model: Arc<Mutex<Model>>,
}

/// For the test: looking on.
impl NetDevice {
    /// A card in `machine`.
    pub fn new(machine: &Arc<FakeMachine>, setup: Setup) -> Self {
        Self { model: Arc::new(Mutex::new(Model::new(machine.clone(), setup))) }
    }

    /// Changes what the card offers, from its next reset on, and how it misbehaves, from now on.
    pub fn change_setup(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.lock().setup);
    }

    /// What the driver has done wrong so far.
    pub fn violations(&self) -> Vec<Violation> {
        let model = self.lock();
        let in_rings = model.rings.iter().flat_map(|ring| &ring.violations);
        model.violations.iter().chain(in_rings).copied().collect()
    }

    /// Whether the device was set running and not reset since.
    pub fn is_running(&self) -> bool {
        self.lock().registers.is_running()
    }

    /// Whether the driver has cut the device off from memory.
    pub fn is_cut_off(&self) -> bool {
        self.lock().is_cut_off
    }

    /// The features that the driver has accepted.
    pub fn accepted_features(&self) -> u64 {
        self.lock().registers.accepted
    }

    /// The entries of a queue as the driver has set them.
    pub fn queue_size(&self, queue: u16) -> u16 {
        self.lock().registers.queues.get(usize::from(queue)).map_or(0, |queue| queue.place.size)
    }

    /// Whether the driver has enabled a queue.
    pub fn is_queue_enabled(&self, queue: u16) -> bool {
        self.lock().is_queue_enabled(queue)
    }

    /// How often the doorbell of `queue` rang.
    pub fn doorbells(&self, queue: u16) -> u64 {
        self.with_ring(queue, |ring| ring.bells.doorbells).unwrap_or(0)
    }

    /// How many interrupts there were for `queue`.
    pub fn interrupts(&self, queue: u16) -> u64 {
        self.with_ring(queue, |ring| ring.bells.interrupts).unwrap_or(0)
    }

    /// Whether the device asserts its line.
    pub fn is_line_asserted(&self) -> bool {
        self.lock().isr() != 0
    }

    /// The commands since the last reset: number and data of each.
    pub fn commands(&self) -> Vec<Vec<u8>> {
        self.lock().commands.clone()
    }

    /// How many buffers of `queue` the device owns.
    pub fn owned(&self, queue: u16) -> usize {
        self.with_ring(queue, |ring| ring.owned.len()).unwrap_or(0)
    }
}

/// For the test: playing the device.
impl NetDevice {
    /// Takes what the driver has published on all queues.
    pub fn fetch(&self) {
        self.lock().fetch();
    }

    /// Takes what was published and sends one packet of the first pair: the one at `place` (modulo their number) among those
    /// waiting, the oldest at 0. Returns the frame.
    pub fn transmit(&self, place: usize) -> Option<Vec<u8>> {
        self.transmit_of(0, place)
    }

    /// The same for a packet of another pair.
    pub fn transmit_of(&self, pair: u16, place: usize) -> Option<Vec<u8>> {
        let mut model = self.lock();
        model.fetch();
        let machine = model.machine.clone();
        let ring = model.rings.get_mut(2 * usize::from(pair) + 1)?;
        let (id, owned) = ring.pick(place)?;
        let packet = owned.read(&machine).unwrap_or_default();
        ring.complete(id, &owned, 0);
        Some(packet.get(ring.framing.header_bytes()..).unwrap_or_default().to_vec())
    }

    /// Takes what was published and sends the `count` oldest packets of the first pair, or all that wait. If the device has
    /// promised to use buffers in order, it reports the last of them alone. Returns the frames.
    pub fn transmit_batch(&self, count: usize) -> Vec<Vec<u8>> {
        let mut model = self.lock();
        model.fetch();
        let machine = model.machine.clone();
        let Some(ring) = model.rings.get_mut(1) else { return Vec::new() };
        let batch: Vec<_> = core::iter::from_fn(|| ring.pick(0)).take(count).collect();
        ring.complete_batch(&batch, 0);
        let header = ring.framing.header_bytes();
        let packets = batch.iter().map(|(_, owned)| owned.read(&machine).unwrap_or_default());
        packets.map(|packet| packet.get(header..).unwrap_or_default().to_vec()).collect()
    }

    /// Takes what was published and receives frames by the first pair: `count` that fill their buffers with `byte`, or as many
    /// as there are buffers less one, and then `last`. If the device has promised to use buffers in order, it reports the last
    /// alone. Returns whether there was a buffer for that.
    pub fn receive_batch(&self, count: usize, byte: u8, last: &[u8]) -> bool {
        let mut model = self.lock();
        model.fetch();
        let machine = model.machine.clone();
        let Some(ring) = model.rings.get_mut(0) else { return false };
        let Some(count) = ring.owned.len().checked_sub(1).map(|most| most.min(count)) else { return false };
        let header = ring.framing.received_header(1);
        let full: Vec<_> = core::iter::from_fn(|| ring.pick(0)).take(count).collect();
        for (_, owned) in &full {
            let mut packet = header.clone();
            packet.resize(owned.bytes(), byte);
            // A buffer outside memory was complained of when it was taken.
            let _ = owned.write(&machine, &packet);
        }
        let Some((id, owned)) = ring.pick(0) else { return false };
        let packet = [&header, last].concat();
        let _ = owned.write(&machine, &packet);
        let batch: Vec<_> = full.into_iter().chain([(id, owned)]).collect();
        ring.complete_batch(&batch, u32::try_from(packet.len()).unwrap_or(0));
        true
    }

    /// Takes what was published and sends everything, in order.
    pub fn transmit_all(&self) -> Vec<Vec<u8>> {
        core::iter::from_fn(|| self.transmit(0)).collect()
    }

    /// Takes what was published and receives `frame` into the buffer at `place` (modulo their number) among those waiting of
    /// the first pair, and those behind it if the driver has accepted that frames are spread. Returns whether the frame fits; if
    /// not, it is dropped.
    pub fn receive(&self, frame: &[u8], place: usize) -> bool {
        self.receive_by(0, frame, place)
    }

    /// The same by another pair.
    pub fn receive_by(&self, pair: u16, frame: &[u8], place: usize) -> bool {
        let mut model = self.lock();
        model.fetch();
        let machine = model.machine.clone();
        let queue = 2 * pair;
        let Some(ring) = model.rings.get_mut(usize::from(queue)) else { return false };
        if ring.framing == Framing::Merged {
            return ring.receive_merged(frame, place);
        }
        let Some((id, owned)) = ring.pick(place) else { return false };
        let packet = [&ring.framing.received_header(1), frame].concat();
        let fits = packet.len() <= owned.bytes();
        if fits && owned.write(&machine, &packet).is_none() {
            ring.complain(Violation::BufferOutsideMemory { queue, id });
        }
        let written = if fits { packet.len() } else { 0 };
        ring.complete(id, &owned, u32::try_from(written).unwrap_or(0));
        fits
    }

    /// From now on the device looks at `queue` by itself and wants no doorbell (`true`), or wants it again.
    pub fn set_quiet(&self, queue: u16, is_quiet: bool) {
        self.with_ring(queue, |ring| ring.set_quiet(is_quiet));
    }

    /// The driver goes to sleep until an interrupt of `queue`, having taken `taken` completions since the start
    /// (modulo 65536). Complains if nothing would wake it.
    pub fn driver_sleeps(&self, queue: u16, taken: u16) {
        self.with_ring(queue, |ring| ring.driver_sleeps(taken));
    }
}

/// For the test: misbehaving.
impl NetDevice {
    /// Writes an entry of the used ring. In a packed queue: a used descriptor at the next place, with the lower half of `id`.
    pub fn complete_falsely(&self, queue: u16, id: u32, written: u32) {
        self.with_ring(queue, |ring| ring.complete_falsely(id, written));
    }

    /// Takes what was published, and receives something into the oldest buffers of the first pair: a header that tells of `number`
    /// buffers and so many bytes `0x5a` behind it in the first, `written` bytes in all, and likewise in the others without a header.
    /// Bytes that do not fit are not written, but said to be. Returns how many buffers there were.
    pub fn receive_falsely(&self, number: u16, written: &[u32]) -> usize {
        let mut model = self.lock();
        model.fetch();
        let machine = model.machine.clone();
        let Some(ring) = model.rings.get_mut(0) else { return 0 };
        let mut bytes = ring.framing.received_header(number);
        for (count, &written) in written.iter().enumerate() {
            let Some((id, owned)) = ring.pick(0) else { return count };
            bytes.resize(owned.bytes(), 0x5a);
            let _ = owned.write(&machine, &bytes);
            ring.complete(id, &owned, written);
            bytes.clear();
        }
        written.len()
    }

    /// Moves the index of the used ring by `distance` without writing entries. In a packed queue: has so many places look used,
    /// at most all, with ids and lengths as they are.
    pub fn jump(&self, queue: u16, distance: u16) {
        self.with_ring(queue, |ring| ring.jump(distance));
    }

    /// Writes the flags and `avail_event` of the used ring. In a packed queue: the device's event suppression structure.
    pub fn scribble(&self, queue: u16, flags: u16, event: u16) {
        self.with_ring(queue, |ring| ring.scribble(flags, event));
    }
}

/// The registers one by one: what a driver does through a [`ModelTransport`].
impl NetDevice {
    /// Writes the status register.
    pub fn write_status(&self, status: u8) {
        self.lock().write_status(status);
    }

    /// Reads the status register.
    pub fn read_status(&self) -> u8 {
        self.lock().read_status()
    }

    /// Writes the accepted features.
    pub fn write_features(&self, features: u64) {
        self.lock().write_features(features);
    }

    /// Writes a queue's size.
    pub fn write_queue_size(&self, queue: u16, size: u16) {
        self.lock().write_queue_size(queue, size);
    }

    /// Writes a queue's addresses.
    pub fn write_queue_addresses(&self, queue: u16, place: QueuePlace) {
        self.lock().write_queue_addresses(queue, place);
    }

    /// Enables a queue.
    pub fn enable_queue(&self, queue: u16) {
        self.lock().enable_queue(queue);
    }

    /// Rings a queue's doorbell.
    pub fn ring_doorbell(&self, queue: u16) {
        self.lock().ring_doorbell(queue);
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }

    /// A field of the configuration, which begins at `start` in the registers: zeros behind its end. All ones, and a complaint,
    /// for a register in front of it, which has another length.
    fn read_config_in_bank(&self, start: usize, offset: usize, width: usize) -> u32 {
        let Some(field) = offset.checked_sub(start) else {
            self.complain_of_register(offset);
            return !0;
        };
        let mut model = self.lock();
        model.config_reads.note(field);
        let bytes = (field..field + width).rev().map(|at| model.read_config(at).unwrap_or(0));
        bytes.fold(0, |value, byte| value << 8 | u32::from(byte))
    }

    /// A register was accessed as it must not be.
    fn complain_of_register(&self, offset: usize) {
        self.lock().violations.push(Violation::RegisterAccess { offset });
    }

    fn with_ring<V>(&self, queue: u16, act: impl FnOnce(&mut DeviceRing) -> V) -> Option<V> {
        self.lock().rings.get_mut(usize::from(queue)).map(act)
    }
}
