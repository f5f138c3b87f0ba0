//! The applications of the Millrace appliance.
//!
//! They see [`nm_core`]'s public API and nothing else, so they run unchanged in the image and, over fake cards, in a
//! test on any host. [`Config`] is what the kernel command line asks for; [`start`] opens the ports and returns an
//! [`Application`] for each processor that is to work, and a [`Worker`] there calls its [`step`](Application::step) and
//! [`wait`](Application::wait) for as long as the machine runs.
//!
//! - [`bridge`]: two ports, frames cross in both directions.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod application;
pub mod bridge;
pub mod config;
mod error;
pub mod mmio_device;
pub mod worker;

pub use application::{Application, Progress};
pub use config::{Config, ConfigError};
pub use error::AppError;
pub use mmio_device::MmioDevice;
pub use worker::Worker;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use bridge::Bridge;
use config::App;
use nm_core::Netmap;

/// Opens the ports that `config` names and starts the application it picks, taken apart for at most `workers` workers: one at
/// least, each with rings of its own. All have the same name and the same ports.
pub fn start(
    config: &Config,
    netmap: &Netmap,
    workers: NonZeroUsize,
) -> Result<Vec<Box<dyn Application>>, AppError> {
    match &config.app {
        App::Bridge { a, b } => {
            let bridges = Bridge::open(netmap, a.as_deref(), b.as_deref(), workers)?;
            Ok(bridges.into_iter().map(|bridge| Box::new(bridge) as Box<dyn Application>).collect())
        }
    }
}
