//! Offsets of payloads in buffers: what a raw port asks for.

use core::fmt;

use nm_driver::offsets::SlotOffsets;

/// Offsets of payloads in buffers, which a raw port may ask for ([`RawOptions::offsets`](crate::raw::RawOptions)).
///
/// Each slot of the interface's rings then has an offset: the payload begins so many bytes behind the start of the buffer. The
/// low bits of [`Slot::ptr`](crate::abi::Slot::ptr) hold the offset, those that are set in the ring's
/// [`offset_mask`](crate::abi::RingHeader::offset_mask); the other bits stay what the program makes them. The payload has at
/// most the length of the buffer less the offset.
///
/// - *Transmit.* A frame with a slot whose offset is above `max_offset`, or whose payload ends behind its buffer, is dropped and
///   counted (`drop_invalid`).
/// - *Receive.* The payload is written at the offset that the slot had when it was released. An offset above `max_offset` is
///   replaced by that. With a frame the slot gets the offset at which its payload begins. No more than the length of the buffer
///   less `max_offset` is written to a slot, whatever its offset.
/// - *In front of the payload.* A driver may write a device header there: up to 16 bytes right in front, whatever the direction.
///   What the program keeps in front of these stays. A device that spreads a frame over several slots writes there, too, before
///   the driver moves what it wrote to the offset.
///
/// There is no alignment to keep: [`buf_align`](crate::abi::RingHeader::buf_align) is 0.
#[doc(alias("NETMAP_REQ_OPT_OFFSETS", "nmreq_opt_offsets", "NAF_OFFSETS"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The largest offset, in bytes: from 0 to the length of a buffer. What is left of a buffer has to be enough for the MTU, as
    /// with smaller buffers ([`MtuError::Buffers`](crate::MtuError::Buffers)).
    #[doc(alias = "nro_max_offset")]
    pub max_offset: u16,
    /// The offset of all slots when the interface is opened, in bytes: from 0 to `max_offset`.
    #[doc(alias = "nro_initial_offset")]
    pub initial_offset: u16,
    /// How many low bits of `ptr` hold the offset: as many as `max_offset` needs, to 64; 0 stands for 64.
    #[doc(alias = "nro_offset_bits")]
    pub offset_bits: u8,
}

impl Offsets {
    /// As the core uses them, with buffers of this length.
    pub(crate) fn check(self, buffer_len: u16) -> Result<SlotOffsets, OffsetsError> {
        let Self { max_offset, initial_offset, offset_bits } = self;
        if max_offset > buffer_len {
            return Err(OffsetsError::AboveBuffer { max_offset, buffer_len });
        }
        if initial_offset > max_offset {
            return Err(OffsetsError::InitialAboveMax { initial_offset, max_offset });
        }
        let bits = if offset_bits == 0 { u64::BITS } else { offset_bits.into() };
        SlotOffsets::new(max_offset, bits).ok_or(OffsetsError::Bits { offset_bits, max_offset })
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_offset, initial_offset, offset_bits } = self;
        write!(f, "max_offset={max_offset} initial_offset={initial_offset} offset_bits={offset_bits}")
    }
}

/// Why a port cannot have the offsets that it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffsetsError {
    /// The largest offset is above the length of a buffer.
    AboveBuffer {
        /// The largest offset.
        max_offset: u16,
        /// Length of a buffer, in bytes.
        buffer_len: u16,
    },
    /// The initial offset is above the largest.
    InitialAboveMax {
        /// The initial offset.
        initial_offset: u16,
        /// The largest offset.
        max_offset: u16,
    },
    /// The bits cannot hold the largest offset, or `ptr` has fewer.
    Bits {
        /// The number of bits.
        offset_bits: u8,
        /// The largest offset.
        max_offset: u16,
    },
    /// What is behind the rings of the interface has no offsets.
    Unsupported,
    /// Ports are open on the interface with other offsets.
    InUse {
        /// What the port asks for.
        wanted: Option<Offsets>,
        /// What the open ports have.
        current: Option<Offsets>,
    },
}

impl OffsetsError {
    /// The number that netmap gives for it.
    pub(crate) fn errno(&self) -> i32 {
        match self {
            Self::AboveBuffer { .. } | Self::InitialAboveMax { .. } | Self::Bits { .. } => {
                crate::errno::EINVAL
            }
            Self::Unsupported => crate::errno::EOPNOTSUPP,
            Self::InUse { .. } => crate::errno::EBUSY,
        }
    }
}

impl fmt::Display for OffsetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveBuffer { max_offset, buffer_len } => {
                write!(f, "max_offset={max_offset} is above the length of a buffer, {buffer_len}")
            }
            Self::InitialAboveMax { initial_offset, max_offset } => {
                write!(f, "initial_offset={initial_offset} is above max_offset={max_offset}")
            }
            Self::Bits { offset_bits, max_offset } => write!(
                f,
                "offset_bits={offset_bits} cannot hold max_offset={max_offset}; use up to 64 bits, or 0 for all"
            ),
            Self::Unsupported => f.write_str("its rings do not support offsets"),
            Self::InUse { wanted, current } => {
                f.write_str("it is open with ")?;
                describe(current, f)?;
                f.write_str("; it cannot be opened with ")?;
                describe(wanted, f)?;
                f.write_str(" at the same time")
            }
        }
    }
}

fn describe(offsets: &Option<Offsets>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match offsets {
        Some(offsets) => write!(f, "{offsets}"),
        None => f.write_str("no offsets"),
    }
}

impl core::error::Error for OffsetsError {}
