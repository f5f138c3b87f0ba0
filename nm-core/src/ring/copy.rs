//! Frames copied from ring to ring, between memory regions whose buffers may differ in length.

use super::{FRAGMENTS_MAX, RxRing, Slot, TxRing};

impl RxRing {
    /// Copies as many whole frames as are there and `tx` has room for, and advances both rings. Returns how many slots of this ring.
    /// A frame takes as many slots as it needs with the buffers of `tx`. One that needs more than `tx` ever has free, or more than
    /// [`FRAGMENTS_MAX`], becomes an empty slot, which `txsync` drops and counts.
    pub fn copy_to(&mut self, tx: &mut TxRing) -> u32 {
        let (part, most) = (usize::from(tx.frame_max()).max(1), FRAGMENTS_MAX.min(tx.num_slots() - 1));
        let mut copied = 0;
        while let Some((slots, bytes)) = self.first_frame() {
            let needed = u32::try_from(bytes.div_ceil(part)).unwrap_or(u32::MAX).max(1);
            let has_room = needed <= most;
            let needed = if has_room { needed } else { 1 };
            if needed > tx.window() {
                break;
            }
            if has_room {
                refragment(self.slots().take(slots as usize), tx.slots(), bytes);
            } else if let Some(mut slot) = tx.slots().next() {
                let _ = slot.set_len(0);
                slot.set_more(false);
            }
            copied += self.advance(slots);
            tx.advance(needed);
        }
        copied
    }

    /// Slots and bytes of the first frame of the window, if it is whole.
    fn first_frame(&mut self) -> Option<(u32, usize)> {
        let (mut slots, mut bytes) = (0, 0);
        for slot in self.slots() {
            slots += 1;
            bytes += slot.frame().len();
            if !slot.has_more() {
                return Some((slots, bytes));
            }
        }
        None
    }
}

/// Copies `left` bytes from one list of slots to another, and marks those that the frame goes on behind.
fn refragment<'a, 'b>(
    from: impl Iterator<Item = Slot<'a>>,
    to: impl Iterator<Item = Slot<'b>>,
    mut left: usize,
) {
    let mut from = from.fuse();
    let (mut source, mut done) = (from.next(), 0);
    for mut slot in to {
        let len = left.min(usize::from(slot.capacity()));
        let Ok(mut rest) = slot.set_len(len) else { return };
        while let Some(from_slot) = &source
            && !rest.is_empty()
        {
            let bytes = from_slot.frame().get(done..).unwrap_or_default();
            let count = bytes.len().min(rest.len());
            let (here, behind) = rest.split_at_mut(count);
            here.copy_from_slice(bytes.get(..count).unwrap_or_default());
            (rest, done) = (behind, done + count);
            if count == bytes.len() {
                (source, done) = (from.next(), 0);
            }
        }
        left -= len;
        slot.set_more(left > 0);
        if left == 0 {
            return;
        }
    }
}
