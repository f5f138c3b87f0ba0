//! Rules that a driver can break.

use crate::e1000::Offset;

/// One of a card's rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// Frames from the card.
    Receive,
    /// Frames to the card.
    Transmit,
}

/// A rule of the manual that the driver broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntelViolation {
    /// Bits were set that are reserved (the register's section in 13.4).
    ReservedBits {
        /// The register.
        offset: Offset,
        /// The bits.
        bits: u32,
    },
    /// A register was accessed that the driver does not know, or not as a whole.
    RegisterAccess {
        /// Its offset in bytes.
        offset: usize,
        /// Bytes of the access.
        width: usize,
    },
    /// A register was written that can only be read.
    ReadOnly {
        /// The register.
        offset: Offset,
    },
    /// A register was written that this card has not.
    NotOfThisCard {
        /// The register.
        offset: Offset,
    },
    /// A register was used while the card was being reset (13.4.1).
    ResetNotAwaited {
        /// The register.
        offset: Offset,
    },
    /// The card was reset while receiver or transmitter was on, or could still make requests (14.7; 82574L datasheet).
    ResetWhileBusy,
    /// Transmission was switched on without the gaps between frames being set (14.5).
    GapsUndefined,
    /// The receive control was written while reception was on, other than to end it.
    ControlWrittenTwice,
    /// Where a ring is, how long, or its head, was written while it was on (13.4.28, 13.4.39).
    RingMovedWhileOn {
        /// The register.
        offset: Offset,
    },
    /// A ring was switched on that does not begin at a multiple of 16.
    RingMisaligned {
        /// The ring.
        ring: Ring,
    },
    /// A ring was switched on with a length of nothing, or not a multiple of 128 bytes.
    RingLength {
        /// The ring.
        ring: Ring,
    },
    /// A ring does not lie in allocated memory, or no longer.
    RingOutsideMemory {
        /// The ring.
        ring: Ring,
    },
    /// A tail lies beyond the end of its ring.
    TailOutOfRange {
        /// The ring.
        ring: Ring,
    },
    /// A tail went back over descriptors that the card owns, or past its head.
    TailMovedBack {
        /// The ring.
        ring: Ring,
    },
    /// A doorbell without a new descriptor.
    DoorbellWithoutDescriptors {
        /// The ring.
        ring: Ring,
    },
    /// A doorbell while the ring was off.
    DoorbellWhileOff {
        /// The ring.
        ring: Ring,
    },
    /// A descriptor was written while the card owned it.
    DescriptorChanged {
        /// The ring.
        ring: Ring,
        /// Where.
        position: u16,
    },
    /// A buffer, as far as the card may write or read it, overlaps with another that the card owns.
    BufferGivenTwice {
        /// The ring.
        ring: Ring,
        /// The later descriptor.
        position: u16,
    },
    /// A buffer, as far as the card may write or read it, does not lie in allocated memory, or no longer.
    BufferOutsideMemory {
        /// The ring.
        ring: Ring,
        /// The descriptor.
        position: u16,
    },
    /// A buffer was written by the driver while the card was to read it.
    BufferChanged {
        /// The descriptor.
        position: u16,
    },
    /// A descriptor was given with a status that the driver is to leave clear.
    StatusNotClear {
        /// The ring.
        ring: Ring,
        /// The descriptor.
        position: u16,
    },
    /// A descriptor asks for what was not agreed on: other formats, checksums, tags, delayed reports.
    WrongCommand {
        /// The descriptor.
        position: u16,
    },
    /// A descriptor without a byte of data (3.3.3).
    Empty {
        /// The descriptor.
        position: u16,
    },
    /// A descriptor of more than 16288 bytes, or a frame (3.3.3).
    TooLong {
        /// The descriptor.
        position: u16,
    },
    /// A frame of less than 48 bytes (3.3.3).
    TooShort {
        /// Its last descriptor.
        position: u16,
    },
    /// A doorbell in the middle of a frame.
    FrameNotEnded,
    /// A batch whose last descriptor the card is not to report: the driver would not learn that it was sent.
    BatchNotReported,
    /// The driver waits for an interrupt that it has not asked for.
    SleepsUnarmed {
        /// The ring.
        ring: Ring,
    },
}
