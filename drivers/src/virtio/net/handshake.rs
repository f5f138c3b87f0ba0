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

/// The barriers of the queues satisfy ORDER_PLATFORM, by which the device may be one in hardware. On x86 they are the same for
/// a processor and for a device: devices see stores to memory in program order, so that a release store is an ordinary one;
/// loads are in program order, so that an acquire load is; the sequentially consistent fence in front of each look at whether
/// the device wants a doorbell is the one that orders a store before a load; and a doorbell, a store to uncached memory or an
/// io port, follows all stores before it (Intel SDM volume 3, sections 8.2.2 and 11.3). On other architectures a barrier
/// between processors is not enough.
const IS_ORDERED_FOR_DEVICES: bool = cfg!(target_arch = "x86_64");

/// What this driver uses of how a device that is not a legacy one lays queues out and accesses memory.
fn modern_features(options: Options) -> Features {
    let mut features = Features::VERSION_1 | Features::ACCESS_PLATFORM | Features::IN_ORDER;
    features.set(Features::ORDER_PLATFORM, IS_ORDERED_FOR_DEVICES);
    features.set(Features::RING_PACKED, options.allows_packed);
    features
}

/// What this driver uses of what the device offers. Only VERSION_1 is demanded, of a device that is not a legacy one.
pub(super) fn wanted_features(transport: &dyn Transport, options: Options) -> Result<Features, NetError> {
    let of_generation = if transport.is_legacy() { Features::ANY_LAYOUT } else { modern_features(options) };
    let of_control = Features::NET_CTRL_VQ | Features::NET_CTRL_RX | Features::NET_MQ;
    let of_cards = Features::NET_MAC | Features::NET_STATUS | of_control;
    let used = of_generation | Features::RING_EVENT_IDX | of_cards;
    let mut wanted = transport.offered_features() & used;
    if let Some(iommu) = options.iommu.filter(|_| wanted.contains(Features::ACCESS_PLATFORM)) {
        return Err(NetError::BehindIommu(iommu));
    }
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
    let offered = transport.offered_features();
    if !offered.contains(features) {
        return Err(NetError::FeaturesWithdrawn { missing: features.difference(offered) });
    }
    transport.accept_features(features);
    if transport.is_legacy() {
        return Ok(());
    }
    transport.set_status(agreed(transport));
    if transport.status().contains(Status::FEATURES_OK) {
        Ok(())
    } else {
        Err(NetError::FeaturesRefused { not_accepted: offered.difference(features) })
    }
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
