//! Setting up, and forwarding.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;

use nm_core::generic::GenericCounters;
use nm_core::platform::Platform;
use nm_core::poll::{Interest, Polled, Timeout, poll_any};
use nm_core::tunables::{Overrides, Tunables};
use nm_core::{Netmap, Port, SyncError};

use super::machine::Machine;
use super::tap::Tap;

/// For memory region and heap, in bytes: two ports of 1024 slots each way use half of it.
const MEMORY: usize = 32 << 20;

/// Bridges the two interfaces until it is told to stop.
pub fn run(a: &str, b: &str) -> Result<(), Box<dyn Error>> {
    let machine = Machine::new(MEMORY)?;
    let platform: Arc<dyn Platform> = machine.clone();
    let tunables = Tunables::for_memory(MEMORY as u64, &Overrides::default())?;
    let netmap = Netmap::new(&platform, tunables)?;
    let (mut a, mut b) = (End::open(&machine, &netmap, a)?, End::open(&machine, &netmap, b)?);
    println!("bridging {} and {}", a.port.name(), b.port.name());
    io::stdout().flush()?;
    let outcome = forward_until_over(&machine, &mut a.port, &mut b.port);
    report(&netmap, &[&a, &b]);
    drop((a, b));
    println!("{}", netmap.memory());
    outcome
}

/// One side of the bridge.
struct End {
    port: Port,
    counters: Arc<GenericCounters>,
}

impl End {
    fn open(machine: &Machine, netmap: &Netmap, name: &str) -> Result<Self, Box<dyn Error>> {
        let tap = Arc::new(Tap::open(name).map_err(|error| format!("{name}: {error}"))?);
        machine.add(&tap);
        netmap.attach_frames(name, tap)?;
        let counters = netmap.generic_counters(name).unwrap_or_default();
        Ok(Self { port: netmap.open(name)?, counters })
    }
}

/// Forwards whatever arrives, and sleeps while nothing does, until the process is over.
fn forward_until_over(machine: &Machine, a: &mut Port, b: &mut Port) -> Result<(), Box<dyn Error>> {
    let names = [a.name().to_string(), b.name().to_string()];
    let in_port = |at, error: &dyn Error| format!("{}: {error}", names.get(at).map_or("", String::as_str));
    while !machine.is_over()? {
        forward(a, b).map_err(|error| in_port(1, &error))?;
        forward(b, a).map_err(|error| in_port(0, &error))?;
        let (a_wants, b_wants) = (interest(a, b), interest(b, a));
        // This also takes in what has arrived.
        poll_any(&mut [Polled::new(a, a_wants), Polled::new(b, b_wants)], Timeout::Never)
            .map_err(|error| in_port(error.port, &error))?;
    }
    Ok(())
}

/// Moves what has arrived and has room to the other side.
fn forward(from: &mut Port, to: &mut Port) -> Result<(), SyncError> {
    for (rx, tx) in from.rx_rings().iter_mut().zip(to.tx_rings()) {
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
    }
    Ok(())
}

/// What a side waits for: arrivals if the other side can take them, and room if frames are stuck in its own ring.
fn interest(own: &mut Port, other: &mut Port) -> Interest {
    let mut interest = Interest::empty();
    interest.set(Interest::READABLE, other.tx_rings().iter().any(|tx| tx.window() > 0));
    for tx in own.tx_rings().iter_mut().filter(|tx| tx.pending() > 0) {
        // The room that there is was looked at: more of it is waited for.
        tx.look(tx.avail());
        interest.insert(Interest::WRITABLE);
    }
    interest
}

fn report(netmap: &Netmap, ends: &[&End]) {
    netmap.counters().iter().for_each(|counters| println!("{counters}"));
    for end in ends {
        println!("{} generic {}", end.port.name(), end.counters);
    }
}
