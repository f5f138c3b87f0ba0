//! A TAP interface of Linux as a device that passes frames one by one.
#![expect(unsafe_code, reason = "two ioctls, which name the interface and ask for its address")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::{readv, writev};
use nm_core::generic::{FrameDevice, ReceiveError, TransmitError};
use nm_core::nic::Link;

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

/// The program's end of a TAP interface: what is written here, the host receives, and the reverse.
#[derive(Debug)]
pub struct Tap {
    file: File,
    mac: [u8; 6],
}

impl Tap {
    /// Opens the TAP interface `name`, making it if there is none, which takes the right to administrate networks.
    pub fn open(name: &str) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        let mut request = request(name)?;
        // Frames as they are on a wire: no packet information in front, no header for offloads.
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the file is open, and the request is one that names an interface and holds its flags.
        unsafe { tun_set_iff(file.as_raw_fd(), &request)? };
        // SAFETY: as above; the call writes an address into the request.
        unsafe { hardware_address(file.as_raw_fd(), &mut request)? };
        // SAFETY: the call has just written this member.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
        let [a, b, c, d, e, f, ..] = address.map(|byte| byte as u8);
        Ok(Self { file, mac: [a, b, c, d, e, f] })
    }
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
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM) => Err(TransmitError::NoRoom),
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
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(Errno::EBADFD | Errno::ENODEV | Errno::EFAULT) => Some(Err(ReceiveError::Gone)),
            Err(_) => Some(Err(ReceiveError::Damaged)),
        }
    }
}
