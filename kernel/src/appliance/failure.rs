//! Why the appliance does not run.

use alloc::string::String;
use core::fmt;

use nm_apps::AppError;
use nm_core::mem::RegionError;
use nm_core::tunables::DoesNotFit;

/// Why the appliance does not run.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command line is not valid; the text names the word and the allowed values.
    CommandLine(String),
    /// The packet memory that the command line asks for is larger than the machine's.
    Sizes(DoesNotFit),
    /// There is no memory for packets.
    Region(RegionError),
    /// The application does not start.
    Application(AppError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::CommandLine(text) => f.write_str(text),
            Failure::Sizes(error) => error.fmt(f),
            Failure::Region(error) => error.fmt(f),
            Failure::Application(error) => error.fmt(f),
        }
    }
}

impl From<DoesNotFit> for Failure {
    fn from(error: DoesNotFit) -> Self {
        Failure::Sizes(error)
    }
}

impl From<RegionError> for Failure {
    fn from(error: RegionError) -> Self {
        Failure::Region(error)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Failure::Application(error)
    }
}
