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

pub mod bridge;
pub mod config;
mod error;
pub mod mmio_device;
pub mod worker;

pub use config::{Config, ConfigError};
pub use error::AppError;
pub use mmio_device::MmioDevice;
pub use worker::Worker;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::time::Duration;

use bridge::Bridge;
use config::App;
use nm_core::Netmap;

/// What a step found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It moved frames; there may be more.
    Busy {
        /// How many, at least one.
        frames: u32,
    },
    /// There was nothing to move.
    Idle,
}

/// A running application, or one worker's part of it. Dropping it, with all other parts, closes its ports.
pub trait Application: Send {
    /// The name that the `app` key has for it.
    fn name(&self) -> &'static str;

    /// The ports it holds, by name.
    fn ports(&self) -> &[String];

    /// Does one round of work: a sync of each ring, and what it brought. Never waits.
    fn step(&mut self) -> Result<Progress, AppError>;

    /// Waits, after a step that found nothing, until one may find something: frames that have come, or room for frames that
    /// are held up. It does so for no longer than `timeout`, and may return sooner for no reason.
    fn wait(&mut self, timeout: Duration) -> Result<(), AppError>;
}

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
