//! Atomics and waiting, so that the protocols of this crate can be run under loom: `RUSTFLAGS="--cfg loom"`.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic;

#[cfg(loom)]
pub(crate) use loom::sync::atomic;

/// Lets somebody else go on.
pub(crate) fn relax() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
