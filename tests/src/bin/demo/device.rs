//! A wire as smoltcp's network device, which also notes who is where.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use millrace_tests::Wire;
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol};

/// The end of a wire, and what passed it.
pub struct Device<'a> {
    wire: &'a Wire,
    traffic: Traffic,
}

/// What passed a device.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Frames that the wire did not take.
    pub refused: u64,
    /// Stations by the address for which they answered.
    pub stations: BTreeMap<Ipv4Addr, EthernetAddress>,
}

impl<'a> Device<'a> {
    pub fn new(wire: &'a Wire) -> Self {
        Self { wire, traffic: Traffic::default() }
    }

    pub fn wire(&self) -> &'a Wire {
        self.wire
    }

    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

impl phy::Device for Device<'_> {
    type RxToken<'t>
        = Received
    where
        Self: 't;
    type TxToken<'t>
        = Sender<'t>
    where
        Self: 't;

    fn receive(&mut self, _now: Instant) -> Option<(Received, Sender<'_>)> {
        // A wire that fails has lost its QEMU, which shows at the next wait.
        let frame = self.wire.try_receive().ok().flatten()?;
        self.traffic.received += 1;
        if let Some((address, station)) = answer(&frame) {
            self.traffic.stations.insert(address, station);
        }
        Some((Received(frame), Sender { wire: self.wire, traffic: &mut self.traffic }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sender<'_>> {
        Some(Sender { wire: self.wire, traffic: &mut self.traffic })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A frame that came.
pub struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// The right to send one frame.
pub struct Sender<'a> {
    wire: &'a Wire,
    traffic: &'a mut Traffic,
}

impl phy::TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        match self.wire.try_send(&frame) {
            Ok(true) => self.traffic.sent += 1,
            // Like a full network card: the protocols above send it again.
            Ok(false) | Err(_) => self.traffic.refused += 1,
        }
        result
    }
}

/// Who an ARP reply says is where.
fn answer(frame: &[u8]) -> Option<(Ipv4Addr, EthernetAddress)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let packet = ArpPacket::new_checked(frame.payload()).ok()?;
    match ArpRepr::parse(&packet).ok()? {
        ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_protocol_addr,
            source_hardware_addr,
            ..
        } => Some((source_protocol_addr, source_hardware_addr)),
        _ => None,
    }
}
