//! The applications of the Millrace appliance, their configuration, and what an appliance does beside forwarding.
//!
//! ```text
//! keys      tables of keys: parse, check, describe                          task      work between bursts, bounded in time
//! machine   the machine's keys          apps   the table of applications    links     a task: reports links
//! bridge    an application              config the command line, checked    report    counters and memory as text
//! worker    steps and waits of an application                               console   commands, and the keys that run them
//! ```
//!
//! Everything here uses [`nm_core`]'s public API and nothing else, so it runs unchanged in the image and, over fake cards, in a
//! test on any host. [`Config`] is what the kernel command line asks for; [`Config::start`] opens the ports and returns an
//! [`Application`] for each processor that is to work. There a [`Worker`] calls its [`step`](Application::step) and
//! [`wait`](Application::wait) for as long as the machine runs.
//!
//! To add an application, implement [`Application`] and [`AppConfig`] and add an entry to [`APPS`]. To add a task, implement
//! [`task::Task`].
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod application;
pub mod apps;
pub mod bridge;
pub mod config;
pub mod console;
mod error;
pub mod keys;
pub mod links;
pub mod machine;
pub mod mmio_device;
pub mod report;
pub mod task;
pub mod worker;

pub use application::{Application, Progress};
pub use apps::{AppConfig, AppEntry};
pub use config::{Config, ConfigError};
pub use error::AppError;
pub use mmio_device::MmioDevice;
pub use worker::Worker;

use bridge::BridgeConfig;

/// The applications, the default first.
pub const APPS: &[AppEntry] = &[AppEntry::of::<BridgeConfig>()];
