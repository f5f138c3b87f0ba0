//! The far end of one card: a pair of unix datagram sockets, one frame a datagram.
//!
//! QEMU's `dgram` netdev has two habits to know. Frames that it sends to a socket that is not bound vanish,
//! so ours is bound before QEMU starts. An empty datagram ends its reception for good, so none is ever sent.
//! It takes a frame from its socket only when the guest has room for it: what does not fit stays in the
//! socket, and then the socket refuses more. Nothing is lost between a wire and its card.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::options::option_value;
use crate::scratch::Scratch;

/// Longer than any frame that a test sends; a jumbo frame fits.
pub const LONGEST_FRAME: usize = 10240;
/// How long nothing at all may happen on a wire that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The test's end of a card.
#[derive(Debug)]
pub struct Wire {
    socket: UnixDatagram,
    folder: Scratch,
}

impl Wire {
    /// Binds this end. Plug the other into a card with [`Qemu::wire`](crate::Qemu::wire).
    pub fn new() -> Result<Self> {
        let folder = Scratch::new()?;
        let socket = UnixDatagram::bind(folder.path().join("host")).context("cannot bind a wire's socket")?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, folder })
    }

    /// Connects to QEMU's end, which exists once QEMU runs.
    pub fn connect(&self) -> Result<()> {
        let peer = self.card_path();
        self.socket.connect(&peer).with_context(|| format!("no card is listening at {}", peer.display()))
    }

    /// Frees the path of QEMU's end for another QEMU. Until [`connect`](Self::connect) is called again, frames go to the
    /// one that has it now.
    pub fn free_card_path(&self) -> Result<()> {
        let path = self.card_path();
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// The properties of QEMU's `dgram` netdev for the card.
    pub fn backend(&self) -> String {
        format!(
            "local.type=unix,local.path={},remote.type=unix,remote.path={}",
            option_value(&self.card_path()),
            option_value(&self.host_path())
        )
    }

    /// Offers a frame to the card: false if it is not taken now.
    pub fn try_send(&self, frame: &[u8]) -> Result<bool> {
        ensure!(!frame.is_empty(), "an empty datagram would stop the card's reception");
        match self.socket.send(frame) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("cannot send to the card"),
        }
    }

    /// A frame from the card, if there is one now.
    pub fn try_receive(&self) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LONGEST_FRAME];
        match self.socket.recv(&mut frame) {
            Ok(length) => {
                frame.truncate(length);
                Ok(Some(frame))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error).context("cannot receive from the card"),
        }
    }

    /// Waits until a frame has come or can be sent, or until `limit` has passed.
    pub fn wait(&self, limit: Option<Duration>, interest: Interest) -> Result<()> {
        wait_any(&[(self, interest)], limit).map(drop)
    }

    /// Where this end is bound.
    pub(crate) fn host_path(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Where QEMU binds the card's end.
    pub(crate) fn card_path(&self) -> PathBuf {
        self.folder.path().join("card")
    }
}

/// What a wire is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// A frame from the card.
    Receive,
    /// Room for a frame to the card.
    Send,
}

/// Waits until one of `wires` has what it is waited for; false when `limit` has passed without.
pub fn wait_any(wires: &[(&Wire, Interest)], limit: Option<Duration>) -> Result<bool> {
    let watched = wires.iter().map(|(wire, interest)| {
        let flags = match interest {
            Interest::Receive => PollFlags::POLLIN,
            Interest::Send => PollFlags::POLLOUT,
        };
        PollFd::new(wire.socket.as_fd(), flags)
    });
    let mut watched: Vec<PollFd<'_>> = watched.collect();
    let timeout = match limit {
        // Rounded up, so that a wait for less than a millisecond does not spin.
        Some(limit) => PollTimeout::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX),
        None => PollTimeout::NONE,
    };
    Ok(poll(&mut watched, timeout).context("cannot wait for a wire")? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wire_and_card;

    #[test]
    fn frames_pass_one_a_datagram() {
        let (wire, card) = wire_and_card();
        assert!(wire.try_send(&[1; 60]).unwrap());
        assert!(wire.try_send(&[2; 1514]).unwrap());
        let mut buffer = [0; LONGEST_FRAME];
        assert_eq!(card.recv(&mut buffer).unwrap(), 60);
        assert_eq!(card.recv(&mut buffer).unwrap(), 1514);
        card.send(&[3; 99]).unwrap();
        assert_eq!(wire.try_receive().unwrap().unwrap(), [3; 99]);
        assert_eq!(wire.try_receive().unwrap(), None);
    }

    #[test]
    fn a_full_card_refuses() {
        let (wire, _card) = wire_and_card();
        let taken = (0..100_000).take_while(|_| wire.try_send(&[0; 60]).unwrap()).count();
        assert!((1..100_000).contains(&taken));
        assert!(!wait_any(&[(&wire, Interest::Send)], Some(Duration::from_millis(1))).unwrap());
    }

    #[test]
    fn an_empty_frame_is_never_sent() {
        let (wire, _card) = wire_and_card();
        assert!(wire.try_send(&[]).is_err());
    }
}
