//! A TAP interface of Linux as a device that passes frames one by one.
#![expect(unsafe_code, reason = "two ioctls, which name the interface and ask for its address")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicI16, Ordering::Relaxed};

use nix::errno::Errno;
use nix::libc;
use nix::poll::PollFlags;
use nix::sys::uio::{readv, writev};
use nm_core::generic::{FrameDevice, ReceiveError, TransmitError, Watchers};
use nm_core::nic::Link;
use spin::Mutex;

nix::ioctl_write_ptr_bad!(
    /// Makes the open file the other end of the interface that the request names.
    tun_set_iff,
    libc::TUNSETIFF,
    libc::ifreq
);
nix::ioctl_read_bad!(
    /// The address of the interface behind the open file.
    hardware_address,
    libc::SIOCGIFHWADDR,
    libc::ifreq
);

/// Where interfaces are had from.
const DEVICE: &str = "/dev/net/tun";

/// What the system says of a file without being asked: it is of no use any more.
const ENDED: PollFlags = PollFlags::POLLERR.union(PollFlags::POLLHUP).union(PollFlags::POLLNVAL);

/// The program's end of a TAP interface: what is written here, the host receives, and the reverse.
#[derive(Debug)]
pub struct Tap {
    file: File,
    mac: [u8; 6],
    /// What is worth waiting for, as [`PollFlags`]. Relaxed: one thread uses it.
    wanted: AtomicI16,
    watchers: Mutex<Option<Watchers>>,
}

impl Tap {
    /// Opens the TAP interface `name`, making it if there is none, which takes the right to administrate networks.
    pub fn open(name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DEVICE);
        let file = file.map_err(|error| io::Error::new(error.kind(), format!("{DEVICE}: {error}")))?;
        let mut request = request(name)?;
        // Frames as they are on a wire: no packet information in front, no header for offloads.
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the file is open, and the request is one that names an interface and holds its flags.
        unsafe { tun_set_iff(file.as_raw_fd(), &request) }.map_err(refusal)?;
        // SAFETY: as above; the call writes an address into the request.
        unsafe { hardware_address(file.as_raw_fd(), &mut request)? };
        // SAFETY: the call has just written this member.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
        let [a, b, c, d, e, f, ..] = address.map(|byte| byte as u8);
        let (wanted, watchers) = (AtomicI16::new(0), Mutex::new(None));
        Ok(Self { file, mac: [a, b, c, d, e, f], wanted, watchers })
    }
}

/// Waiting for it.
impl Tap {
    /// What is worth waiting for: a frame if there was none, room if there was none. Nothing that was told since.
    pub fn wanted(&self) -> PollFlags {
        PollFlags::from_bits_truncate(self.wanted.load(Relaxed))
    }

    fn want(&self, what: PollFlags) {
        self.wanted.fetch_or(what.bits(), Relaxed);
    }

    /// Tells the core what the system has said. An interface that is gone is everything that may be waited for: who
    /// looks at it finds out.
    pub fn tell(&self, events: PollFlags) {
        // Those that are told may look at the interface at once, so the lock is free again.
        let Some(Watchers { arrival, room }) = self.watchers.lock().clone() else { return };
        for (what, waker) in [(PollFlags::POLLIN, arrival), (PollFlags::POLLOUT, room)] {
            if events.intersects(what | ENDED) {
                self.wanted.fetch_and(!what.bits(), Relaxed);
                waker.wake();
            }
        }
    }
}

/// What it means that the system does not give the interface.
fn refusal(error: Errno) -> io::Error {
    let meaning = match error {
        Errno::EPERM => "it is not this user's, or not there, and then it takes root",
        Errno::EBUSY => "a program has it already",
        Errno::EINVAL => "there is an interface of this name, and it is no TAP with one queue",
        _ => return error.into(),
    };
    io::Error::other(format!("{meaning} ({error})"))
}

/// A request about the interface `name`.
fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: a structure of plain numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains(['\0', '%']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no interface can have this name"));
    }
    request.ifr_name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from as libc::c_char);
    Ok(request)
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl FrameDevice for Tap {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Always up: whether the host's end is shows in what happens to frames.
    fn link(&self) -> Link {
        Link::Up
    }

    fn transmit(&self, frame: &[u8]) -> Result<(), TransmitError> {
        match writev(&self.file, &[IoSlice::new(frame)]) {
            Ok(_) => Ok(()),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM) => {
                self.want(PollFlags::POLLOUT);
                Err(TransmitError::NoRoom)
            }
            Err(Errno::EBADFD | Errno::ENODEV) => Err(TransmitError::Gone),
            // The interface is down (EIO), or the frame is not to its liking.
            Err(_) => Err(TransmitError::Refused),
        }
    }

    fn receive(&self, into: &mut [u8]) -> Option<Result<usize, ReceiveError>> {
        let room = into.len();
        // The kernel cuts a frame that does not fit. One byte more than there is room for shows that it would have.
        let mut beyond = [0];
        match readv(&self.file, &mut [IoSliceMut::new(into), IoSliceMut::new(&mut beyond)]) {
            Ok(len) if len > room => Some(Err(ReceiveError::TooLong)),
            Ok(len) => Some(Ok(len)),
            Err(Errno::EAGAIN | Errno::EINTR) => {
                self.want(PollFlags::POLLIN);
                None
            }
            Err(Errno::EBADFD | Errno::ENODEV | Errno::EFAULT) => Some(Err(ReceiveError::Gone)),
            Err(_) => Some(Err(ReceiveError::Damaged)),
        }
    }

    fn watch(&self, watchers: Watchers) -> bool {
        *self.watchers.lock() = Some(watchers);
        true
    }
}
