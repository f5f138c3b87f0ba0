//! Ports: an interface bound by name, with its rings.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;

use crate::adapter::Bound;
use crate::events::hub::Hub;
use crate::host::forward::{self, CardTx, Look};
use crate::kring::SyncError;
use crate::open_error::OpenError;
use crate::ring::{RxRing, TxRing};

/// A bound interface. Dropping the port, or the last of its rings after [`split`](Port::split), closes it: the card
/// is stopped and the buffers go back to the pool.
pub struct Port {
    name: String,
    /// Of its netmap. A port that was [divided](Port::divide) may have no rings, and can be waited for all the same.
    hub: Arc<Hub>,
    tx: Vec<TxRing>,
    rx: Vec<RxRing>,
    host_tx: Vec<TxRing>,
    host_rx: Vec<RxRing>,
    tx_poll: TxPoll,
}

/// When a poll that does not ask for room syncs transmit rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxPoll {
    /// When slots wait to be sent.
    Pending,
    /// Not at all.
    Asked,
}

/// All rings of a port, to be used together.
#[derive(Debug)]
pub struct AllRings<'a> {
    /// The card's transmit rings.
    pub tx: &'a mut [TxRing],
    /// The card's receive rings.
    pub rx: &'a mut [RxRing],
    /// Host transmit rings: towards the stack.
    pub host_tx: &'a mut [TxRing],
    /// Host receive rings: from the stack.
    pub host_rx: &'a mut [RxRing],
}

impl Port {
    /// A safe port of rings that no raw port has had.
    pub(crate) fn new(bound: Bound) -> Result<Self, OpenError> {
        let Bound { name, hub, tx, rx, session } = bound;
        if session.is_distrusted() {
            return Err(OpenError::Distrusted(name));
        }
        let (tx, host_tx) = tx.into_iter().map(TxRing::new).partition(|ring| !ring.is_host());
        let (rx, host_rx) = rx.into_iter().map(RxRing::new).partition(|ring| !ring.is_host());
        Ok(Self { name, hub, tx, rx, host_tx, host_rx, tx_poll: TxPoll::Pending })
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What [`poll`](crate::poll) does with it.
impl Port {
    /// From now on a poll that does not ask for room sends nothing.
    #[doc(alias("NETMAP_NO_TX_POLL", "NR_NO_TX_POLL"))]
    #[must_use]
    pub fn without_tx_poll(self) -> Self {
        Self { tx_poll: TxPoll::Asked, ..self }
    }

    pub(crate) fn sends_in_poll(&self) -> bool {
        self.tx_poll == TxPoll::Pending
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(crate) fn bound_tx(&self) -> impl Iterator<Item = &TxRing> + Clone {
        self.tx.iter().chain(&self.host_tx)
    }

    pub(crate) fn bound_rx(&self) -> impl Iterator<Item = &RxRing> + Clone {
        self.rx.iter().chain(&self.host_rx)
    }

    pub(crate) fn card_tx(&self) -> CardTx<'_> {
        CardTx::Safe(&self.tx)
    }
}

/// One thread, all rings.
impl Port {
    /// Name of the interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The transmit rings of the card. A port of host rings alone has none.
    pub fn tx_rings(&mut self) -> &mut [TxRing] {
        &mut self.tx
    }

    /// The receive rings of the card.
    pub fn rx_rings(&mut self) -> &mut [RxRing] {
        &mut self.rx
    }

    /// Transmit and receive rings of the card, to be used together.
    pub fn rings(&mut self) -> (&mut [TxRing], &mut [RxRing]) {
        (&mut self.tx, &mut self.rx)
    }

    /// The host transmit rings: what is sent there goes to the stack (see [`host`](crate::host)).
    pub fn host_tx_rings(&mut self) -> &mut [TxRing] {
        &mut self.host_tx
    }

    /// The host receive rings: what the stack sends arrives there.
    pub fn host_rx_rings(&mut self) -> &mut [RxRing] {
        &mut self.host_rx
    }

    /// The rings of the card and of the stack.
    pub fn all_rings(&mut self) -> AllRings<'_> {
        let Self { tx, rx, host_tx, host_rx, .. } = self;
        AllRings { tx, rx, host_tx, host_rx }
    }

    /// Syncs all receive rings, and in transparent mode (see [`host`](crate::host#transparent-mode)) carries on what was
    /// released: frames of the card to the stack, frames of the stack to the card. The latter are put into the transmit
    /// rings from `head` on and sent at once, so what the application has written to slots there and not given by
    /// [`advance`](crate::ring::Ring::advance) is lost. A frame that finds no room waits for the next call.
    ///
    /// An error of one ring does not keep the others from it; the first is returned.
    #[doc(alias("netmap_sw_to_nic", "netmap_send_up"))]
    pub fn forward(&mut self) -> Result<(), SyncError> {
        let synced = self.bound_rx().map(|ring| forward::rxsync(ring.bound(), self.card_tx(), Look::Forced));
        synced.fold(Ok(()), Result::and)
    }
}

/// One ring per thread.
impl Port {
    /// Takes the port apart into rings that can go to different threads: the card's first, behind them the host rings
    /// ([`is_host`](crate::ring::Ring::is_host)).
    pub fn split(self) -> (Vec<TxRing>, Vec<RxRing>) {
        let Self { mut tx, mut rx, host_tx, host_rx, .. } = self;
        tx.extend(host_tx);
        rx.extend(host_rx);
        (tx, rx)
    }

    /// Takes the port apart into `parts` ports that can go to different threads: ring number `n` of the card goes to part
    /// `n` modulo `parts`, the host rings to the first. With more parts than rings, some have none.
    #[must_use]
    pub fn divide(self, parts: NonZeroUsize) -> Vec<Self> {
        let Self { name, hub, tx, rx, host_tx, host_rx, tx_poll } = self;
        let rings = deal(tx, parts).into_iter().zip(deal(rx, parts));
        let mut host = Some((host_tx, host_rx));
        let part = |(tx, rx)| {
            let (host_tx, host_rx) = host.take().unwrap_or_default();
            Self { name: name.clone(), hub: hub.clone(), tx, rx, host_tx, host_rx, tx_poll }
        };
        rings.map(part).collect()
    }
}

/// Goes round the hands with the rings, one at a time.
fn deal<T>(rings: Vec<T>, hands: NonZeroUsize) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = (0..hands.get()).map(|_| Vec::new()).collect();
    for (number, ring) in rings.into_iter().enumerate() {
        if let Some(hand) = dealt.get_mut(number % hands) {
            hand.push(ring);
        }
    }
    dealt
}
