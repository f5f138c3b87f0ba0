//! One port: it speaks vhost-user with QEMU until both queues of a card run.

use std::fs::File;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

use super::message::{Message, REGION, request};
use super::packed::Packed;
use super::ring::{DeviceRing, Direction, Place};
use super::split::Split;
use crate::guest::PATIENCE;

/// Features that the port has (virtio 1.2, section 6), and that it knows about features of the protocol, of which it has none.
const RING_EVENT_IDX: u64 = 1 << 29;
const PROTOCOL_FEATURES: u64 = 1 << 30;
const VERSION_1: u64 = 1 << 32;
const RING_PACKED: u64 = 1 << 34;
const FEATURES: u64 = RING_EVENT_IDX | PROTOCOL_FEATURES | VERSION_1 | RING_PACKED;
/// Queues of a card: the one that it receives by, and the one that it transmits by.
const QUEUES: usize = 2;

/// A port at a socket, where it waits for QEMU.
#[derive(Debug)]
pub(super) struct Port {
    path: PathBuf,
    state: Arc<State>,
}

/// The queues of a card, as the device sees them.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) memory: GuestMemoryMmap,
    pub(super) to_guest: Box<dyn DeviceRing>,
    pub(super) from_guest: Box<dyn DeviceRing>,
}

/// What QEMU has said.
#[derive(Debug, Default)]
struct State {
    known: Mutex<Known>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Known {
    features: u64,
    memory: GuestMemoryMmap,
    regions: Vec<Region>,
    queues: [Queue; QUEUES],
    /// Why there will be no queues.
    error: Option<String>,
}

/// Guest memory: its place in the guest, and in QEMU's address space.
#[derive(Debug, Clone, Copy)]
struct Region {
    guest: u64,
    qemu: u64,
    size: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    size: u16,
    place: Option<Place>,
    is_started: bool,
}

impl Port {
    /// Listens at `path`, which QEMU is to be given.
    pub(super) fn listen(path: &Path) -> Result<Self> {
        let listener =
            UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        // Ends with the connection; without one, with this process.
        thread::Builder::new().name("vhost-user".to_owned()).spawn(move || served.serve(&listener))?;
        Ok(Self { path: path.to_owned(), state })
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until the driver has started both queues, and takes them over.
    pub(super) fn queues(&self) -> Result<Queues> {
        let is_early =
            |known: &mut Known| known.error.is_none() && !known.queues.iter().all(|queue| queue.is_started);
        let waited = self.state.changed.wait_timeout_while(self.state.lock(), PATIENCE, is_early);
        let (known, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &known.error {
            bail!("vhost-user at {}: {error}", self.path.display());
        }
        ensure!(!timeout.timed_out(), "no driver has started the queues at {}", self.path.display());
        let ring = |queue: Queue, direction| -> Result<Box<dyn DeviceRing>> {
            let (memory, place) = (known.memory.clone(), queue.place.context("the queue has no address")?);
            Ok(match known.features & RING_PACKED {
                0 => Box::new(Split::new(memory, place, direction)?),
                _ => Box::new(Packed::new(memory, place, direction)?),
            })
        };
        let [receive, transmit] = known.queues;
        let (to_guest, from_guest) =
            (ring(receive, Direction::ToGuest)?, ring(transmit, Direction::FromGuest)?);
        Ok(Queues { memory: known.memory.clone(), to_guest, from_guest })
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one connection.
    fn serve(&self, listener: &UnixListener) {
        let served = listener.accept().map_err(Into::into).and_then(|(stream, _)| self.converse(stream));
        let error = served.err().map_or_else(|| "QEMU has hung up".to_owned(), |error| format!("{error:#}"));
        self.lock().error = Some(error);
        self.changed.notify_all();
    }

    fn converse(&self, mut stream: UnixStream) -> Result<()> {
        while let Some(message) = Message::receive(&mut stream)? {
            let number = message.request;
            if let Some(answer) = self.lock().answer(&message).with_context(|| format!("request {number}"))? {
                message.reply(&mut stream, &answer)?;
            }
            self.changed.notify_all();
        }
        Ok(())
    }
}

impl Known {
    /// Takes note of a request. Returns the payload of the answer, where there is to be one. Other requests need none: notifications
    /// and interrupts are not used, and queues are worked on from their start, whether enabled or not.
    fn answer(&mut self, message: &Message) -> Result<Option<Vec<u8>>> {
        match message.request {
            request::GET_FEATURES => return Ok(Some(FEATURES.to_le_bytes().to_vec())),
            request::GET_PROTOCOL_FEATURES => return Ok(Some(0_u64.to_le_bytes().to_vec())),
            request::SET_FEATURES => self.features = message.long(0)?,
            request::SET_MEM_TABLE => self.map(message)?,
            request::SET_VRING_NUM => self.queue(message)?.size = u16::try_from(message.word(4)?)?,
            request::SET_VRING_ADDR => self.place(message)?,
            request::SET_VRING_KICK => self.queue(message)?.is_started = true,
            request::GET_VRING_BASE => {
                *self.queue(message)? = Queue::default();
                // The queue and where it stopped, which no other back end will want to know.
                return Ok(Some([message.word(0)?, 0].iter().flat_map(|word| word.to_le_bytes()).collect()));
            }
            _ => {}
        }
        Ok(None)
    }

    /// The queue whose number is in the first byte.
    fn queue(&mut self, message: &Message) -> Result<&mut Queue> {
        let number = message.word(0)? as usize & 0xff;
        self.queues.get_mut(number).with_context(|| format!("there is no queue {number}"))
    }

    /// Maps the guest's memory.
    fn map(&mut self, message: &Message) -> Result<()> {
        self.regions.clear();
        let mut mapped = Vec::new();
        for (number, file) in message.files.iter().enumerate() {
            let at = |field: usize| message.long(8 + number * REGION + field * 8);
            let (guest, size, qemu, offset) = (at(0)?, at(1)?, at(2)?, at(3)?);
            self.regions.push(Region { guest, qemu, size });
            let file = FileOffset::new(File::try_clone(file)?, offset);
            mapped.push(GuestRegionMmap::from_range(
                GuestAddress(guest),
                usize::try_from(size)?,
                Some(file),
            )?);
        }
        self.memory = GuestMemoryMmap::from_regions(mapped)?;
        Ok(())
    }

    /// Notes where a queue is. QEMU names addresses of its own.
    fn place(&mut self, message: &Message) -> Result<()> {
        let guest = |at| -> Result<u64> {
            let address = message.long(at)?;
            let inside =
                |region: &Region| address.checked_sub(region.qemu).filter(|offset| *offset < region.size);
            let found = self.regions.iter().find_map(|region| Some(region.guest + inside(region)?));
            found.with_context(|| format!("no memory at QEMU's {address:#x}"))
        };
        let (descriptors, device, driver) = (guest(8)?, guest(16)?, guest(24)?);
        let queue = self.queue(message)?;
        queue.place = Some(Place { size: queue.size, descriptors, driver, device });
        Ok(())
    }
}
