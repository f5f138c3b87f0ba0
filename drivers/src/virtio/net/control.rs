//! What the card is told by the control queue (section 5.1.6.5).
//!
//! All of it is told at the start, and all answers are waited for: once packets pass, the queue is not used.

use nm_core::platform::Platform;

use super::NetError;
use crate::virtio::queue::CommandQueue;
use crate::virtio::transport::Notifier;

/// Number of the control queue of a device that was not granted several queue pairs (section 5.1.2).
const AFTER_ONE_PAIR: u16 = 2;

/// `VIRTIO_NET_CTRL_MQ`, `VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET` (section 5.1.6.5.5).
const QUEUE_PAIRS: [u8; 2] = [4, 0];
/// `VIRTIO_NET_OK`.
const OK: u8 = 0;

/// Number of the control queue of a device with so many queue pairs, if it was granted several.
pub(super) fn queue_number(pairs: Option<u16>) -> u16 {
    pairs.map_or(AFTER_ONE_PAIR, |pairs| pairs.saturating_mul(2))
}

/// Has the device use the queues of so many pairs, from the first on. Until then it uses those of one.
pub(super) fn use_queue_pairs<N: Notifier>(
    control: &mut CommandQueue<N>,
    pairs: u16,
    platform: &dyn Platform,
) -> Result<(), NetError> {
    match control.ask(QUEUE_PAIRS, pairs.to_le_bytes(), platform) {
        Some(OK) => Ok(()),
        Some(_) => Err(NetError::PairsRefused { pairs }),
        None => Err(NetError::NoAnswer),
    }
}
