//! What a card's interrupts do: they tell netmap, and nothing else.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use nm_core::events::Events;

use crate::hal::Handler;

/// Handlers for a card with one queue each way: that of the receive queue, then that of the transmit queue. An interrupt
/// that is not netmap's is nobody's.
pub(crate) fn for_one_pair(events: Events) -> Vec<Handler> {
    let transmit = events.clone();
    let on_receive = move || {
        let _ = events.rx_interrupt(0);
    };
    let on_transmit = move || {
        let _ = transmit.tx_interrupt(0);
    };
    vec![Box::new(on_receive), Box::new(on_transmit)]
}
