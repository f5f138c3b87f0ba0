//! The machine under the bridge: memory from the heap, and a way to sleep until something happens outside.
//!
//! The core waits by way of [`Sleeper`]. A TAP interface does not interrupt; what stands for its interrupts is the
//! system's word that it has a frame, or room. [`Machine`] asks for that while it sleeps, and [`Tap::tell`] passes it on
//! to the wakers that the core registered.
//!
//! | asked of the system | while |
//! |---|---|
//! | a signal, the end of the input | always |
//! | a frame of an interface | it had none when it was last looked at, and the core was not told of one since |
//! | room in an interface | it had none when a frame was last offered, and the core was not told of any since |
//!
//! So each arrival is told once. An interface whose frames cannot be taken, because the far side is full, is not asked
//! about again until it was handled, and keeps no thread awake.
#![expect(unsafe_code, reason = "takes over the memory contract of the heap")]

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nm_core::platform::{DmaBlock, Platform, Sleeper, Slept};
use nm_core::testing::HeapPlatform;
use spin::Mutex;

use super::tap::Tap;

/// A process with one thread, which SIGINT, SIGTERM or the end of its standard input end.
pub struct Machine {
    heap: Arc<HeapPlatform>,
    signals: SignalFd,
    /// The interfaces own the way to the machine, not the reverse.
    taps: Mutex<Vec<Weak<Tap>>>,
    is_over: AtomicBool,
}

impl Machine {
    /// A machine with `bytes` of memory. From here on the signals do not end the process by themselves.
    pub fn new(bytes: usize) -> io::Result<Arc<Self>> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block()?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let (taps, is_over) = (Mutex::default(), AtomicBool::new(false));
        Ok(Arc::new(Self { heap: HeapPlatform::new(bytes), signals, taps, is_over }))
    }

    /// From now on sleeping ends when `tap` has what it wants.
    pub fn add(&self, tap: &Arc<Tap>) {
        self.taps.lock().push(Arc::downgrade(tap));
    }

    /// Whether a signal has ended the process. Does not wait.
    pub fn is_over(&self) -> io::Result<bool> {
        self.wait(&[], Some(Duration::ZERO))?;
        Ok(self.is_over.load(Relaxed))
    }

    /// Waits until one of `taps` has what it wants, which is told, until the process is ended, or the time is over.
    fn wait(&self, taps: &[Arc<Tap>], time: Option<Duration>) -> io::Result<()> {
        let stdin = io::stdin();
        let mut all = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
        ];
        all.extend(taps.iter().map(|tap| PollFd::new(tap.as_fd(), tap.wanted())));
        match ppoll(&mut all, time.map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // What is not known to nix counts as an error, which is told as everything.
        let mut found = all.iter().map(|one| one.revents().unwrap_or(PollFlags::POLLERR));
        let is_signalled = found.next().is_some_and(|events| !events.is_empty());
        let has_input = found.next().is_some_and(|events| !events.is_empty());
        taps.iter().zip(found).for_each(|(tap, events)| tap.tell(events));
        // What is typed means nothing; that no more will be typed does. A terminal says so once.
        if is_signalled || has_input && stdin.lock().read(&mut [0; 64])? == 0 {
            self.is_over.store(true, Relaxed);
        }
        Ok(())
    }
}

impl Sleeper for Machine {
    /// There is one thread: who could call it is not asleep.
    fn waker(&self) -> Waker {
        Waker::noop().clone()
    }

    fn sleep(&self, is_due: &dyn Fn() -> bool, deadline_ns: Option<u64>) -> Slept {
        // For the same reason it cannot become due between this look and the wait.
        if is_due() {
            return Slept::On;
        }
        let taps = self.taps.lock().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        // One that wants nothing is left out, since the system also says unasked that it is gone.
        let waiting = taps.into_iter().filter(|tap| !tap.wanted().is_empty()).collect::<Vec<_>>();
        let time = deadline_ns.map(|deadline| Duration::from_nanos(deadline.saturating_sub(self.now_ns())));
        // An error is found again by who looks whether the process is over.
        if self.wait(&waiting, time).is_err() || self.is_over.load(Relaxed) {
            return Slept::Interrupted;
        }
        Slept::On
    }
}

// SAFETY: the blocks are the heap's, which keeps the contract, and go back there.
unsafe impl Platform for Machine {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        self.heap.allocate_dma(bytes, align)
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        // SAFETY: the caller promises it of this platform, whose blocks all come from the heap.
        unsafe { self.heap.release_dma(block) }
    }

    fn now_ns(&self) -> u64 {
        self.heap.now_ns()
    }

    fn sleeper(&self) -> Option<&dyn Sleeper> {
        Some(self)
    }
}
