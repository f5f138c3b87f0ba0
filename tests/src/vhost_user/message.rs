//! Messages of the vhost-user protocol ("Vhost-user Protocol" in QEMU's documentation): a header of three words, a payload, and
//! file descriptors beside it.

use std::fs::File;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, ensure};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Bytes of a header, and of the longest payload: a table of eight memory regions.
const HEADER: usize = 12;
const LONGEST: usize = 8 + REGIONS * REGION;
/// Memory regions in a table at most, which is the most files of a message, and the bytes of each.
const REGIONS: usize = 8;
pub(super) const REGION: usize = 32;
/// In a header's flags: version 1, this is a reply.
const VERSION: u32 = 1;
const REPLY: u32 = 4;

/// Requests that the back end acts on, by their numbers.
pub(super) mod request {
    pub(crate) const GET_FEATURES: u32 = 1;
    pub(crate) const SET_FEATURES: u32 = 2;
    pub(crate) const SET_MEM_TABLE: u32 = 5;
    pub(crate) const SET_VRING_NUM: u32 = 8;
    pub(crate) const SET_VRING_ADDR: u32 = 9;
    pub(crate) const GET_VRING_BASE: u32 = 11;
    pub(crate) const SET_VRING_KICK: u32 = 12;
    pub(crate) const GET_PROTOCOL_FEATURES: u32 = 15;
}

/// A request.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) request: u32,
    pub(super) files: Vec<File>,
    payload: Vec<u8>,
}

impl Message {
    /// Waits for the next request; none when the other side has hung up.
    pub(super) fn receive(stream: &mut UnixStream) -> Result<Option<Self>> {
        let mut header = [0; HEADER];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(REGIONS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut header)];
        let received = recvmsg(&*stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let files = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        });
        let files = files.flatten().map(File::from).collect();
        if received.bytes == 0 {
            return Ok(None);
        }
        stream.read_exact(header.get_mut(received.bytes..).unwrap_or_default())?;
        let (request, length) = (word(&header, 0)?, word(&header, 8)? as usize);
        ensure!(length <= LONGEST, "request {request} with {length} bytes");
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        Ok(Some(Self { request, files, payload }))
    }

    /// Answers with `payload`.
    pub(super) fn reply(&self, stream: &mut UnixStream, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())?;
        let mut bytes: Vec<u8> =
            [self.request, VERSION | REPLY, length].iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.extend(payload);
        Ok(stream.write_all(&bytes)?)
    }

    /// The 32-bit number at this place of the payload.
    pub(super) fn word(&self, at: usize) -> Result<u32> {
        word(&self.payload, at).with_context(|| format!("request {}", self.request))
    }

    /// The 64-bit number at this place of the payload.
    pub(super) fn long(&self, at: usize) -> Result<u64> {
        Ok(u64::from(self.word(at)?) | u64::from(self.word(at + 4)?) << 32)
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    Ok(u32::from_le_bytes(*word.with_context(|| format!("{} bytes are too few", bytes.len()))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(stream: &mut UnixStream, words: &[u32]) {
        stream.write_all(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    }

    #[test]
    fn a_request_is_received_and_answered() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        send(&mut theirs, &[11, 1, 8, 0x11, 0x22]);
        let message = Message::receive(&mut ours).unwrap().unwrap();
        assert_eq!((message.request, message.long(0).unwrap()), (11, 0x22_0000_0011));
        message.word(8).unwrap_err();
        message.reply(&mut ours, &[9; 4]).unwrap();
        let mut answer = [0; 16];
        theirs.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [11, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 9, 9, 9, 9]);
        drop(theirs);
        assert!(Message::receive(&mut ours).unwrap().is_none());
    }

    #[test]
    fn a_long_payload_and_a_cut_one_are_errors() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        send(&mut theirs, &[5, 1, 4096]);
        Message::receive(&mut ours).unwrap_err();
        send(&mut theirs, &[5, 1, 8, 0]);
        drop(theirs);
        Message::receive(&mut ours).unwrap_err();
    }
}
