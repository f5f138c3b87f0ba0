//! Starting the processors that the loader leaves waiting, and what they do: one job after the other.
//!
//! ```text
//! boot processor   start ─► INIT, start message ─► … waits until it has arrived ─► processors::run(n, job)
//! the other                  processor_start ─► ap::enter ─► Arrived ─► Running ─► waits for a job ─► works ─► waits …
//! ```

mod ap;
mod start;

pub use start::start;
