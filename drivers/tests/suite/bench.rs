//! A card that is running, with rings around its queues.

use std::marker::PhantomData;
use std::sync::Arc;

use millrace_drivers::testing::{FakeMachine, NetDevice, Setup};
use millrace_drivers::virtio::net::VirtioNet;
use nm_driver::nic::StartParams;
use nm_driver::testing::{RxRing, TxRing};

use crate::rings;
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
    pub tx: TxRing,
    pub rx: RxRing,
    way: PhantomData<W>,
}

impl<W: Way> Bench<W> {
    /// A card whose rings are as long as its queues.
    pub fn new(setup: Setup) -> Self {
        Self::with_params(setup, |_| {})
    }

    /// The same for a card that is started with changed parameters, which may be shorter rings.
    pub fn with_params(setup: Setup, change: impl FnOnce(&mut StartParams)) -> Self {
        let machine = FakeMachine::new();
        let device = NetDevice::new(&machine, setup);
        let mut nic = VirtioNet::new(W::attach(&device), machine.clone(), FALLBACK_MAC, W::options(1))
            .expect("a usable card");
        let mut params = rings::params(&nic, CAPACITY);
        change(&mut params);
        let mut pairs = rings::start(&mut nic, &machine, &params).expect("a card that starts");
        let (tx, rx) = pairs.remove(0);
        Self { machine, device, nic, tx, rx, way: PhantomData }
    }

    /// Starts the card again, with new rings.
    pub fn restart(&mut self) {
        let params = rings::params(&self.nic, CAPACITY);
        let mut pairs = rings::start(&mut self.nic, &self.machine, &params).expect("a card that starts");
        (self.tx, self.rx) = pairs.remove(0);
    }

    /// Stops the card; the driver must have kept all rules, and each buffer is in one place.
    #[track_caller]
    pub fn finish(self) {
        let Self { machine, device, nic, tx, rx, .. } = self;
        assert!(tx.is_complete() && rx.is_complete(), "a buffer is lost, or in two places");
        drop(nic);
        assert!(!device.is_running());
        drop((tx, rx));
        assert_eq!(device.violations(), []);
        assert_eq!(machine.misuse(), []);
        assert_eq!(machine.blocks(), 0, "memory is left");
    }
}

/// A frame that can be told from others: `number`, and `len` bytes in all.
pub fn frame(number: u32, len: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().zip(0u8..).map(|(a, b)| a ^ b).take(len).collect()
}
