//! Setting up, forwarding, waiting.

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nm_core::generic::GenericCounters;
use nm_core::platform::Platform;
use nm_core::testing::HeapPlatform;
use nm_core::tunables::Tunables;
use nm_core::{Netmap, Port, RxRing, SyncError, TxRing};

use super::tap::Tap;

/// For memory region and heap, in bytes: two ports of 1024 slots each way use half of it.
const MEMORY: usize = 32 << 20;

/// Bridges the two interfaces until it is told to stop.
pub fn run(a: &str, b: &str) -> Result<(), Box<dyn Error>> {
    let platform: Arc<dyn Platform> = HeapPlatform::new(MEMORY);
    let tunables = Tunables::for_memory(MEMORY as u64);
    let netmap = Netmap::new(&platform, tunables)?;
    let stop = Stop::new()?;
    let (mut a, mut b) = (End::open(&netmap, a)?, End::open(&netmap, b)?);
    println!("bridging {} and {}", a.port.name(), b.port.name());
    io::stdout().flush()?;
    let outcome = forward_until(&stop, &mut a, &mut b);
    report(&netmap, &[&a, &b]);
    drop((a, b));
    println!("{}", netmap.memory());
    outcome
}

/// One side of the bridge.
struct End {
    tap: Arc<Tap>,
    port: Port,
    counters: Arc<GenericCounters>,
}

impl End {
    fn open(netmap: &Netmap, name: &str) -> Result<Self, Box<dyn Error>> {
        let tap = Arc::new(Tap::open(name).map_err(|error| format!("{name}: {error}"))?);
        netmap.attach_frames(name, tap.clone())?;
        let counters = netmap.generic_counters(name).unwrap_or_default();
        Ok(Self { tap, port: netmap.open(name)?, counters })
    }

    /// The rings of the port: the generic adapter has one each way.
    fn rings(&mut self) -> Option<(&mut TxRing, &mut RxRing)> {
        let (tx, rx) = self.port.rings();
        tx.first_mut().zip(rx.first_mut())
    }
}

/// Forwards whatever arrives; sleeps while nothing does.
fn forward_until(stop: &Stop, a: &mut End, b: &mut End) -> Result<(), Box<dyn Error>> {
    loop {
        let (Some((a_tx, a_rx)), Some((b_tx, b_rx))) = (a.rings(), b.rings()) else {
            return Err("a port has no rings".into());
        };
        let moved = forward(a_rx, b_tx)? + forward(b_rx, a_tx)?;
        let wanted = [wanted(a_tx, b_tx), wanted(b_tx, a_tx)];
        // While there is work it only looks whether it is to stop.
        let timeout = if moved > 0 { PollTimeout::ZERO } else { PollTimeout::NONE };
        if wait(stop, [&a.tap, &b.tap], wanted, timeout)? == Wake::Stop {
            return Ok(());
        }
    }
}

/// Moves what has arrived and has room to the other side. Returns how many frames.
fn forward(rx: &mut RxRing, tx: &mut TxRing) -> Result<u32, SyncError> {
    rx.rxsync()?;
    let count = rx.window().min(tx.window());
    for (mut from, mut to) in rx.slots().zip(tx.slots()).take(count as usize) {
        // Both ports are in one region, so buffers change places; a refusal would leave the slot empty.
        if from.swap(&mut to).is_err() {
            let _ = to.set_len(0);
        }
    }
    rx.advance(count);
    tx.advance(count);
    if tx.pending() > 0 {
        tx.txsync()?;
    }
    Ok(count)
}

/// What a side waits for: room if frames are stuck in its own ring, arrivals if the other side could take them.
fn wanted(own: &TxRing, other: &TxRing) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLOUT, own.pending() > 0);
    flags.set(PollFlags::POLLIN, other.window() > 0);
    flags
}

#[derive(PartialEq, Eq)]
enum Wake {
    Work,
    Stop,
}

/// Sleeps until one of the interfaces has what is wanted of it, or it is time to stop.
fn wait(stop: &Stop, taps: [&Tap; 2], wanted: [PollFlags; 2], timeout: PollTimeout) -> io::Result<Wake> {
    let stdin = io::stdin();
    let [a, b] = taps;
    let [a_wanted, b_wanted] = wanted;
    let mut all = [
        PollFd::new(stop.0.as_fd(), PollFlags::POLLIN),
        PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
        PollFd::new(a.as_fd(), a_wanted),
        PollFd::new(b.as_fd(), b_wanted),
    ];
    match poll(&mut all, timeout) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(Wake::Work),
        Err(error) => return Err(error.into()),
    }
    let [signal, input, ..] = &all;
    let is_signalled = signal.any().unwrap_or(true);
    // What is typed means nothing; that no more will be typed does.
    let has_ended = input.any().unwrap_or(true) && stdin.lock().read(&mut [0; 64])? == 0;
    Ok(if is_signalled || has_ended { Wake::Stop } else { Wake::Work })
}

/// SIGINT and SIGTERM as something to wait for.
struct Stop(SignalFd);

impl Stop {
    fn new() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }
}

fn report(netmap: &Netmap, ends: &[&End]) {
    netmap.counters().iter().for_each(|counters| println!("{counters}"));
    for end in ends {
        println!("{} generic {}", end.port.name(), end.counters);
    }
}
