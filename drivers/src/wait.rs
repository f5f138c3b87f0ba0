//! Waiting for a device, by looking.

use nm_driver::platform::Platform;

/// Waits until `is_done`, for `limit_ns` at most; returns whether it is.
pub(crate) fn wait_until(platform: &dyn Platform, limit_ns: u64, is_done: impl Fn() -> bool) -> bool {
    let deadline = platform.now_ns().saturating_add(limit_ns);
    loop {
        // The clock first: a wait that was interrupted for long still looks once more.
        let is_late = platform.now_ns() >= deadline;
        if is_done() {
            return true;
        }
        if is_late {
            return false;
        }
        core::hint::spin_loop();
    }
}
