//! What is logged in detail.

use bitflags::bitflags;

bitflags! {
    /// The bits of the tunable `verbose`, with netmap's values. What they ask for is logged at level `info` under the
    /// target `netmap`; bits that are not listed ask for nothing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Verbose: u32 {
        /// Which rings a port binds.
        #[doc(alias = "NM_VERB_ON")]
        const BINDING = 0x1;
        /// Each frame between an interface and its stack.
        #[doc(alias = "NM_VERB_HOST")]
        const HOST = 0x2;
        /// The indices of a receive ring before and after each sync.
        #[doc(alias = "NM_VERB_RXSYNC")]
        const RXSYNC = 0x10;
        /// The indices of a transmit ring before and after each sync.
        #[doc(alias = "NM_VERB_TXSYNC")]
        const TXSYNC = 0x20;
    }
}
