//! The workers: the first works on the processor that boots, beside its other duties, each other one on a processor of its
//! own, with nothing else to do.
//!
//! What they share is read by all and written at the end: whether they are to stop, and the first reason for one to do so
//! by itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use millrace::{clock, processors};
use nm_apps::config::Wait;
use nm_apps::worker::{PATIENCE_US, Worker};
use nm_apps::{AppError, Application};
use spin::Mutex;

/// The workers of an application.
pub(super) struct Crew {
    first: Option<Worker>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Workers on other processors.
    away: AtomicUsize,
    failure: Mutex<Option<AppError>>,
}

impl Crew {
    /// Puts the parts of an application to work, each on a processor. There are as many processors, and at least one part.
    pub(super) fn start(apps: Vec<Box<dyn Application>>, wait: Wait) -> Self {
        let shared = Arc::<Shared>::default();
        let patience = clock::ticks_in_us(PATIENCE_US);
        let mut workers = apps.into_iter().map(|app| Worker::new(app, wait, patience));
        let first = workers.next();
        for (number, worker) in (1..).zip(workers) {
            shared.away.fetch_add(1, Ordering::Relaxed);
            let mates = shared.clone();
            if processors::run(number, Box::new(move || mates.work(worker))).is_err() {
                shared.away.fetch_sub(1, Ordering::Relaxed);
                log::error!(target: "workers", "processor {number} does not accept work; frames that arrive on its rings are not forwarded");
            }
        }
        Self { first, shared }
    }

    /// Lets the first worker work for a while. An error is that of any of them.
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
    /// Works until the work is over, or this worker fails.
    fn work(&self, mut worker: Worker) {
        while !self.is_over.load(Ordering::Relaxed) {
            if let Err(error) = worker.round(clock::ticks) {
                self.failure.lock().get_or_insert(error);
                self.is_over.store(true, Ordering::Release);
            }
        }
        drop(worker);
        // Release: who sees it go sees its ports closed.
        self.away.fetch_sub(1, Ordering::Release);
    }
}

/// Ends the work, and waits until no worker has a port any more: one that sleeps takes as long as it sleeps at most.
impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.first = None;
        while self.shared.away.load(Ordering::Acquire) > 0 {
            spin_loop();
        }
    }
}
