//! From reset to running: the order of section 3.1.1.
//!
//! A legacy device (section 3.1.2) takes features without a word, and the bit FEATURES_OK is not there.
//!
//! | step                         | here                    | status written                        |
//! |------------------------------|-------------------------|---------------------------------------|
//! | 1 reset                      | [`begin`] ([`reset`])   | 0, then read until it is 0            |
//! | 2, 3 acknowledge             | [`begin`]               | ACKNOWLEDGE, then DRIVER with it      |
//! | 4 choose features            | [`wanted_features`]     |                                       |
//! | 5, 6 agree on features       | [`negotiate`]           | FEATURES_OK with them, then read back |
//! | 7 set up queues              | `VirtioNet::bring_up`   |                                       |
//! | 8 go                         | [`finish`]              | DRIVER_OK with them, then read back   |
//! | behind it: commands          | `control::instruct`     |                                       |
//! | a device that is no use      | [`give_up`]             | FAILED with the first two             |
//! | when a later step fails      | `Nic::stop`             | 0: a reset, which would wipe FAILED   |

use super::NetError;
use crate::options::Options;
use crate::virtio::features::Features;
use crate::virtio::status::Status;
use crate::virtio::transport::Transport;

/// How often the status is read while waiting for a reset. A read of a real card's register takes about a
/// microsecond, so this is a wait of about a second at most.
pub(super) const RESET_POLLS: u32 = 1_000_000;

/// Resets the device and waits until it says that it is done (section 4.1.4.3.2).
pub(super) fn reset(transport: &mut dyn Transport) -> Result<(), NetError> {
    transport.set_status(Status::empty());
    for _ in 0..RESET_POLLS {
        if transport.status().is_empty() {
            return Ok(());
        }
        core::hint::spin_loop();
    }
    Err(NetError::NoReset)
}

/// Resets the device and tells it that a driver has found it.
pub(super) fn begin(transport: &mut dyn Transport) -> Result<(), NetError> {
    reset(transport)?;
    transport.set_status(Status::ACKNOWLEDGE);
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
    Ok(())
}

/// What this driver uses of what the device offers. Only VERSION_1 is demanded, of a device that is not a legacy one.
pub(super) fn wanted_features(transport: &dyn Transport, options: Options) -> Result<Features, NetError> {
    let generation = if transport.is_legacy() { Features::ANY_LAYOUT } else { Features::VERSION_1 };
    let has_packed = options.allows_packed && !transport.is_legacy();
    let format = if has_packed { Features::RING_PACKED } else { Features::empty() };
    let of_control = Features::NET_CTRL_VQ | Features::NET_CTRL_RX | Features::NET_MQ;
    let of_cards = Features::NET_MAC | Features::NET_STATUS | of_control;
    let used = generation | format | Features::RING_EVENT_IDX | of_cards;
    let mut wanted = transport.offered_features() & used;
    // The two need the queue (section 5.1.3.1), and the queue is for the two.
    if !wanted.contains(Features::NET_CTRL_VQ) || !wanted.intersects(of_control - Features::NET_CTRL_VQ) {
        wanted.remove(of_control);
    }
    if transport.is_legacy() || wanted.contains(Features::VERSION_1) {
        Ok(wanted)
    } else {
        Err(NetError::NotVersion1)
    }
}

/// The status once features are agreed on.
fn agreed(transport: &dyn Transport) -> Status {
    let begun = Status::ACKNOWLEDGE | Status::DRIVER;
    if transport.is_legacy() { begun } else { begun | Status::FEATURES_OK }
}

/// Agrees on `features` with the device.
pub(super) fn negotiate(transport: &mut dyn Transport, features: Features) -> Result<(), NetError> {
    if !transport.offered_features().contains(features) {
        return Err(NetError::FeaturesRefused);
    }
    transport.accept_features(features);
    if transport.is_legacy() {
        return Ok(());
    }
    transport.set_status(agreed(transport));
    if transport.status().contains(Status::FEATURES_OK) { Ok(()) } else { Err(NetError::FeaturesRefused) }
}

/// Lets the device work.
pub(super) fn finish(transport: &mut dyn Transport) -> Result<(), NetError> {
    transport.set_status(agreed(transport) | Status::DRIVER_OK);
    let status = transport.status();
    if status.contains(Status::DRIVER_OK) && !status.intersects(Status::NEEDS_RESET | Status::FAILED) {
        Ok(())
    } else {
        Err(NetError::DeviceFailed)
    }
}

/// Tells a device that was only looked at that its driver has given up.
pub(super) fn give_up(transport: &mut dyn Transport) {
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FAILED);
}
