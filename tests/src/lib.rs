//! Boots Millrace images in QEMU, wires their cards to the test, and checks what crosses them.
//!
//! ```text
//!   scenario (tests/*.rs)                  the demonstration, the bench (src/bin)
//!        │                                                 │
//!   Appliance: an image that bridges two wires, booted and shut down with all its checks
//!        │
//!   Qemu ─► Guest ── Console: every line the image says, waited for without polling
//!    └─ Wire: the far end of one card, a unix datagram socket: one frame a datagram, no root
//!          ├─ transfer   a few frames, kept and compared as they come back, both ways at once
//!          └─ flood      millions of frames, made and checked from their sequence number
//! ```
//!
//! Nothing here links against the image: it is judged by what can be relied on from outside, which is its
//! console, its exit status and the frames on its cards.
//!
//! Every wait has a limit and fails with the console so far; each QEMU has a hard limit of its own and dies
//! with the thread that started it. No more than two run at a time on one machine, whatever runs the tests.

pub mod appliance;
pub mod console;
pub mod counters;
pub mod flood;
pub mod frames;
pub mod guest;
pub mod image;
pub mod machine;
pub mod pattern;
mod permit;
pub mod qemu;
#[cfg(test)]
mod testing;
pub mod transfer;
pub mod wire;

pub use appliance::Appliance;
pub use machine::Machine;
pub use qemu::Qemu;
pub use wire::Wire;

/// Turns `fn scenario(machine: Machine) -> anyhow::Result<()>` into two tests, `scenario::pc` and
/// `scenario::q35`.
#[macro_export]
macro_rules! on_pc_and_q35 {
    ($($scenario:ident),+ $(,)?) => { $(
        mod $scenario {
            #[test]
            fn pc() -> anyhow::Result<()> {
                super::$scenario($crate::Machine::Pc)
            }

            #[test]
            fn q35() -> anyhow::Result<()> {
                super::$scenario($crate::Machine::Q35)
            }
        }
    )+ };
}
