//! Interrupts, and how they reach those who wait.
//!
//! A card's interrupt handler has an [`Events`]. It sets a pending word, and nothing else: it takes no lock and calls
//! no waker. Code outside of handlers calls [`Netmap::run_pending`](crate::Netmap::run_pending), which turns the
//! words into wake-ups. A blocking [`poll`](crate::poll) does so itself, before and after it sleeps.
//!
//! Two bits of a ring's word, the flag of the whole netmap, and a wait, step by step:
//!
//! | step | `WAKE` | `LOOK` | flag | waiter |
//! |---|---|---|---|---|
//! | 1. who waits registers, then arms the card and looks at the ring once more | | | | registered |
//! | 2. the device publishes, the handler runs: [`Events::rx_interrupt`] | set | set | then set | |
//! | 3. [`run_pending`](crate::Netmap::run_pending) takes the flag, then the words | taken | | taken before | |
//! | 4. it wakes the ring's waiters, then those of all rings of the interface | | | | taken out, counted, called |
//! | 5. rxsync looks at the card (only when `no_pendintr` is off does it ask the bit) | | taken | | |
//!
//! No wake-up is lost, whatever the order:
//! - *published before the look of step 1*: the look finds it, or arming says that there is something already;
//! - *published after it*: an armed card interrupts. The word is set before the flag, and the flag is taken before the
//!   words, so either this run finds the word or the flag is still set for the next;
//! - *step 4 before step 1*: the list's lock orders them, and the word's Release and Acquire order the publication
//!   before step 4, so the look of step 1 finds it;
//! - *step 4 after step 1*: the waiter is in the list. One that has not gone to sleep yet sees that the count of wake-ups
//!   has changed since before it registered.
//!
//! The same is run under loom in every order, at the end of `poll`.
//!
//! # Mitigation
//!
//! Two tunables keep wake-ups rare, each where netmap has it:
//! - `mitigate`: who waits for room on a card is woken when half of what is on its way has left, not for each frame. The
//!   core asks the card for that very interrupt ([`TxQueue::arm`](crate::nic::TxQueue::arm));
//! - `generic_mit`: interrupts of a generic adapter wake at most once in that time. What comes within it waits for its
//!   end, which is [`Netmap::next_due_ns`](crate::Netmap::next_due_ns); a blocking poll keeps to it by itself.
//!
//! # The stack
//!
//! Frames of the host stack are no interrupts. The caller of
//! [`HostInterface::transmit`](crate::host::HostInterface::transmit) wakes the waiters of the host ring itself.

pub(crate) mod hub;
pub(crate) mod mitigation;
pub(crate) mod signals;
pub(crate) mod waiters;

pub use nm_driver::events::{Events, Irq};
