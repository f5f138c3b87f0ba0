//! netmap's chain of extra buffers: each begins with the number of the next, the last with 0.
//!
//! A program may write anything into it. The walk back follows a number only if it names an exposed buffer, and
//! takes that buffer out of the exposed ones as it passes: a number out of range, a buffer of another owner, a buffer
//! that was given back before, and so a circle, each end the walk.

use nm_driver::buffers::Buffer;

use super::Region;

/// The end of a chain.
pub(super) const END: u32 = 0;

/// What came of a chain that a port left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct GivenBack {
    /// Buffers that came back.
    pub(super) buffers: u32,
    /// The number at which the walk was given up.
    pub(super) broken_at: Option<u32>,
}

/// Chains exposed buffers of `region`. Returns the first.
pub(super) fn link(region: &Region, buffers: &[u32]) -> u32 {
    buffers.iter().rev().fold(END, |next, &buffer| {
        let Some(mut at) = region.buffers().get(buffer) else { return next };
        set_next(&mut at, next);
        buffer
    })
}

/// Takes back the chain that begins with `first`, as far as it can be followed.
#[doc(alias = "netmap_extra_free")]
pub(super) fn give_back(region: &Region, first: u32) -> GivenBack {
    let mut given = GivenBack::default();
    let mut buffer = first;
    for _ in 0..=region.sizes().buf_num {
        if buffer == END {
            return given;
        }
        // What a program left there is checked before it is followed. It is read before the buffer is given back, so it is not yet
        // another owner's.
        let Some(next) = region.buffers().get(buffer).map(|at| next(&at)) else { break };
        if !region.pools().rest(buffer) {
            given.broken_at = Some(buffer);
            return given;
        }
        given.buffers += 1;
        buffer = next;
    }
    region.pools().refuse();
    given.broken_at = Some(buffer);
    given
}

/// The number of the buffer after this one: its first four bytes.
fn next(buffer: &Buffer<'_>) -> u32 {
    let [a, b, c, d, ..] = buffer.first_word();
    u32::from_ne_bytes([a, b, c, d])
}

fn set_next(buffer: &mut Buffer<'_>, next: u32) {
    let [a, b, c, d] = next.to_ne_bytes();
    buffer.set_first_word([a, b, c, d, 0, 0, 0, 0]);
}
