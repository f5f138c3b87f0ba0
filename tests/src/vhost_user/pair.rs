//! Two ports, and the frames that go in at the left card and come out at the right one.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::port::{Port, Queues};
use super::ring::{read_to, write};
use crate::link::Link;
use crate::pattern::Pattern;
use crate::scratch::Scratch;

/// Bytes of virtio's header in front of a frame (virtio 1.2, section 5.1.6), and the header of a frame without offloads: all zero
/// but the number of buffers that it occupies.
const HEADER: usize = 12;
const PLAIN: [u8; HEADER] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
/// Frames that are taken from the guest before it gets their buffers back.
const BURST: u64 = 64;

/// Two ports that wait for QEMU's cards. The folder goes last: the sockets are in it.
#[derive(Debug)]
pub struct Ports {
    left: Port,
    right: Port,
    _folder: Scratch,
}

impl Ports {
    /// Listens for both cards.
    pub fn listen() -> Result<Self> {
        let folder = Scratch::new()?;
        let port = |name| Port::listen(&folder.path().join(name));
        Ok(Self { left: port("left")?, right: port("right")?, _folder: folder })
    }

    /// The sockets for the two cards.
    pub fn sockets(&self) -> [&Path; 2] {
        [self.left.path(), self.right.path()]
    }

    /// Waits until the image has set up its cards. Frames then go from left to right.
    pub fn connect(&self, pattern: Pattern) -> Result<Traffic> {
        let (left, right) = (self.left.queues()?, self.right.queues()?);
        Ok(Traffic { left, right, pattern, frame: Vec::new(), sent: 0, received: 0 })
    }
}

/// Frames from left to right.
#[derive(Debug)]
pub struct Traffic {
    left: Queues,
    right: Queues,
    pattern: Pattern,
    /// The frame that is sent or received, behind its header.
    frame: Vec<u8>,
    sent: u64,
    received: u64,
}

impl Link for Traffic {
    fn send(&mut self, count: u64) -> Result<u64> {
        let Queues { memory, to_guest, .. } = &mut self.left;
        let mut sent = 0;
        while sent < count
            && let Some(buffer) = to_guest.take()?
        {
            self.pattern.write(self.sent, &mut self.frame);
            let length = HEADER + self.frame.len();
            ensure!(buffer.length as usize >= length, "a buffer of {} bytes", buffer.length);
            write(memory, buffer.address, &PLAIN)?;
            write(memory, buffer.address + HEADER as u64, &self.frame)?;
            to_guest.put(buffer, u32::try_from(length).context("a long frame")?)?;
            self.sent += 1;
            sent += 1;
        }
        if sent > 0 {
            to_guest.publish()?;
        }
        Ok(sent)
    }

    fn receive(&mut self) -> Result<u64> {
        let Queues { memory, from_guest, .. } = &mut self.right;
        let mut received = 0;
        while received < BURST
            && let Some(buffer) = from_guest.take()?
        {
            let length = (buffer.length as usize).checked_sub(HEADER).context("no header")?;
            self.frame.resize(length, 0);
            read_to(memory, buffer.address + HEADER as u64, &mut self.frame)?;
            self.pattern.check(self.received, &self.frame)?;
            from_guest.put(buffer, 0)?;
            self.received += 1;
            received += 1;
        }
        if received > 0 {
            from_guest.publish()?;
        }
        Ok(received)
    }
}
