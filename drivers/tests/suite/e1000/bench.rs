//! A card that is running, with buffers to give to it.

use std::sync::Arc;

use millrace_drivers::e1000::{E1000, Model, SLOTS};
use millrace_drivers::testing::{FakeMachine, IntelDevice, IntelRegisters, IntelSetup, PacketBuffers};
use nm_core::nic::{AnyRxQueue, AnyTxQueue, Content, Nic, Received};
use nm_core::platform::Platform;

pub const FALLBACK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const MODELS: [Model; 4] = [Model::I82540em, Model::I82544, Model::I82545em, Model::I82574l];

/// Payload capacity of the buffers, as the core has it by default.
pub const CAPACITY: u16 = 1984;
/// The longest frame that comes in.
pub const LONGEST: usize = 1518;

pub struct Bench {
    pub machine: Arc<FakeMachine>,
    pub device: IntelDevice,
    pub nic: E1000<IntelRegisters>,
    pub tx: AnyTxQueue,
    pub rx: AnyRxQueue,
    /// Number `id` is for the receive queue, number `SLOTS + id` for the transmit queue.
    pub buffers: PacketBuffers,
}

impl Bench {
    pub fn new(setup: IntelSetup) -> Self {
        Self::with_capacity(setup, CAPACITY)
    }

    pub fn with_capacity(setup: IntelSetup, capacity: u16) -> Self {
        let machine = FakeMachine::new();
        let model = setup.model;
        let device = IntelDevice::new(&machine, setup);
        let mut nic = E1000::new(device.registers(), model, machine.clone(), FALLBACK_MAC).unwrap();
        let mut queues = nic.start().unwrap();
        let (tx, rx) = (queues.tx.remove(0), queues.rx.remove(0));
        let platform: Arc<dyn Platform> = machine.clone();
        let buffers = PacketBuffers::new(&platform, 2 * usize::from(SLOTS), capacity).unwrap();
        Self { machine, device, nic, tx, rx, buffers }
    }

    pub fn restart(&mut self) {
        let mut queues = self.nic.start().unwrap();
        (self.tx, self.rx) = (queues.tx.remove(0), queues.rx.remove(0));
    }

    /// Posts `frame` under `id`, without a kick.
    pub fn put(&mut self, id: u16, frame: &[u8]) -> bool {
        let number = usize::from(SLOTS) + usize::from(id);
        self.buffers.fill(number, frame);
        self.tx.put(id, self.buffers.lend(number), u16::try_from(frame.len()).unwrap()).is_ok()
    }

    /// Posts an empty buffer under `id`, without a kick.
    pub fn give(&mut self, id: u16) -> bool {
        self.rx.give(id, self.buffers.lend(id.into())).is_ok()
    }

    /// Takes a received frame.
    pub fn take(&mut self) -> Option<(u16, Vec<u8>)> {
        let Received { id, content } = self.rx.take()?;
        match content {
            Content::Frame(len) => Some((id, self.buffers.payload(id.into(), len))),
            Content::Damaged => panic!("buffer {id} is damaged"),
        }
    }

    pub fn reclaim_all(&mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.tx.reclaim()).collect()
    }

    /// Stops the card; the driver must have kept all rules and given everything back.
    #[track_caller]
    pub fn finish(self) {
        let Self { machine, device, nic, tx, rx, buffers } = self;
        drop(nic);
        assert!(!device.is_running());
        drop((tx, rx, buffers));
        assert_eq!(device.violations(), []);
        assert_eq!(machine.misuse(), []);
        assert_eq!(machine.blocks(), 0, "memory is left");
    }
}

/// A frame that can be told from others: `number`, and `len` bytes in all.
pub fn frame(number: u32, len: usize) -> Vec<u8> {
    let bytes = number.wrapping_mul(0x9e37_79b9).to_le_bytes();
    bytes.into_iter().cycle().zip((0..=250u8).cycle()).map(|(a, b)| a ^ b).take(len).collect()
}

/// The frame as it leaves: not shorter than Ethernet has it.
pub fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}
