//! What the card is told by the control queue (section 5.1.6.5).
//!
//! All of it is told at the start, and all answers are waited for: once packets pass, the queue is not used.
//!
//! | told | where there is | if the device does not do it |
//! |---|---|---|
//! | how many queue pairs it is to use | MQ, and several are wanted | the card does not start |
//! | to take frames for any station | CTRL_RX | a warning: some frames may be missing |
//!
//! The second makes filters needless: as with netmap, what a port gets is what is on its wire.

use log::warn;
use nm_driver::nic::NicInfo;
use nm_driver::platform::Platform;

use super::NetError;
use super::negotiated::NegotiatedConfig;
use crate::virtio::features::Features;
use crate::virtio::queue::CommandQueue;

/// Number of the control queue of a device that was not granted several queue pairs (section 5.1.2).
const AFTER_ONE_PAIR: u16 = 2;

/// `VIRTIO_NET_CTRL_RX`, `VIRTIO_NET_CTRL_RX_PROMISC` (section 5.1.6.5.1): all frames, whomever they are for.
const PROMISCUOUS: [u8; 2] = [0, 0];
/// `VIRTIO_NET_CTRL_MQ`, `VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET` (section 5.1.6.5.5).
const QUEUE_PAIRS: [u8; 2] = [4, 0];
/// `VIRTIO_NET_OK`.
const OK: u8 = 0;
/// A mode that is on.
const ON: u8 = 1;

/// Number of the control queue of a device with so many queue pairs, if it was granted several.
pub(super) fn queue_number(pairs: Option<u16>) -> u16 {
    pairs.map_or(AFTER_ONE_PAIR, |pairs| pairs.saturating_mul(2))
}

/// Tells the running device, which says `info` of itself, how it is to work.
pub(super) fn instruct(
    control: &mut CommandQueue,
    negotiated: &NegotiatedConfig,
    info: &NicInfo,
    platform: &dyn Platform,
) -> Result<(), NetError> {
    if negotiated.granted_pairs().is_some() {
        use_queue_pairs(control, negotiated.pairs, platform)?;
    }
    if negotiated.features.contains(Features::NET_CTRL_RX) {
        take_all_frames(control, platform).unwrap_or_else(|error| go_on_after(&error, info));
    }
    Ok(())
}

/// Says what becomes of a device that cannot be told which frames to take.
pub(super) fn go_on_after(error: &NetError, info: &NicInfo) {
    warn!("{info}: {error}; frames for other MAC addresses may not be received");
}

/// Has the device use the queues of so many pairs, from the first on. Until then it uses those of one.
fn use_queue_pairs(control: &mut CommandQueue, pairs: u16, platform: &dyn Platform) -> Result<(), NetError> {
    accepted(control.ask(QUEUE_PAIRS, &pairs.to_le_bytes(), platform), NetError::PairsRefused { pairs })
}

/// Has the device take frames for any station, and not only for its own: they are to be forwarded.
fn take_all_frames(control: &mut CommandQueue, platform: &dyn Platform) -> Result<(), NetError> {
    accepted(control.ask(PROMISCUOUS, &[ON], platform), NetError::PromiscuousRefused)
}

/// What comes of an answer.
fn accepted(answer: Option<u8>, refused: NetError) -> Result<(), NetError> {
    match answer {
        Some(OK) => Ok(()),
        Some(_) => Err(refused),
        None => Err(NetError::NoAnswer),
    }
}
