//! Whether ports can have the MTU of their interface, with its card and its buffers.

use alloc::string::String;

use nm_driver::burst::FRAGMENTS_MAX;

use crate::mem::Region;
use crate::mtu_error::MtuError;
use crate::nic::{HEADROOM, Mtu, NicInfo};
use crate::open_error::OpenError;

/// Checks that ports of interface `name` can have this MTU, with the card `nic` and buffers of `region`, of which each payload has
/// the part behind `max_offset`.
#[doc(alias = "netmap_buf_size_validate")]
pub(super) fn check(
    name: &str,
    mtu: Mtu,
    nic: &NicInfo,
    (region, max_offset): (&Region, u16),
) -> Result<(), OpenError> {
    let problem = match nic.mtu {
        Some(most) if mtu > most => Some(MtuError::AboveCard { mtu, most }),
        _ => check_buffers(mtu, nic.scatter_min, region, max_offset),
    };
    problem.map_or(Ok(()), |cause| Err(OpenError::Mtu { name: String::from(name), cause }))
}

/// What is wrong with buffers of `region`, for a card that spreads frames over buffers of `scatter_min` bytes and more.
fn check_buffers(mtu: Mtu, scatter_min: Option<u16>, region: &Region, max_offset: u16) -> Option<MtuError> {
    let (frame, buffer_len) = (mtu.frame_max(), region.frame_max().saturating_sub(max_offset));
    // In so many fragments as a frame may have.
    let shortest = scatter_min.map(|min| min.max(frame.div_ceil(FRAGMENTS_MAX as u16)));
    let enough = shortest.map_or(frame, |shortest| shortest.min(frame));
    if buffer_len >= enough {
        return None;
    }
    let needed = (u32::from(enough) + u32::from(max_offset) + HEADROOM as u32).next_multiple_of(64);
    let most = if scatter_min.is_none() { Mtu::of_frames(buffer_len) } else { None };
    let buf_size = region.sizes().buf_size;
    Some(MtuError::Buffers { mtu, buf_size, buffer_len, max_offset, needed, most })
}
