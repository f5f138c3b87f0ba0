//! A card that is running, with rings around its queues.

use std::sync::Arc;

use millrace_drivers::e1000::{E1000, Model};
use millrace_drivers::testing::{FakeMachine, IntelDevice, IntelSetup};
use nm_driver::nic::{Mtu, StartParams};
use nm_driver::testing::{RxRing, TxRing};

use crate::rings;

pub const FALLBACK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const MODELS: [Model; 4] = [Model::I82540em, Model::I82544, Model::I82545em, Model::I82574l];

/// Payload capacity of the buffers, as the core has it by default.
pub const CAPACITY: u16 = 1984;
/// The longest frame that comes in.
pub const LONGEST: usize = 1518;

pub struct Bench {
    pub machine: Arc<FakeMachine>,
    pub device: IntelDevice,
    pub nic: E1000,
    pub tx: TxRing,
    pub rx: RxRing,
    params: StartParams,
}

impl Bench {
    pub fn new(setup: IntelSetup) -> Self {
        Self::with_buffers(setup, CAPACITY, Mtu::ETHERNET)
    }

    /// A card with buffers of this length, for frames up to this MTU.
    pub fn with_buffers(setup: IntelSetup, buffer_len: u16, mtu: Mtu) -> Self {
        let machine = FakeMachine::new();
        let model = setup.model;
        let device = IntelDevice::new(&machine, setup);
        let mut nic = E1000::new(device.attachment(), model, machine.clone(), FALLBACK_MAC).unwrap();
        let mut params = rings::params(&nic, buffer_len);
        params.mtu = mtu;
        let mut pairs = rings::start(&mut nic, &machine, &params).unwrap();
        let (tx, rx) = pairs.remove(0);
        Self { machine, device, nic, tx, rx, params }
    }

    /// Starts the card again, with new rings.
    pub fn restart(&mut self) {
        let mut pairs = rings::start(&mut self.nic, &self.machine, &self.params).unwrap();
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
    let bytes = number.wrapping_mul(0x9e37_79b9).to_le_bytes();
    bytes.into_iter().cycle().zip((0..=250u8).cycle()).map(|(a, b)| a ^ b).take(len).collect()
}

/// The frame as it leaves: not shorter than Ethernet has it.
pub fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}
