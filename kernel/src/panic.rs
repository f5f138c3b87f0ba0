//! A Rust panic is a fault of the kernel: it says where, and ends the machine.
#![expect(unsafe_code, reason = "takes the console from the code that panicked")]

use core::panic::PanicInfo;

use crate::processors::{self, Claim};
use crate::{ExitCode, console, exit};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let claim = processors::claim_end();
    // SAFETY: the other processors stand still, or do not hear, and this one never leaves this function.
    unsafe { console::seize() };
    if claim == Claim::Again {
        exit(ExitCode::Kernel, format_args!("panic while another was reported"));
    }
    let message = info.message();
    match info.location() {
        Some(place) => exit(ExitCode::Kernel, format_args!("panic at {place}: {message}")),
        None => exit(ExitCode::Kernel, format_args!("panic: {message}")),
    }
}
