//! What a card's interrupts do: they tell netmap, and nothing else.

use alloc::boxed::Box;
use alloc::vec::Vec;

use nm_driver::events::Events;

use crate::hal::Handler;

/// Handlers for a card with so many queues each way, pair by pair: that of the receive queue, then that of the transmit
/// queue. An interrupt that is not netmap's is counted as no card's.
pub(crate) fn for_pairs(events: &Events, pairs: u16) -> Vec<Handler> {
    let of_pair = |pair| {
        let (receive, transmit) = (events.clone(), events.clone());
        let on_receive: Handler = Box::new(move || {
            let _ = receive.rx_interrupt(pair);
        });
        let on_transmit: Handler = Box::new(move || {
            let _ = transmit.tx_interrupt(pair);
        });
        [on_receive, on_transmit]
    };
    (0..pairs).flat_map(of_pair).collect()
}
