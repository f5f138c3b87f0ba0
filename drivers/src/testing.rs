//! A machine and a network card for tests: fakes that check what they are used for.
//!
//! ```text
//! FakeMachine   memory with physical addresses of its own; finds leaks, double frees, accesses beyond a block
//! FakePci       configuration space with functions that can be given any contents
//! NetDevice     model of the virtio network card: walks the rings by physical address and writes down every rule
//!               that the driver breaks; can be told to misbehave itself
//! IntelDevice   model of the Intel gigabit cards, likewise
//! ```
//!
//! Rings with buffers around a queue are in [`nm_driver::testing`].
//!
//! Complaints are written down, not panicked about; a test ends by asserting that there are none (or which).

mod device;
mod intel;
mod lines;
mod machine;
mod pci;
mod region;

pub use self::device::{
    Commands, Interface, MmioVersion, ModelTransport, NetDevice, Quirks, Setup, Slow, Violation,
};
pub use self::intel::{IntelDevice, IntelQuirks, IntelSetup, IntelViolation, Ring};
pub use self::machine::{FakeMachine, Misuse};
pub use self::pci::{FakeFunction, FakePci};
pub use self::region::RegisterModel;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The contents of a fake, also after a test that held them has panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
