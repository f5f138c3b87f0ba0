//! Bridges two TAP interfaces of Linux through netmap rings: `cargo run -p nm-core --example tap_bridge -- tap0 tap1`.
//!
//! The interfaces know no rings, so each becomes a netmap port through the generic adapter. The bridge is what it would
//! be over two network cards: a frame is forwarded by exchanging the buffers of two slots.
//!
//! ```text
//! host ─ tap0 ─ FrameDevice ─ GenericNic ─ rings ══swap══ rings ─ GenericNic ─ FrameDevice ─ tap1 ─ host
//! ```
//!
//! It waits as every program does, by the core's `poll_any`, over a [machine] of its own that says how a process of
//! Linux sleeps. It ends with SIGINT, SIGTERM or the end of its standard input; then it says what it has moved.
//! Interfaces that do not exist are made, which takes root; for one made with `ip tuntap add dev tap0 mode tap user NAME`
//! it does not.

#[cfg(target_os = "linux")]
mod bridge;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod tap;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [a, b] = names.as_slice() else {
        eprintln!("usage: tap_bridge TAP TAP");
        return ExitCode::from(2);
    };
    match bridge::run(a, b) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tap_bridge: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("tap_bridge: TAP interfaces are Linux's");
    ExitCode::from(2)
}
