//! The workers: the first runs on the boot processor, between the tasks; each other one has a processor to itself.
//!
//! The workers share two things: whether they are to stop, and the first error that ended one of them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use millrace::{clock, processors};
use nm_apps::machine::Wait;
use nm_apps::worker::{PATIENCE_US, Worker};
use nm_apps::{AppError, Application};
use spin::Mutex;

/// The workers of an application.
pub(super) struct WorkerPool {
    first: Option<Worker>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Workers on other processors.
    remote: AtomicUsize,
    failure: Mutex<Option<AppError>>,
}

impl WorkerPool {
    /// Starts a worker for each part of an application, each on a processor. There are as many processors, and at least one
    /// part.
    pub(super) fn start(apps: Vec<Box<dyn Application>>, wait: Wait) -> Self {
        let shared = Arc::<Shared>::default();
        let patience = clock::ticks_in_us(PATIENCE_US);
        let mut workers = apps.into_iter().map(|app| Worker::new(app, wait, patience));
        let first = workers.next();
        for (number, worker) in (1..).zip(workers) {
            shared.remote.fetch_add(1, Ordering::Relaxed);
            let of_worker = shared.clone();
            if processors::run(number, Box::new(move || of_worker.work(worker))).is_err() {
                shared.remote.fetch_sub(1, Ordering::Relaxed);
                log::error!(target: "workers", "processor {number} does not accept work; frames that arrive on its rings are not forwarded");
            }
        }
        Self { first, shared }
    }

    /// Runs a round of the first worker. Returns the error that ended any of them.
    pub(super) fn round(&mut self) -> Result<(), AppError> {
        if self.shared.is_over.load(Ordering::Acquire)
            && let Some(failure) = self.shared.failure.lock().take()
        {
            return Err(failure);
        }
        self.first.as_mut().map_or(Ok(()), |worker| worker.round(clock::ticks))
    }
}

impl Shared {
    /// Runs rounds of a worker until the pool stops or the worker fails.
    fn work(&self, mut worker: Worker) {
        while !self.is_over.load(Ordering::Relaxed) {
            if let Err(error) = worker.round(clock::ticks) {
                self.failure.lock().get_or_insert(error);
                self.is_over.store(true, Ordering::Release);
            }
        }
        drop(worker);
        // Release: a processor that reads the new count finds the worker's ports closed.
        self.remote.fetch_sub(1, Ordering::Release);
    }
}

/// Stops the workers and waits until all their ports are closed. A worker that sleeps finishes its wait first.
impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.first = None;
        while self.shared.remote.load(Ordering::Acquire) > 0 {
            spin_loop();
        }
    }
}
