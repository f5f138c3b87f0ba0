//! What the host does, one step after the other: a lease, pings, a download.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{dhcpv4, icmp, tcp};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress, Ipv4Cidr};

use crate::host::Host;
use crate::stream;

/// Where QEMU's user network answers with the download.
pub const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 2, 100), 80);

/// How long each small step may take.
const STEP: Duration = Duration::from_secs(15);
/// How long the download may take.
const DOWNLOAD: Duration = Duration::from_secs(80);
/// Pings that are sent.
const PINGS: u16 = 10;
/// What each carries.
const PING_PAYLOAD: &[u8] = b"across the millrace and back again, byte for byte";
/// The host's identifier in its pings.
const PING_IDENTIFIER: u16 = 0x4d52;
/// Between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// The host's receive window.
const WINDOW: usize = 256 << 10;

/// A DHCP lease.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    address: Ipv4Cidr,
    server: Ipv4Addr,
    /// The way out.
    pub router: Ipv4Addr,
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease of {} from {}, router {}", self.address, self.server, self.router)
    }
}

/// Gets a lease and configures the host with it.
pub fn lease(host: &mut Host<'_>) -> Result<Lease> {
    let socket = host.sockets.add(dhcpv4::Socket::new());
    let lease = host.run_until("a DHCP lease", STEP, |host| {
        match host.sockets.get_mut::<dhcpv4::Socket<'_>>(socket).poll() {
            Some(dhcpv4::Event::Configured(config)) => {
                let router = config.router.context("the DHCP lease names no router")?;
                Ok(Some(Lease { address: config.address, server: config.server.address, router }))
            }
            Some(dhcpv4::Event::Deconfigured) | None => Ok(None),
        }
    })?;
    host.sockets.remove(socket);
    host.configure(lease.address, lease.router)?;
    Ok(lease)
}

/// Round trips.
#[derive(Debug, Clone)]
pub struct Pings {
    target: Ipv4Addr,
    trips: Vec<Duration>,
}

impl Pings {
    /// How many were answered.
    pub fn answered(&self) -> usize {
        self.trips.len()
    }
}

impl fmt::Display for Pings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |trip: Option<&Duration>| trip.map_or(0.0, |trip| trip.as_secs_f64() * 1000.0);
        let mean = self.trips.iter().sum::<Duration>().checked_div(self.trips.len() as u32);
        write!(
            f,
            "{} of {PINGS} answered by {}, round trip {:.3} / {:.3} / {:.3} ms (min / mean / max)",
            self.trips.len(),
            self.target,
            millis(self.trips.iter().min()),
            millis(mean.as_ref()),
            millis(self.trips.iter().max())
        )
    }
}

/// Pings `target`, one after the other; all must be answered.
pub fn ping(host: &mut Host<'_>, target: Ipv4Addr) -> Result<Pings> {
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 1024]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(PING_IDENTIFIER)).map_err(|error| anyhow!("cannot ping: {error}"))?;
    let socket = host.sockets.add(socket);
    let mut trips = Vec::new();
    // The first one waits for the router's address to be resolved, so it is not counted.
    for number in 0..=PINGS {
        let trip = ping_once(host, socket, target, number).with_context(|| format!("ping {number}"))?;
        if number > 0 {
            trips.push(trip);
        }
    }
    host.sockets.remove(socket);
    Ok(Pings { target, trips })
}

