//! A card that is running, with buffers to give to it.

use std::marker::PhantomData;
use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, NetDevice, PacketBuffers, Setup};
use millrace_drivers::virtio::net::VirtioNet;
use nm_core::nic::{AnyRxQueue, AnyTxQueue, Content, Nic, Received};
use nm_core::platform::Platform;

use crate::ways::Way;

pub const FALLBACK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const RECEIVE: u16 = 0;
pub const TRANSMIT: u16 = 1;

/// Payload capacity of the buffers.
pub const CAPACITY: u16 = 128;

/// A running card, attached in the way `W`.
pub struct Bench<W: Way> {
    pub machine: Arc<FakeMachine>,
    pub device: NetDevice,
    pub nic: VirtioNet,
    pub tx: AnyTxQueue,
    pub rx: AnyRxQueue,
    /// Number `id` is for the receive queue, number `capacity + id` for the transmit queue.
    pub buffers: PacketBuffers,
    way: PhantomData<W>,
}

impl<W: Way> Bench<W> {
    pub fn new(setup: Setup) -> Self {
        let machine = FakeMachine::new();
        let device = NetDevice::new(&machine, setup);
        let mut nic = VirtioNet::new(W::attach(&device), machine.clone(), FALLBACK_MAC, W::options(1))
            .expect("a usable card");
        let mut queues = nic.start().expect("a card that starts");
        let (tx, rx) = (queues.tx.remove(0), queues.rx.remove(0));
        let platform: Arc<dyn Platform> = machine.clone();
        let count = usize::from(tx.capacity()) + usize::from(rx.capacity());
        let buffers = PacketBuffers::new(&platform, count, CAPACITY).unwrap();
        Self { machine, device, nic, tx, rx, buffers, way: PhantomData }
    }

    /// Posts `frame` under `id`, without a kick.
    pub fn put(&mut self, id: u16, frame: &[u8]) -> bool {
        let number = usize::from(self.rx.capacity()) + usize::from(id);
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

    /// Stops the card; the driver must have kept all rules and given everything back.
    pub fn finish(self) {
        let Self { machine, device, nic, tx, rx, buffers, way: PhantomData } = self;
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
    number.to_le_bytes().into_iter().cycle().zip(0u8..).map(|(a, b)| a ^ b).take(len).collect()
}
