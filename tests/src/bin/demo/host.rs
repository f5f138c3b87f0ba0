//! A host at the end of a wire: smoltcp's interface, its sockets, and the loop that turns them.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use millrace_tests::Wire;
use millrace_tests::wire::Interest;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::time;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

use crate::device::{Device, Traffic};

/// The host's own address on the wire.
const STATION: EthernetAddress = EthernetAddress([0x02, 0x4d, 0x52, 0, 0, 0x01]);
/// Even with nothing due, look again this often: the host's driver has limits of its own to keep.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// A host with one interface.
pub struct Host<'a> {
    device: Device<'a>,
    interface: Interface,
    /// Its sockets.
    pub sockets: SocketSet<'static>,
    started: Instant,
}

impl<'a> Host<'a> {
    /// A host without an address.
    pub fn new(wire: &'a Wire) -> Self {
        let mut device = Device::new(wire);
        let mut config = Config::new(HardwareAddress::Ethernet(STATION));
        config.random_seed = fastrand::u64(..);
        let interface = Interface::new(config, &mut device, time::Instant::ZERO);
        Self { device, interface, sockets: SocketSet::new(Vec::new()), started: Instant::now() }
    }

    /// Gives it an address and a way out.
    pub fn configure(&mut self, address: Ipv4Cidr, router: Ipv4Addr) -> Result<()> {
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // An empty list has room for one.
            let _ = addresses.push(IpCidr::Ipv4(address));
        });
        if self.interface.routes_mut().add_default_ipv4_route(router).is_err() {
            bail!("there is no room for a route to {router}");
        }
        Ok(())
    }

    /// Turns the host until `step` has a result: polls it, asks `step`, then sleeps until a frame comes or a
    /// timer is due. `what` says in the error what was waited for.
    pub fn run_until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut step: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let now = self.now();
            self.interface.poll(now, &mut self.device, &mut self.sockets);
            if let Some(result) = step(self)? {
                return Ok(result);
            }
            if Instant::now() > deadline {
                bail!("{what}: nothing within {} s", limit.as_secs());
            }
            let due = self.interface.poll_delay(self.now(), &self.sockets);
            let due = due.map_or(LONGEST_WAIT, |due| Duration::from(due).min(LONGEST_WAIT));
            self.device.wire().wait(Some(due), Interest::Receive)?;
        }
    }

    /// The interface's context, which sockets need to connect.
    pub fn context(&mut self) -> (&mut smoltcp::iface::Context, &mut SocketSet<'static>) {
        (self.interface.context(), &mut self.sockets)
    }

    /// The time as smoltcp counts it.
    pub fn now(&self) -> time::Instant {
        let micros = self.started.elapsed().as_micros();
        time::Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// What passed its end of the wire.
    pub fn traffic(&self) -> &Traffic {
        self.device.traffic()
    }

    /// Who answered for `address`.
    pub fn station_of(&self, address: Ipv4Addr) -> Option<EthernetAddress> {
        self.traffic().stations.get(&address).copied()
    }
}
