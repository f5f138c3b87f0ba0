//! Why an application does not start, or stops.

use alloc::string::String;
use core::fmt;

use nm_core::{OpenError, SyncError};

/// Why an application does not start, or stops.
#[derive(Debug, Clone)]
pub enum AppError {
    /// There are fewer interfaces than the application needs.
    TooFewInterfaces {
        /// How many it needs.
        needed: usize,
        /// Those that there are, with blanks between them.
        present: String,
        /// Network controllers without a driver, with commas between them; see [`with_undriven`](Self::with_undriven).
        undriven: String,
    },
    /// The same port was named twice.
    SamePort(String),
    /// A port was not opened.
    Open {
        /// The key of the command line that names the port, or would.
        key: &'static str,
        /// Why it was not opened.
        cause: OpenError,
    },
    /// A ring stopped working.
    Sync {
        /// Name of the port.
        port: String,
        /// What happened.
        cause: SyncError,
    },
}

impl AppError {
    /// The same error, where there are too few interfaces with the network controllers that have none because no driver is made
    /// for them. Each of `controllers` is the text that the message has for one.
    #[must_use]
    pub fn with_undriven(mut self, controllers: &[String]) -> Self {
        if let Self::TooFewInterfaces { undriven, .. } = &mut self {
            *undriven = controllers.join(", ");
        }
        self
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewInterfaces { needed, present, undriven } => {
                write!(f, "{needed} network cards are needed, and there is ")?;
                if present.is_empty() { f.write_str("none") } else { write!(f, "only {present}") }?;
                if undriven.is_empty() { Ok(()) } else { write!(f, "; without a driver: {undriven}") }
            }
            Self::SamePort(name) => write!(f, "a and b are both {name}: a bridge needs two different ports"),
            Self::Open { key, cause } => write!(f, "port {key}: {cause}"),
            Self::Sync { port, cause } => write!(f, "{port}: {cause}"),
        }
    }
}

impl core::error::Error for AppError {}
