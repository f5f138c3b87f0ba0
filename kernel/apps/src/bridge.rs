//! `bridge`: two ports, and every frame that one receives leaves by the other.
//!
//! As netmap's own bridge does it, without a copy: a frame is forwarded by exchanging the buffers of a receive slot
//! and a transmit slot. Where the two ports have different memory, it is copied instead. Frames stay in order, and
//! none is dropped here: while the far side has no room, they wait in the receive ring.
//!
//! ```text
//! a.rx ──rxsync──► slots ══swap══► slots ──txsync──► b.tx          and the same from b to a
//! ```
//!
//! When it waits, then for what keeps frames from moving: room on the far side where frames have come, else frames. A port
//! is waited for as a whole, so with several queues of which some are held up it does not wait, and looks again. Frames in
//! a transmit ring that its card has not taken yet are offered to it again whenever a wait ends.
//!
//! While a card is reset, which another processor may do at any time, its rings have neither frames nor room.
//!
//! Several workers share a bridge whose ports have several rings: worker `n` of `w` has the rings of each port whose number
//! is `n` modulo `w`, and no other worker touches them. A flow stays with one worker, in order, as long as the cards keep it in
//! one ring.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::time::Duration;

use nm_core::poll::{Interest, PollError, Polled, Timeout, poll_any};
use nm_core::ring::DifferentRegion;
use nm_core::{Netmap, Port, RxRing, SyncError, TxRing};

use crate::apps::AppConfig;
use crate::keys::PortKey;
use crate::{AppError, Application, Progress, keys};

/// The bridge between two ports.
#[derive(Debug)]
pub struct Bridge {
    names: [String; 2],
    a: Port,
    b: Port,
    /// Steps that found nothing.
    idle_steps: u32,
}

const NAME: &str = "bridge";

/// A transmit ring is synced with the frames that it gets. So that none stays behind when no more come, all are synced once in so
/// many steps that find nothing.
const IDLE_STEPS_PER_FLUSH: u32 = 64;

keys! {
    /// Which ports the bridge connects.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct BridgeConfig {
        /// One port of the bridge: `vtnet0`, `netmap:em0`, one ring `vtnet0-0`, or by MAC address `mac-525400000001` (`mac-` and 12
        /// hexadecimal digits)
        "a" a: Option<PortKey> = None, "the first card";
        /// The other port
        "b" b: Option<PortKey> = None, "the first card that `a` is not";
    }
}

impl AppConfig for BridgeConfig {
    const NAME: &'static str = NAME;
    const HELP: &'static str = "connects two ports; each frame that one receives is sent by the other";

    fn start(&self, netmap: &Netmap, workers: NonZeroUsize) -> Result<Vec<Box<dyn Application>>, AppError> {
        let [a, b] = [&self.a, &self.b].map(|port| port.as_ref().map(PortKey::name));
        let bridges = Bridge::open(netmap, a, b, workers)?;
        Ok(bridges.into_iter().map(|bridge| Box::new(bridge) as Box<dyn Application>).collect())
    }
}

impl Bridge {
    /// Opens ports `a` and `b`; without a name, the first interfaces that the other does not use. Returns a bridge for each
    /// worker: for as many as there are rings each way on both ports, and no more than `workers`.
    pub fn open(
        netmap: &Netmap,
        a: Option<&str>,
        b: Option<&str>,
        workers: NonZeroUsize,
    ) -> Result<Vec<Self>, AppError> {
        let (mut a, mut b) = open_ports(netmap, a, b)?;
        let rings = [&mut a, &mut b].map(|port| port.tx_rings().len().min(port.rx_rings().len()));
        let parts =
            rings.into_iter().min().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN).min(workers);
        let pairs = a.divide(parts).into_iter().zip(b.divide(parts));
        Ok(pairs.map(|(a, b)| Self::between(a, b)).collect())
    }

    /// A bridge between two open ports, of one netmap if it is to [`wait`](Application::wait).
    pub fn between(a: Port, b: Port) -> Self {
        Self { names: [a.name().to_string(), b.name().to_string()], a, b, idle_steps: 0 }
    }
}

/// Opens both ports, whole.
fn open_ports(netmap: &Netmap, a: Option<&str>, b: Option<&str>) -> Result<(Port, Port), AppError> {
    let present: Vec<String> = netmap.interfaces().into_iter().map(|interface| interface.name).collect();
    let [first, second, ..] = present.as_slice() else {
        let present = present.join(" ");
        return Err(AppError::TooFewInterfaces { needed: 2, present, undriven: String::new() });
    };
    let open = |key, name: &str| netmap.open(name).map_err(|cause| AppError::Open { key, cause });
    let other = |taken: &Port| if taken.name() == first { second.as_str() } else { first.as_str() };
    match (a, b) {
        (None, Some(b)) => {
            let b = open("b", b)?;
            Ok((open("a", other(&b))?, b))
        }
        (a, b) => {
            let a = open("a", a.unwrap_or(first))?;
            let b = b.unwrap_or_else(|| other(&a));
            let b = open("b", b).map_err(|error| same_port(error, a.name()))?;
            Ok((a, b))
        }
    }
}

