//! Rings with buffers around the queues of a card.

use std::sync::Arc;

use millrace_drivers::testing::FakeMachine;
use nm_driver::nic::{Mtu, Nic, StartParams, StartResult};
use nm_driver::platform::Platform;
use nm_driver::testing::{RxRing, TxRing};

/// What a card is started with for buffers of this length and rings as long as its queues: an MTU whose frames fit a buffer.
pub fn params(nic: &impl Nic, buffer_len: u16) -> StartParams {
    let info = nic.info();
    let mtu = Mtu::ETHERNET.min(Mtu::of_frames(buffer_len).unwrap_or(Mtu::MIN));
    StartParams { buffer_len, tx_slots: info.tx_slots, rx_slots: info.rx_slots, mtu }
}

/// Starts the card for rings as long as its queues, with buffers as the core has them by default.
pub fn queues_of<N: Nic>(nic: &mut N) -> StartResult<N> {
    let params = params(nic, 1984);
    nic.start(&params)
}

/// Starts the card. Returns the rings of each queue pair, which are as long as `params` say, and not longer than their queues.
/// One slot of a ring is never used.
pub fn start<N: Nic>(
    nic: &mut N,
    machine: &Arc<FakeMachine>,
    params: &StartParams,
) -> Result<Vec<(TxRing, RxRing)>, N::Error> {
    let queues = nic.start(params)?;
    let platform: Arc<dyn Platform> = machine.clone();
    let lengths = (params.buffer_len, queues.receive_len);
    let rings = queues.tx.into_iter().zip(queues.rx).map(|(tx, rx)| {
        let &StartParams { buffer_len, tx_slots, rx_slots, .. } = params;
        assert!(tx.capacity() >= tx_slots && rx.capacity() >= rx_slots, "no ring is longer than its queue");
        assert!(tx_slots > 1 && rx_slots > 1, "no ring is so short");
        let tx = TxRing::new(&platform, tx, tx_slots, buffer_len).expect("memory for a ring");
        (tx, RxRing::new(&platform, rx, rx_slots, lengths).expect("memory for a ring"))
    });
    Ok(rings.collect())
}
