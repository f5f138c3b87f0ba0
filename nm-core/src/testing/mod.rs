//! Fakes that catch misuse: for this crate's tests, and behind the feature `testing` for tests elsewhere.
//!
//! - [`HeapPlatform`]: memory from the heap whose device addresses differ from the processor's, with a count of what
//!   was not released.
//! - [`card()`]: a network card without hardware, and the [`Wire`] at its other end. It notes every breach of the
//!   contract that [`nic`](crate::nic) sets. A [`CardSpec`] says how it behaves: queues, delays, order of completion,
//!   mishaps; [`CardSpec::simulated`] draws one from a seed.
//! - [`frame_device`]: an interface that passes frames one by one, and the [`Line`] at its other end.
//! - [`pipe()`]: two interfaces whose rings exchange slots.
//! - [`FakeStack`]: a network stack that keeps what it is given, can refuse it, and can answer.

mod card;
mod frames;
mod heap;
mod pipe;
mod stack;

pub use card::{CardError, CardSpec, FakeCard, FakeRx, FakeTx, Order, Wire, card};
pub use frames::{FakeDevice, Line, frame_device};
pub use heap::HeapPlatform;
pub use pipe::pipe;
pub use stack::FakeStack;
