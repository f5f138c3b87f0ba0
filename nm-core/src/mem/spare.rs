//! Spare buffers: extra buffers for safe ports, each with an owner of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::pools::Use;
use super::{DifferentRegion, FrameTooLong, MemoryError, PoolKind, Region};
use nm_driver::slots::SlotValue;

/// A packet buffer that is in no ring, with the frame in it. Dropping it gives the buffer back.
///
/// It changes places with the buffer of a slot by [`Slot::swap_spare`](crate::Slot::swap_spare): so an application
/// keeps a frame for later without a copy, and gives the ring an empty buffer in exchange.
///
/// ```
/// # use nm_core::{Netmap, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
/// # use std::sync::Arc;
/// # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
/// # let netmap = Netmap::new(&platform, Tunables::default())?;
/// # let (nic, wire) = card(CardSpec::new(1, 256, Order::Posted));
/// # netmap.attach("em0", nic)?;
/// # let mut port = netmap.open("em0")?;
/// # wire.send(&[0x42; 60]);
/// let rx = &mut port.rx_rings()[0];
/// let mut kept = rx.region().spare()?;
/// rx.rxsync()?;
/// for mut slot in rx.slots() {
///     slot.swap_spare(&mut kept)?;
/// }
/// rx.advance(1);
/// assert_eq!(kept.frame(), [0x42; 60]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("nr_arg3", "NETMAP_REQ_OPT_EXTRA_BUFS"))]
pub struct Spare {
    region: Arc<Region>,
    value: SlotValue,
}

/// Spare buffers are taken from a region.
impl Region {
    /// Takes one buffer from the pool, with nothing in it.
    pub fn spare(&self) -> Result<Spare, MemoryError> {
        self.spares(1).pop().ok_or(MemoryError::Exhausted {
            region: self.id(),
            pool: PoolKind::Buffer,
            requested: 1,
            available: 0,
        })
    }

    /// Takes up to `count` buffers from the pool: as many as there are.
    #[doc(alias = "netmap_extra_alloc")]
    pub fn spares(&self, count: u32) -> Vec<Spare> {
        // This one keeps the last user from leaving meanwhile, which would free what was just taken.
        let Some(region) = self.enter(Use::Spare) else { return Vec::new() };
        let mut buffers = Vec::new();
        region.take_buffers_up_to(count, &mut buffers);
        let own = |buf_idx| {
            let region = self.enter(Use::Spare)?;
            Some(Spare { region, value: SlotValue { buf_idx, len: 0, flags: 0 } })
        };
        let spares = buffers.into_iter().filter_map(own).collect();
        region.leave(Use::Spare);
        spares
    }
}

impl Spare {
    /// Length of the frame, in bytes without CRC.
    #[inline]
    #[allow(
        clippy::len_without_is_empty,
        reason = "a buffer holds one frame; whether it is empty is no question"
    )]
    pub fn len(&self) -> u16 {
        self.value.len.min(self.capacity())
    }

    /// The longest frame that the buffer holds.
    #[inline]
    pub fn capacity(&self) -> u16 {
        self.region.frame_max()
    }

    /// Number of the buffer in its region.
    #[inline]
    pub fn buf_idx(&self) -> u32 {
        self.value.buf_idx
    }

    /// The memory region that the buffer belongs to.
    #[inline]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Sets the length of the frame and gives its bytes, whatever is in them, to be filled.
    pub fn set_len(&mut self, len: usize) -> Result<&mut [u8], FrameTooLong> {
        self.value.len = FrameTooLong::check(len, self.capacity())?;
        Ok(self.frame_mut())
    }

    /// Makes the frame a copy of `frame`.
    pub fn copy_from(&mut self, frame: &[u8]) -> Result<(), FrameTooLong> {
        self.set_len(frame.len())?.copy_from_slice(frame);
        Ok(())
    }

    /// Exchanges the contents of a slot of a port of `region` with this handle's.
    #[inline]
    pub(crate) fn exchange(
        &mut self,
        region: &Region,
        value: SlotValue,
    ) -> Result<SlotValue, DifferentRegion> {
        if !core::ptr::eq(region, &raw const *self.region) {
            return Err(DifferentRegion);
        }
        Ok(core::mem::replace(&mut self.value, value))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.region.pools().put_back(PoolKind::Buffer, [self.value.buf_idx]);
        self.region.leave(Use::Spare);
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare")
            .field("region", &self.region.id())
            .field("buf_idx", &self.buf_idx())
            .field("len", &self.len())
            .finish()
    }
}
