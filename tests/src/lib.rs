//! Boots Millrace images in QEMU, wires their cards to the test, and checks what crosses them.
//!
//! ```text
//!   scenario (tests/*.rs)                  the demonstration, the bench (src/bin)
//!        │                                                 │
//!   Appliance: an image that bridges two wires, booted and shut down with all its checks
//!        │     Setting: the machine, and the models of its two cards
//!        │
//!   Qemu ─► Guest ── Console: every line the image says, waited for without polling
//!    ├─ Serial: the serial port at a socket, which the test reads when it wants to
//!    ├─ Testpmd: the far end of vhost-user cards, DPDK's, which works on their rings in the guest's memory
//!    ├─ vhost_user::Ports: the same of our own, for a generator that waits for nothing but its frames
//!    └─ Wire: the far end of one card, a unix datagram socket: one frame a datagram, no root
//!          ├─ transfer   a few frames, kept and compared as they come back, both ways at once
//!          ├─ flood      millions of frames, made and checked from their sequence number
//!          └─ traffic    frames that flow while something is done to the machine, and may be lost
//!
//!   cost: guest instructions for a packet, a batch and an idle loop, counted by a plugin of QEMU's
//! ```
//!
//! Nothing here links against the image: it is judged by what can be relied on from outside, which is its
//! console, its exit status and the frames on its cards.
//!
//! Every wait has a limit and fails with the console so far; each QEMU has a hard limit of its own and dies
//! with the thread that started it. At most two run at a time on one machine, see [`permit`].

pub mod appliance;
pub mod console;
pub mod cost;
pub mod counters;
pub mod flood;
pub mod frames;
pub mod guest;
pub mod hosts;
pub mod image;
pub mod iso;
pub mod link;
pub mod machine;
pub mod modules;
pub mod monitor;
pub mod namespace;
mod options;
pub mod pattern;
pub mod permit;
pub mod qemu;
pub mod scratch;
pub mod serial;
pub mod setting;
#[cfg(test)]
mod testing;
pub mod testpmd;
pub mod traffic;
pub mod transfer;
pub mod vhost_user;
pub mod wire;

pub use appliance::Appliance;
pub use iso::Iso;
pub use machine::Machine;
pub use qemu::Qemu;
pub use setting::{Card, Setting, Wait};
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

/// Turns `fn scenario(setting: Setting) -> anyhow::Result<()>` into a test for each row of this table of images that wait
/// (those of [`with_every_card`] spin): `waiting::poll_virtio_pc`, and so on. `e1000`, virtio's legacy interface and virtio-mmio
/// interrupt by a line, the others by messages.
#[macro_export]
macro_rules! with_every_wait {
    ($scenario:ident) => {
        mod waiting {
            $crate::with_every_wait! { @tests $scenario
                poll_virtio_pc Poll Pc Virtio Virtio,
                poll_e1000e_q35 Poll Q35 E1000e E1000e,
                poll_virtio_and_e1000_q35 Poll Q35 Virtio E1000,
                poll_e1000_pc Poll Pc E1000 E1000,
                poll_virtio_legacy_pc Poll Pc VirtioLegacy VirtioLegacyApart,
                poll_virtio_legacy_and_e1000_q35 Poll Q35 VirtioLegacy E1000Em,
                poll_virtio_without_messages_q35 Poll Q35 VirtioLine VirtioLine,
                poll_virtio_packed_and_virtio_q35 Poll Q35 VirtioPacked Virtio,
                poll_virtio_and_e1000_microvm Poll Microvm Virtio E1000,
                poll_virtio_mmio_microvm Poll Microvm VirtioMmio VirtioMmio,
                poll_virtio_mmio_of_acpi_microvm Poll Microvm VirtioMmioAcpi VirtioMmioAcpi,
                poll_virtio_mmio_1_microvm Poll Microvm VirtioMmio1 VirtioMmio1Apart,
                adaptive_virtio_q35 Adaptive Q35 Virtio Virtio,
                adaptive_e1000e_and_virtio_pc Adaptive Pc E1000e Virtio,
            }
        }
    };
    (@tests $scenario:ident $($test:ident $wait:ident $machine:ident $left:ident $right:ident,)+) => { $(
        #[test]
        fn $test() -> anyhow::Result<()> {
            use $crate::{Card, Machine, Setting, Wait};
            let setting = Setting::new(Machine::$machine, Card::$left, Card::$right);
            super::$scenario(setting.waiting(Wait::$wait))
        }
    )+ };
}

/// Turns `fn scenario(setting: Setting) -> anyhow::Result<()>` into a test for each row of this table:
/// `scenario::virtio_pc`, `scenario::virtio_q35`, and so on.
#[macro_export]
macro_rules! with_every_card {
    ($($scenario:ident),+ $(,)?) => { $(
        mod $scenario {
            $crate::with_every_card! { @tests $scenario
                virtio_pc Pc Virtio Virtio,
                virtio_q35 Q35 Virtio Virtio,
                e1000_pc Pc E1000 E1000,
                e1000_q35 Q35 E1000 E1000,
                e1000_82544gc_and_82545em_pc Pc E1000Gc E1000Em,
                e1000e_pc Pc E1000e E1000e,
                e1000e_q35 Q35 E1000e E1000e,
                virtio_and_e1000_pc Pc Virtio E1000,
                e1000e_and_virtio_q35 Q35 E1000e Virtio,
                virtio_packed_pc Pc VirtioPacked VirtioPacked,
                virtio_packed_and_virtio_legacy_q35 Q35 VirtioPacked VirtioLegacy,
                virtio_legacy_pc Pc VirtioLegacy VirtioLegacyApart,
                virtio_legacy_q35 Q35 VirtioLegacyApart Virtio,
                virtio_microvm Microvm Virtio Virtio,
                e1000_microvm Microvm E1000 E1000,
                e1000_and_virtio_mmio_microvm Microvm E1000 VirtioMmioAcpi,
                virtio_mmio_microvm Microvm VirtioMmio VirtioMmio,
                virtio_mmio_packed_microvm Microvm VirtioMmioPacked VirtioMmio,
                virtio_mmio_1_microvm Microvm VirtioMmio1 VirtioMmio1Apart,
            }
        }
    )+ };
    (@tests $scenario:ident $($test:ident $machine:ident $left:ident $right:ident,)+) => { $(
        #[test]
        fn $test() -> anyhow::Result<()> {
            use $crate::{Card, Machine, Setting};
            super::$scenario(Setting::new(Machine::$machine, Card::$left, Card::$right))
        }
    )+ };
}