fn ping_once(host: &mut Host<'_>, socket: SocketHandle, target: Ipv4Addr, number: u16) -> Result<Duration> {
    let checksums = ChecksumCapabilities::default();
    let request = Icmpv4Repr::EchoRequest { ident: PING_IDENTIFIER, seq_no: number, data: PING_PAYLOAD };
    let sent = Instant::now();
    let sender = host.sockets.get_mut::<icmp::Socket<'_>>(socket);
    let bytes = sender.send(request.buffer_len(), IpAddress::Ipv4(target));
    let bytes = bytes.map_err(|error| anyhow!("cannot send: {error}"))?;
    request.emit(&mut Icmpv4Packet::new_unchecked(bytes), &checksums);
    host.run_until("an echo reply", STEP, |host| {
        let receiver = host.sockets.get_mut::<icmp::Socket<'_>>(socket);
        let Ok((bytes, _)) = receiver.recv() else { return Ok(None) };
        let packet = Icmpv4Packet::new_checked(bytes).map_err(|error| anyhow!("a bad reply: {error}"))?;
        let reply = Icmpv4Repr::parse(&packet, &checksums).map_err(|error| anyhow!("a bad reply: {error}"))?;
        let answers = matches!(
            reply,
            Icmpv4Repr::EchoReply { ident: PING_IDENTIFIER, seq_no, data } if seq_no == number && data == PING_PAYLOAD
        );
        Ok(answers.then(|| sent.elapsed()))
    })
}

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Bytes received.
    pub bytes: u64,
    /// Bytes that there are.
    pub total: u64,
    /// Frames that crossed the appliance for it, both ways.
    pub frames: u64,
    /// For so long.
    pub took: Duration,
}

/// A download that is complete.
#[derive(Debug, Clone, Copy)]
pub struct Download {
    /// What came, and how fast.
    pub progress: Progress,
    hash: [u8; 32],
}

impl Download {
    /// The hash, and what it was compared with.
    pub fn hash_line(&self) -> String {
        let digits: String = self.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digits}, as it was sent")
    }
}

impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { bytes, frames, took, .. } = self.progress;
        let seconds = took.as_secs_f64();
        let megabits = bytes as f64 * 8.0 / 1e6 / seconds;
        let (address, port) = SERVER;
        write!(
            f,
            "{} MiB from {address}:{port} in {seconds:.2} s: {megabits:.0} Mbit/s, {frames} frames both ways",
            bytes >> 20
        )
    }
}

/// Downloads `total` bytes of the stream that follows from `seed`, and compares their hash.
pub fn download(
    host: &mut Host<'_>,
    seed: u64,
    total: u64,
    mut report: impl FnMut(&Progress),
) -> Result<Download> {
    let socket = connect(host)?;
    let frames_before = host.traffic().received + host.traffic().sent;
    let started = Instant::now();
    let mut hasher = Sha256::new();
    let mut progress = Progress { bytes: 0, total, frames: 0, took: Duration::ZERO };
    let mut reported = started;
    host.run_until("the download", DOWNLOAD, |host| {
        let connection = host.sockets.get_mut::<tcp::Socket<'_>>(socket);
        while connection.can_recv() {
            let taken = connection.recv(|bytes| {
                hasher.update(&*bytes);
                (bytes.len(), bytes.len() as u64)
            });
            progress.bytes += taken.map_err(|error| anyhow!("cannot receive: {error}"))?;
        }
        let is_over = !connection.may_recv();
        progress.took = started.elapsed();
        progress.frames = host.traffic().received + host.traffic().sent - frames_before;
        if is_over || reported.elapsed() > REPORT_EVERY {
            reported = Instant::now();
            report(&progress);
        }
        Ok(is_over.then_some(()))
    })?;
    host.sockets.remove(socket);
    ensure!(progress.bytes == total, "the download ended after {} of {total} bytes", progress.bytes);
    let hash: [u8; 32] = hasher.finalize().into();
    if hash != stream::hash(seed, total)? {
        bail!("the download has another hash than what was sent");
    }
    Ok(Download { progress, hash })
}

/// Connects to the server, which may take a second: smoltcp asks for no second address sooner than that.
fn connect(host: &mut Host<'_>) -> Result<SocketHandle> {
    let buffer = |bytes| tcp::SocketBuffer::new(vec![0; bytes]);
    let mut socket = tcp::Socket::new(buffer(WINDOW), buffer(4096));
    let local_port = fastrand::u16(49152..);
    let (context, sockets) = host.context();
    let connected = socket.connect(context, SERVER, local_port);
    connected.map_err(|error| anyhow!("cannot connect: {error}"))?;
    let socket = sockets.add(socket);
    host.run_until("a TCP connection", STEP, |host| {
        let connection = host.sockets.get::<tcp::Socket<'_>>(socket);
        ensure!(connection.is_active(), "the connection was refused");
        Ok(connection.may_recv().then_some(()))
    })?;
    Ok(socket)
}
