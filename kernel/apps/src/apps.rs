//! The table of applications.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;

use nm_core::Netmap;

use crate::keys::{KeyHelp, Keys};
use crate::{AppError, Application};

/// The configuration of an application: its keys, and how it starts.
pub trait AppConfig: Keys + Default + fmt::Debug + Send {
    /// The application's name, the value of the key `app`.
    const NAME: &'static str;
    /// What it does, in a line.
    const HELP: &'static str;

    /// Opens the ports and returns a part of the application for each worker: at least one, at most `workers`, each with rings
    /// of its own.
    ///
    /// # Errors
    /// A port does not exist or cannot be opened, or there are too few of them.
    fn start(&self, netmap: &Netmap, workers: NonZeroUsize) -> Result<Vec<Box<dyn Application>>, AppError>;
}

/// An application in the table.
#[derive(Debug, Clone, Copy)]
pub struct AppEntry {
    /// Its name, the value of the key `app`.
    pub name: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    keys: fn() -> Vec<KeyHelp>,
    configure: fn() -> Box<dyn ErasedConfig>,
}

impl AppEntry {
    /// The entry of the application that `C` configures.
    pub const fn of<C: AppConfig>() -> Self {
        Self { name: C::NAME, help: C::HELP, keys: C::describe, configure: || Box::new(C::default()) }
    }

    /// Its keys as help shows them.
    pub fn keys(&self) -> Vec<KeyHelp> {
        (self.keys)()
    }

    /// Its configuration with the defaults of all keys.
    pub(crate) fn configure(&self) -> Box<dyn ErasedConfig> {
        (self.configure)()
    }
}

/// An [`AppConfig`] of any application.
pub(crate) trait ErasedConfig: fmt::Debug + Send {
    fn set(&mut self, key: &str, value: &str) -> Option<Result<(), String>>;

    fn start(&self, netmap: &Netmap, workers: NonZeroUsize) -> Result<Vec<Box<dyn Application>>, AppError>;
}

impl<C: AppConfig> ErasedConfig for C {
    fn set(&mut self, key: &str, value: &str) -> Option<Result<(), String>> {
        Keys::set(self, key, value)
    }

    fn start(&self, netmap: &Netmap, workers: NonZeroUsize) -> Result<Vec<Box<dyn Application>>, AppError> {
        AppConfig::start(self, netmap, workers)
    }
}