/// A port that is busy because it is port `a` deserves a plainer word.
fn same_port(error: AppError, a: &str) -> AppError {
    match error {
        AppError::Open { cause: nm_core::OpenError::Busy { name, .. }, .. } if name == a => {
            AppError::SamePort(name)
        }
        error => error,
    }
}

impl Application for Bridge {
    fn name(&self) -> &'static str {
        NAME
    }

    fn ports(&self) -> &[String] {
        &self.names
    }

    fn step(&mut self) -> Result<Progress, AppError> {
        let [a, b] = &self.names;
        let (a_tx, a_rx) = self.a.rings();
        let (b_tx, b_rx) = self.b.rings();
        let moved = forward(a_rx, b_tx, a, b)? + forward(b_rx, a_tx, b, a)?;
        if moved > 0 {
            return Ok(Progress::Busy { frames: moved });
        }
        self.idle_steps = self.idle_steps.wrapping_add(1);
        if self.idle_steps.is_multiple_of(IDLE_STEPS_PER_FLUSH) {
            flush(a_tx, a)?;
            flush(b_tx, b)?;
        }
        Ok(Progress::Idle)
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), AppError> {
        let (there, back) = (BlockedOn::after(self.a.rx_rings()), BlockedOn::after(self.b.rx_rings()));
        let mut ports = [
            Polled::new(&mut self.a, there.of_receiver | back.of_sender),
            Polled::new(&mut self.b, back.of_receiver | there.of_sender),
        ];
        match poll_any(&mut ports, Timeout::After(timeout)) {
            Ok(_) | Err(PollError { cause: SyncError::Stopped, .. }) => Ok(()),
            Err(PollError { port, cause, .. }) => {
                let port = self.names.get(port).cloned().unwrap_or_default();
                Err(AppError::Sync { port, cause })
            }
        }
    }
}

/// What keeps frames from moving from one port to the other.
struct BlockedOn {
    of_receiver: Interest,
    of_sender: Interest,
}

impl BlockedOn {
    /// For frames that come by these rings.
    fn after(rx: &[RxRing]) -> Self {
        let mut blocked = Self { of_receiver: Interest::empty(), of_sender: Interest::empty() };
        for rx in rx {
            if rx.window() == 0 {
                blocked.of_receiver |= Interest::READABLE;
            } else {
                blocked.of_sender |= Interest::WRITABLE;
            }
        }
        blocked
    }
}

/// Moves what the rings of one port have received to the rings of the other. Returns how many frames.
#[inline(always)]
fn forward(rx: &mut [RxRing], tx: &mut [TxRing], from: &str, to: &str) -> Result<u32, AppError> {
    let mut moved = 0;
    for (i, rx) in rx.iter_mut().enumerate() {
        let Some(tx) = ring_for(tx, i) else { continue };
        if let Err(cause) = rx.rxsync() {
            unless_stopped(from, cause)?;
        }
        if rx.is_empty() {
            continue;
        }
        let frames = rx.forward_to(tx);
        moved += frames.unwrap_or_else(|DifferentRegion| copy(rx, tx));
        if let Err(cause) = tx.txsync() {
            unless_stopped(to, cause)?;
        }
    }
    Ok(moved)
}

/// The transmit ring for the frames of receive ring `i`.
#[inline]
fn ring_for(tx: &mut [TxRing], i: usize) -> Option<&mut TxRing> {
    let rings = tx.len();
    tx.get_mut(if i < rings { i } else { i.checked_rem(rings)? })
}

/// Syncs the transmit rings of a port that have something on its way: frames that found no room in the queue leave, and
/// completed slots come back.
#[cold]
fn flush(tx: &mut [TxRing], port: &str) -> Result<(), AppError> {
    for tx in tx.iter_mut().filter(|tx| tx.pending() > 0) {
        if let Err(cause) = tx.txsync() {
            unless_stopped(port, cause)?;
        }
    }
    Ok(())
}

/// What a failed sync of a port's ring means for the application: a ring that is stopped goes on after its card's reset.
#[cold]
fn unless_stopped(port: &str, cause: SyncError) -> Result<(), AppError> {
    if cause == SyncError::Stopped { Ok(()) } else { Err(AppError::Sync { port: port.to_string(), cause }) }
}

/// Copies as many frames as are there and have room, between ports with different memory. Returns how many slots.
#[cold]
fn copy(rx: &mut RxRing, tx: &mut TxRing) -> u32 {
    rx.copy_to(tx)
}
