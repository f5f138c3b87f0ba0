//! How large the rings of an adapter become, and what its back end is started with.

use alloc::vec::Vec;

use nm_driver::offsets::SlotOffsets;

use super::common::Common;
use super::request::Request;
use super::slots::Slots;
use super::users::Rings;
use crate::index::RingSize;
use crate::mem::Region;
use crate::nic::{Mtu, NicInfo, StartParams};
use crate::offsets::{Offsets, OffsetsError};
use crate::open_error::OpenError;
use crate::ring::memory::RingShape;
use crate::stats::{Direction, RingKind};

/// As many slots as the queues hold, and as the host rings are to have, fewer where ring objects are small.
pub(super) fn slots(common: &Common, info: &NicInfo, region: &Region) -> Slots {
    let slots_max = region.sizes().slots_max();
    let host_slots = common.host.as_ref().map_or(0, |host| host.rings().slots);
    Slots {
        tx: u32::from(info.tx_slots).min(slots_max),
        rx: u32::from(info.rx_slots).min(slots_max),
        host: u32::from(host_slots).min(slots_max),
    }
}

/// The offsets that the first port of interface `name` asks for.
pub(super) fn offsets(
    name: &str,
    has_offsets: bool,
    request: &Request<'_>,
) -> Result<SlotOffsets, OpenError> {
    let checked = match request.wanted.offsets {
        None => Ok(SlotOffsets::NONE),
        Some(_) if !has_offsets => Err(OffsetsError::Unsupported),
        Some(offsets) => offsets.check(request.region.frame_max()),
    };
    checked.map_err(|cause| OpenError::Offsets { name: name.into(), cause })
}

/// Checks that a port of interface `name` wants the offsets that the others have.
pub(super) fn check_same(
    name: &str,
    current: Option<Offsets>,
    wanted: Option<Offsets>,
) -> Result<(), OpenError> {
    if wanted == current {
        return Ok(());
    }
    Err(OpenError::Offsets { name: name.into(), cause: OffsetsError::InUse { wanted, current } })
}

/// All rings of interface `name` in the order of netmap's table, with fewer slots than wanted where its share of buffers is too
/// small for these.
pub(super) fn shapes(
    name: &str,
    (rings, wanted): (Rings, Slots),
    (offsets, request): (SlotOffsets, &Request<'_>),
) -> Vec<RingShape> {
    let initial_offset = request.wanted.offsets.map_or(0, |offsets| offsets.initial_offset);
    let share = request.share;
    let slots = wanted.shrink(rings, share);
    if wanted != slots {
        log::warn!(target: "netmap", "{name}: rings of {slots} slots instead of {wanted}, for its share of {share} buffers");
    }
    let shapes = |direction, hardware| {
        let hardware_end = rings.hardware(direction);
        (0..hardware_end + rings.host(direction)).filter_map(move |number| {
            let (kind, _) = rings.place(direction, number);
            let size = RingSize::new(if kind == RingKind::Host { slots.host } else { hardware })?;
            Some(RingShape { kind, direction, number, size, offsets, initial_offset })
        })
    };
    shapes(Direction::Tx, slots.tx).chain(shapes(Direction::Rx, slots.rx)).collect()
}

/// What a card is started with for these rings, with buffers of `region`. What is behind the largest offset is for the card.
pub(super) fn start_params(
    shapes: &[RingShape],
    (region, offsets): (&Region, SlotOffsets),
    mtu: Mtu,
) -> StartParams {
    let slots = |direction| {
        let of_card = shapes.iter().find(|s| (s.kind, s.direction) == (RingKind::Hardware, direction));
        // No cut: a ring of a card has no more slots than 16 bits count.
        of_card.map_or(0, |shape| shape.size.slots() as u16)
    };
    StartParams {
        buffer_len: region.frame_max().saturating_sub(offsets.max()),
        tx_slots: slots(Direction::Tx),
        rx_slots: slots(Direction::Rx),
        mtu,
    }
}
