//! What an application is to a worker.

use alloc::string::String;
use core::time::Duration;

use crate::error::AppError;

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
