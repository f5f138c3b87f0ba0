//! A Rust panic is a fault of the kernel: it says where, and ends the machine.
#![expect(unsafe_code, reason = "takes the console from whoever panicked")]

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::{ExitCode, console, exit};

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: only one processor runs, and it never leaves this function.
    unsafe { console::seize() };
    // Relaxed: read and written by one processor only.
    if HAS_PANICKED.swap(true, Ordering::Relaxed) {
        exit(ExitCode::Kernel, format_args!("panic while a panic was reported"));
    }
    let message = info.message();
    match info.location() {
        Some(place) => exit(ExitCode::Kernel, format_args!("panic at {place}: {message}")),
        None => exit(ExitCode::Kernel, format_args!("panic: {message}")),
    }
}
