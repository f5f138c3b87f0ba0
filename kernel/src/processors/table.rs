//! What each processor has for itself, and which one runs.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use core::task::Waker;

use millrace_boot::AddrRange;
use spin::{Mutex, Once};
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use crate::apic::{self, Ipi};
use crate::cpu::Segments;

/// The most processors that are used. Each has a worker with queue pairs of its own, and each queue its own interrupt vector:
/// those of two NICs with a pair for every processor take 128 of the 192 vectors. Each costs 192 KiB for its stacks.
pub const MAX: usize = 32;

/// What a processor is given to do.
pub type Job = Box<dyn FnOnce() + Send>;

/// One processor. Aligned so that no two share a cache line.
#[repr(align(128))]
pub(crate) struct Processor {
    /// By what interrupts find it.
    apic_id: AtomicU32,
    state: AtomicU32,
    /// Whether it has found nothing to do and halts, or is about to.
    is_asleep: AtomicBool,
    pub(crate) job: Mutex<Option<Job>>,
    waker: Once<Waker>,
    /// The time stamp counter when it came to work.
    pub(crate) arrived_at: AtomicU64,
    /// Of the launch that is under way: a processor that has loaded them has marked them as in use.
    pub(crate) segments: Mutex<Option<&'static Segments>>,
    /// The pages under its stacks, with the names of those.
    pub(crate) guards: Mutex<Vec<(&'static str, AddrRange)>>,
}

/// How far a processor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum State {
    /// It does not run.
    Absent = 0,
    /// It was told to run.
    Started = 1,
    /// It has come, and waits for the first to have it run.
    Arrived = 2,
    /// It runs.
    Running = 3,
}

static PROCESSORS: [Processor; MAX] = [const { Processor::absent() }; MAX];

/// The processor that runs this. Its number is kept in the base of the segment `gs`, which nothing else uses.
pub(crate) fn current() -> &'static Processor {
    let [first, ..] = &PROCESSORS;
    get(number()).unwrap_or(first)
}

/// The number of the processor that runs this, from 0.
pub fn number() -> usize {
    GsBase::read().as_u64() as usize
}

/// From now on this processor has this number. The first thing that it does, whatever the loader left in the register.
pub(crate) fn set_number(number: usize) {
    GsBase::write(VirtAddr::new_truncate(number as u64));
}

/// The processor of this number, if there can be one.
pub(crate) fn get(number: usize) -> Option<&'static Processor> {
    PROCESSORS.get(number)
}

/// All that run, but the one that runs this.
pub(crate) fn others() -> impl Iterator<Item = &'static Processor> {
    let this = number();
    let others = PROCESSORS.iter().enumerate().filter(move |(number, _)| *number != this);
    others.map(|(_, processor)| processor).filter(|processor| processor.state() == State::Running)
}

/// The page that is left unmapped under a stack of a further processor and has this address, and whose stack that is. What
/// is being written just now is left out: a fault may have come in between.
pub(crate) fn guard_page(address: u64) -> Option<&'static str> {
    let holds = |span: &AddrRange| (span.start()..span.end()).contains(&address);
    PROCESSORS.iter().find_map(|processor| {
        let guards = processor.guards.try_lock()?;
        guards.iter().find(|(_, span)| holds(span)).map(|(name, _)| *name)
    })
}

impl Processor {
    const fn absent() -> Self {
        Self {
            apic_id: AtomicU32::new(0),
            state: AtomicU32::new(State::Absent as u32),
            is_asleep: AtomicBool::new(false),
            job: Mutex::new(None),
            waker: Once::new(),
            arrived_at: AtomicU64::new(0),
            segments: Mutex::new(None),
            guards: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    pub(crate) fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> State {
        // Acquire: what the processor did before it said so is seen.
        match self.state.load(Ordering::Acquire) {
            1 => State::Started,
            2 => State::Arrived,
            3 => State::Running,
            _ => State::Absent,
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// Takes it from one state to another; `false` if it was in a third.
    pub(crate) fn change(&self, from: State, to: State) -> bool {
        self.state.compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives it a job, or the job back if it has one that it has not begun with.
    pub(crate) fn give(&self, job: Job) -> Result<(), Job> {
        let mut place = self.job.lock();
        if place.is_some() {
            return Err(job);
        }
        *place = Some(job);
        drop(place);
        apic::send(self.apic_id(), Ipi::Wake);
        Ok(())
    }

    /// Notes that the processor will halt unless it finds something to do when it looks now.
    pub(crate) fn fall_asleep(&self) {
        self.is_asleep.store(true, Ordering::Relaxed);
        // Orders this store before the look that follows, as the fence in `wake` orders what is to be found before its look
        // at this: one of the two sees the other.
        fence(Ordering::SeqCst);
    }

    /// Notes that it goes on.
    pub(crate) fn get_up(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }

    /// Whether it halts, or is about to.
    pub(crate) fn is_asleep(&self) -> bool {
        self.is_asleep.load(Ordering::Relaxed)
    }

    /// Ends its sleep, if it sleeps. What it is to find was written before.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.is_asleep() {
            apic::send(self.apic_id(), Ipi::Wake);
        }
    }

    /// The waker that does so.
    pub(crate) fn waker(&'static self) -> &'static Waker {
        self.waker.call_once(|| Arc::new(Sleeping(self)).into())
    }
}

/// A processor, for those who wait on it.
struct Sleeping(&'static Processor);

impl Wake for Sleeping {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}
