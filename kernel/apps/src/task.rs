//! Tasks: what an appliance does beside forwarding (console, link reports, later the network stack).
//!
//! The boot processor runs the tasks between rounds of its worker. A task says when it wants to be polled next; one that has been
//! notified is polled at once. A poll is bounded: a task that has more to do than fits its turn does the rest in a later one, so
//! that frames never wait for a task longer than [`TURN_NS`] and one step of that task. A worker that waits for frames delays a
//! task by [`LONGEST_WAIT`](crate::worker::LONGEST_WAIT) at most.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Length of a turn, in nanoseconds.
pub const TURN_NS: u64 = 1_000_000;

/// Work that is done now and then, in small steps.
pub trait Task: Send {
    /// Whether the task has been notified of something, so that it is polled before the time that it has asked for. Called in
    /// every round: it takes a few instructions.
    fn is_notified(&self) -> bool {
        false
    }

    /// Does what is due, in steps, and begins none after `turn` is over. Returns when to poll it next, in nanoseconds of the
    /// same clock; `None` for only when it is notified.
    fn poll(&mut self, turn: &Turn<'_>) -> Option<u64>;
}

/// One turn of a task.
pub struct Turn<'a> {
    /// When it began, in nanoseconds since the machine started.
    pub now_ns: u64,
    end_ns: u64,
    clock: &'a dyn Fn() -> u64,
}

impl<'a> Turn<'a> {
    /// A turn that begins now by this clock.
    pub fn new(clock: &'a dyn Fn() -> u64) -> Self {
        let now_ns = clock();
        Self { now_ns, end_ns: now_ns.saturating_add(TURN_NS), clock }
    }

    /// Whether the task has used its time.
    pub fn is_over(&self) -> bool {
        (self.clock)() >= self.end_ns
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("now_ns", &self.now_ns)
            .field("end_ns", &self.end_ns)
            .finish_non_exhaustive()
    }
}

/// The tasks of an appliance.
#[derive(Default)]
pub struct Tasks(Vec<Entry>);

struct Entry {
    task: Box<dyn Task>,
    /// When it is polled next.
    due_ns: Option<u64>,
}

impl Tasks {
    /// Adds a task, which is polled in the next run.
    pub fn add(&mut self, task: impl Task + 'static) {
        self.0.push(Entry { task: Box::new(task), due_ns: Some(0) });
    }

    /// The earliest time at which a task asks to be polled, in nanoseconds; `None` if none does.
    pub fn next_ns(&self) -> Option<u64> {
        self.0.iter().filter_map(|entry| entry.due_ns).min()
    }

    /// Whether a task has been notified.
    #[inline]
    pub fn are_notified(&self) -> bool {
        self.0.iter().any(|entry| entry.task.is_notified())
    }

    /// Polls the tasks that are due or have been notified, each once.
    pub fn run(&mut self, clock: &dyn Fn() -> u64) {
        for entry in &mut self.0 {
            let turn = Turn::new(clock);
            if entry.task.is_notified() || entry.due_ns.is_some_and(|due_ns| due_ns <= turn.now_ns) {
                entry.due_ns = entry.task.poll(&turn);
            }
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("count", &self.0.len()).field("next_ns", &self.next_ns()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use core::cell::Cell;
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::Mutex;

    use super::*;

    /// Notes the time of each poll, and asks for the next one a period later.
    struct Periodic {
        period_ns: Option<u64>,
        is_notified: Arc<AtomicBool>,
        polls: Arc<Mutex<Vec<u64>>>,
    }

    impl Task for Periodic {
        fn is_notified(&self) -> bool {
            self.is_notified.load(Relaxed)
        }

        fn poll(&mut self, turn: &Turn<'_>) -> Option<u64> {
            self.is_notified.store(false, Relaxed);
            self.polls.lock().unwrap().push(turn.now_ns);
            self.period_ns.map(|period_ns| turn.now_ns + period_ns)
        }
    }

    fn periodic(period_ns: Option<u64>) -> (Periodic, Arc<AtomicBool>, Arc<Mutex<Vec<u64>>>) {
        let (is_notified, polls) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<u64>>>::default());
        (Periodic { period_ns, is_notified: is_notified.clone(), polls: polls.clone() }, is_notified, polls)
    }

    #[test]
    fn a_task_is_polled_when_it_is_due_or_notified() {
        let mut tasks = Tasks::default();
        assert_eq!(tasks.next_ns(), None);
        let ((often, _, often_polls), (seldom, is_notified, seldom_polls)) =
            (periodic(Some(10)), periodic(None));
        tasks.add(often);
        tasks.add(seldom);
        for now_ns in [5, 6, 14, 15, 40] {
            tasks.run(&|| now_ns);
        }
        assert_eq!(*often_polls.lock().unwrap(), [5, 15, 40]);
        assert_eq!((seldom_polls.lock().unwrap().as_slice(), tasks.next_ns()), ([5].as_slice(), Some(50)));
        is_notified.store(true, Relaxed);
        assert!(tasks.are_notified());
        tasks.run(&|| 41);
        assert!(!tasks.are_notified());
        assert_eq!(*seldom_polls.lock().unwrap(), [5, 41]);
        assert_eq!(*often_polls.lock().unwrap(), [5, 15, 40], "not due");
    }

    /// Counts as many steps as its turn allows.
    struct Endless(Arc<Mutex<u32>>);

    impl Task for Endless {
        fn poll(&mut self, turn: &Turn<'_>) -> Option<u64> {
            while !turn.is_over() {
                *self.0.lock().unwrap() += 1;
            }
            Some(turn.now_ns)
        }
    }

    #[test]
    fn a_turn_ends() {
        let (steps, now) = (Arc::<Mutex<u32>>::default(), Cell::new(0));
        let mut tasks = Tasks::default();
        tasks.add(Endless(steps.clone()));
        // Each reading of the clock takes a quarter of a turn.
        let clock = || now.replace(now.get() + TURN_NS / 4);
        tasks.run(&clock);
        assert_eq!(*steps.lock().unwrap(), 3, "the fourth would begin after the end");
    }
}
