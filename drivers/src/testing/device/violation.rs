//! Rules that a driver can break.

/// A rule of the specification that the driver broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A status bit was set before those that come first (section 3.1.1).
    StatusOrder {
        /// Status before.
        from: u8,
        /// Status written.
        to: u8,
    },
    /// A status bit was cleared without a reset (section 2.1.1).
    StatusCleared {
        /// Status before.
        from: u8,
        /// Status written.
        to: u8,
    },
    /// The status was written before a reset was over (section 4.1.4.3.2).
    ResetNotAwaited,
    /// The device was set running with a queue of its first pair that is not enabled.
    NotAllQueuesEnabled,
    /// The device was to use a pair that it does not have, or with a queue that is not enabled.
    PairNotEnabled {
        /// The pair.
        pair: u16,
    },
    /// Packets were given to a transmit queue of a pair that the device was not told to use (section 5.1.6.5.5.1).
    PairNotInUse {
        /// The pair.
        pair: u16,
    },
    /// What was published on the control queue is no command: descriptors to read, then one byte to write.
    NoCommand {
        /// The queue.
        queue: u16,
    },
    /// A command that the device does not know, was not negotiated, or has data that cannot be.
    WrongCommand {
        /// Its class.
        class: u8,
        /// Its number in the class.
        command: u8,
    },
    /// Features were accepted that are not offered (section 2.2.1).
    FeaturesNotOffered,
    /// Features were accepted before DRIVER or after FEATURES_OK.
    FeaturesAtWrongTime,
    /// A register was accessed that there is not, or in a way that it does not have: only written, only read, or always
    /// as a whole (section 4.2.2.2).
    RegisterAccess {
        /// Its offset.
        offset: usize,
    },
    /// The status went on after a configuration field was read in parts, and not between two looks that found the same
    /// generation (section 2.5.1).
    ConfigUnchecked,
    /// A queue was given a size or a place without a look whether it is in use already (section 4.2.3.2).
    QueueNotLookedAt {
        /// The queue.
        queue: u16,
    },
    /// A legacy device was told of a queue's page before it knew the size of pages, the alignment, or the number of entries
    /// (section 4.2.4).
    PageOutOfOrder {
        /// The queue.
        queue: u16,
    },
    /// A legacy device was told that a queue lies at page 0, which resets it.
    PageZero {
        /// The queue.
        queue: u16,
    },
    /// A queue was set up before FEATURES_OK, after DRIVER_OK, or while it was enabled.
    QueueAtWrongTime {
        /// The queue.
        queue: u16,
    },
    /// A queue was enabled without addresses.
    QueueWithoutAddresses {
        /// The queue.
        queue: u16,
    },
    /// A part of a queue is not aligned as it must be (sections 2.7 and 2.8.10.1).
    QueueMisaligned {
        /// The queue.
        queue: u16,
    },
    /// A part of a queue does not lie in allocated memory, or no longer.
    QueueOutsideMemory {
        /// The queue.
        queue: u16,
    },
    /// A queue has a size that is more than was offered, or not a power of two; packed, that is none or more than 32768.
    QueueSize {
        /// The queue.
        queue: u16,
    },
    /// The doorbell rang before DRIVER_OK, or for a queue that is not enabled.
    DoorbellAtWrongTime {
        /// The queue.
        queue: u16,
    },
    /// The doorbell rang, and nothing had been published since it rang last.
    DoorbellWithoutBuffers {
        /// The queue.
        queue: u16,
    },
    /// The doorbell rang though the device had asked for none.
    DoorbellUnwanted {
        /// The queue.
        queue: u16,
    },
    /// Buffers were published past the point at which the device had asked for a doorbell, and none rang.
    DoorbellMissed {
        /// The queue.
        queue: u16,
    },
    /// More entries were published than the queue holds, or a place of a packed queue was made available again before the
    /// device had used it.
    Overrun {
        /// The queue.
        queue: u16,
    },
    /// An entry of the available ring names a descriptor that there is not, or the id of a packed queue's buffer is not below
    /// the queue's size.
    NoSuchDescriptor {
        /// The queue.
        queue: u16,
        /// What the entry or the descriptor holds.
        id: u16,
    },
    /// A descriptor of a split queue is not the next in ring order though IN_ORDER was negotiated (section 2.7.5).
    NotInRingOrder {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A place of a packed queue is neither made available in the lap that has come to it nor left as it was in the one before
    /// (section 2.8.1), or it continues a buffer that was made available before it (section 2.8.17).
    WrongWrapCounter {
        /// The queue.
        queue: u16,
        /// The place.
        place: u16,
    },
    /// A buffer of a packed queue has more descriptors than the queue (section 2.8.17).
    ChainTooLong {
        /// The queue.
        queue: u16,
    },
    /// A descriptor was made available that the device owns already; of a packed queue, a buffer's id.
    OfferedTwice {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A descriptor was written while the device owned it; of a packed queue, before it was used (section 2.8.16).
    DescriptorChanged {
        /// The queue.
        queue: u16,
        /// The descriptor, or the id that it had.
        id: u16,
    },
    /// A buffer overlaps with another that the device owns.
    BufferGivenTwice {
        /// The queue.
        queue: u16,
        /// The later descriptor.
        id: u16,
    },
    /// A buffer does not lie in allocated memory, or no longer, or is empty.
    BufferOutsideMemory {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A buffer was written by the driver while the device was to read it.
    BufferChanged {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A descriptor continues in another, where one was to hold header and packet: each buffer to receive in, and the first
    /// descriptor of a packet to transmit, which has the header and the first bytes.
    Chained {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A legacy device without ANY_LAYOUT was given a header and its packet in one descriptor (section 5.1.6.6).
    HeaderNotApart {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A descriptor has flags that do not fit the queue's direction, or were not negotiated.
    WrongFlags {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// A packet to transmit is shorter than its header, or a buffer for one has no room for the header.
    NoRoomForHeader {
        /// The queue.
        queue: u16,
        /// The descriptor.
        id: u16,
    },
    /// The header of a packet to transmit asks for something that was not negotiated.
    HeaderNotZero {
        /// The descriptor.
        id: u16,
    },
    /// The driver uses the interrupt flag although EVENT_IDX was negotiated (section 2.7.7.1).
    FlagWithEventIdx {
        /// The queue.
        queue: u16,
    },
    /// The driver of a packed queue asks for an interrupt at one place although EVENT_IDX was not negotiated (section 2.8.10).
    EventWithoutEventIdx {
        /// The queue.
        queue: u16,
    },
    /// The driver of a packed queue asks for an interrupt at a place that there is not.
    EventOutsideRing {
        /// The queue.
        queue: u16,
        /// The place, and the wrap counter in bit 15.
        event: u16,
    },
    /// The flags of the driver's event suppression structure have a value that is reserved (section 2.8.14).
    EventFlagsReserved {
        /// The queue.
        queue: u16,
        /// The flags.
        flags: u16,
    },
    /// The driver waits for an interrupt that it has not asked for.
    SleepsUnarmed {
        /// The queue.
        queue: u16,
    },
    /// The driver waits for an interrupt that will not come: completions were there before it asked, and it did not
    /// look again.
    LostWakeUp {
        /// The queue.
        queue: u16,
    },
}
