//! Why ports cannot have the MTU of their interface.

use core::fmt;

use crate::nic::Mtu;

/// Why ports cannot have the MTU of their interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MtuError {
    /// It is larger than the one that the card reports.
    AboveCard {
        /// The MTU that the interface was attached with.
        mtu: Mtu,
        /// The card's.
        most: Mtu,
    },
    /// A frame of this MTU does not fit a receive buffer, and the card does not spread it over several of this length.
    Buffers {
        /// The MTU.
        mtu: Mtu,
        /// Bytes from one buffer of the region to the next (`buf_size`).
        buf_size: u32,
        /// The payload of each, in bytes: less by the largest offset where slots have offsets.
        buffer_len: u16,
        /// The largest offset, or 0.
        max_offset: u16,
        /// The smallest `buf_size` that would do.
        needed: u32,
        /// The largest MTU that would do, where the card spreads no frame over several buffers.
        most: Option<Mtu>,
    },
}

impl fmt::Display for MtuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveCard { mtu, most } => {
                write!(f, "mtu={mtu} is above the MTU that the card reports; use mtu={most} or less")
            }
            Self::Buffers { mtu, buf_size, buffer_len, max_offset, needed, most } => {
                let frame = mtu.frame_max();
                write!(
                    f,
                    "with mtu={mtu} a frame has up to {frame} bytes, and a receive buffer {buffer_len} \
                     (netmap.buf_size={buf_size}"
                )?;
                if *max_offset > 0 {
                    write!(f, ", max_offset={max_offset}")?;
                }
                write!(f, "); the card needs netmap.buf_size={needed} or more")?;
                most.map_or(Ok(()), |most| write!(f, ", or mtu={most} or less"))
            }
        }
    }
}

impl core::error::Error for MtuError {}
