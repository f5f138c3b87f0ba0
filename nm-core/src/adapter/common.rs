//! What an interface has, whichever of its adapters ports get.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::counters::{self, HardwareCounters};
use super::users::Rings;
use crate::events::signals::SignalList;
use crate::host::HostSide;
use crate::nic::{Mtu, NicInfo};
use crate::stats::{Direction, RingCounters, RingKind, RingReport};

/// What an interface is whatever adapter it has.
pub(crate) struct Common {
    pub(crate) name: String,
    /// Its host side, if it was attached with a stack.
    pub(crate) host: Option<Arc<HostSide>>,
    /// The MTU that it was attached with.
    mtu: Option<Mtu>,
    counters: HardwareCounters,
}

impl Common {
    /// An interface that never has more queues than `most`.
    pub(crate) fn new(
        name: &str,
        host: Option<Arc<HostSide>>,
        mtu: Option<Mtu>,
        most: (u16, u16),
    ) -> Arc<Self> {
        Arc::new(Self { name: name.to_string(), host, mtu, counters: HardwareCounters::new(most) })
    }

    /// The MTU of the interface when its card is this one: what it was attached with, else what the card reports, else that of
    /// Ethernet.
    pub(crate) fn mtu(&self, nic: &NicInfo) -> Mtu {
        self.mtu.or(nic.mtu).unwrap_or_default()
    }

    /// The signals of its host rings: transmit, receive.
    pub(super) fn host_signals(&self) -> (SignalList, SignalList) {
        let of = |direction| self.host.as_ref().map(|host| host.signals(direction)).unwrap_or_default();
        (of(Direction::Tx), of(Direction::Rx))
    }

    /// The rings of the interface when its card is this one.
    pub(crate) fn rings(&self, nic: &NicInfo) -> Rings {
        let (host_tx, host_rx) = self.host.as_ref().map_or((0, 0), |host| (host.rings().tx, host.rings().rx));
        Rings { tx: nic.tx_queues, rx: nic.rx_queues, host_tx, host_rx }
    }

    /// The counters of one ring, by its number among those of its kind and direction.
    pub(super) fn counters(
        &self,
        kind: RingKind,
        direction: Direction,
        number: u16,
    ) -> Option<&Arc<RingCounters>> {
        let number = usize::from(number);
        match (kind, direction) {
            (RingKind::Hardware, _) => self.counters.of(direction).get(number),
            (RingKind::Host, Direction::Tx) => self.host.as_ref()?.tx_counters().nth(number),
            (RingKind::Host, Direction::Rx) => self.host.as_ref()?.rx_counters().nth(number),
        }
    }

    /// The counters of all its rings when it has these: the card's transmit and receive rings, the host's.
    pub(crate) fn reports(&self, rings: Rings) -> Vec<RingReport> {
        let mut reports = self.counters.reports(&self.name, rings);
        if let Some(host) = &self.host {
            let report = |direction| {
                move |(ring, counters)| {
                    counters::report(&self.name, RingKind::Host, direction, ring, counters)
                }
            };
            reports.extend((0..).zip(host.tx_counters()).map(report(Direction::Tx)));
            reports.extend((0..).zip(host.rx_counters()).map(report(Direction::Rx)));
        }
        reports
    }
}
