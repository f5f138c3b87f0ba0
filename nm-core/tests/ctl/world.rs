//! Interfaces of every kind, and what the tests do with a descriptor.

use std::sync::{Arc, Mutex};

use nm_core::abi::{RingHeader, SLOTS_OFFSET, Slot};
use nm_core::ctl::{Descriptor, RegisterError, Registration};
use nm_core::errno::{self, Errno};
use nm_core::host::{HostRings, HostStack, StackRefused};
use nm_core::mem::Region;
use nm_core::raw::{RawOptions, RawPort};
use nm_core::testing::{CardSpec, Order, Wire, card};
use nm_core::{Attachment, Netmap};

use crate::common::{assert_all_home, netmap};

/// A request for an interface, as programs know it: SIOCGIFADDR of FreeBSD.
pub const GIFADDR: u32 = 0xc020_6921;
/// A request that the stack of these tests answers with an error of its own.
pub const REFUSED: u32 = 0x8020_6999;
/// What it answers.
pub const EPERM: i32 = 1;

/// A stack that answers [`GIFADDR`], and notes what it was asked.
#[derive(Default)]
pub struct Answers {
    pub asked: Mutex<Vec<(String, u32, Vec<u8>)>>,
    /// Asked for its interfaces during each request, if there is one: nothing is locked then.
    pub netmap: Mutex<Option<Netmap>>,
}

impl HostStack for Answers {
    fn deliver(&self, _interface: &str, _frame: &[u8]) -> Result<(), StackRefused> {
        Ok(())
    }

    fn ioctl(&self, interface: &str, code: u32, argument: &mut [u8]) -> Result<(), Errno> {
        self.asked.lock().unwrap().push((interface.into(), code, argument.to_vec()));
        if let Some(netmap) = &*self.netmap.lock().unwrap() {
            assert!(netmap.interfaces().iter().any(|info| info.name == interface));
        }
        match code {
            GIFADDR => {
                argument.iter_mut().skip(16).zip([192, 0, 2, 1]).for_each(|(to, from)| *to = from);
                Ok(())
            }
            REFUSED => Err(Errno(EPERM)),
            _ => Err(Errno(errno::EOPNOTSUPP)),
        }
    }
}

/// A stack that answers nothing.
struct Mute;

impl HostStack for Mute {
    fn deliver(&self, _interface: &str, _frame: &[u8]) -> Result<(), StackRefused> {
        Ok(())
    }
}

/// Interfaces of every kind: `em0` with a stack that answers, `em1` with one that does not, `em2` without a stack,
/// `em3` with memory of its own.
pub struct World {
    pub netmap: Netmap,
    pub wires: Vec<Wire>,
    pub stack: Arc<Answers>,
    pub private: Arc<Region>,
}

/// The interfaces, with cards of `slots` slots, and `buf_num` buffers in the shared region.
pub fn world(slots: u16, buf_num: u32) -> World {
    let (_, netmap) = netmap(buf_num);
    let sizes = netmap.tunables().private.enlarged_for(2, slots.into(), 8);
    let private = netmap.regions().create("em3", sizes).unwrap();
    let stack = Arc::new(Answers::default());
    let (nics, wires): (Vec<_>, Vec<_>) =
        (0..4).map(|number| card(CardSpec::new(number, slots, Order::Posted))).unzip();
    let Ok([first, second, third, fourth]) = <[_; 4]>::try_from(nics) else { panic!("there are four") };
    let rings = HostRings { tx: 1, rx: 2, slots: 8 };
    netmap.attach_as("em0", Attachment::rings(first).with_stack(stack.clone(), rings)).unwrap();
    netmap.attach_as("em1", Attachment::rings(second).with_stack(Arc::new(Mute), rings)).unwrap();
    netmap.attach("em2", third).unwrap();
    netmap.attach_as("em3", Attachment::rings(fourth).in_region(&private)).unwrap();
    World { netmap, wires, stack, private }
}

impl World {
    pub fn assert_all_home(&self) {
        assert_all_home(&self.netmap, &self.wires.iter().collect::<Vec<_>>());
        let report = self.private.report();
        assert_eq!((report.free, report.held, report.lost()), (report.total, 0, 0), "{report}");
        let usage = [self.netmap.region(), &self.private].map(|region| region.info().usage);
        assert!(usage.iter().all(|usage| !usage.is_used()), "{usage:?}");
    }
}

pub fn register(to: &mut Descriptor, name: &str) -> Result<Registration, RegisterError> {
    to.register(name, RawOptions::default())
}

pub fn bound(world: &World, name: &str) -> Descriptor {
    let mut descriptor = world.netmap.descriptor();
    register(&mut descriptor, name).unwrap();
    descriptor
}

/// Text and number of an error, to be compared at once.
macro_rules! told {
    ($result:expr) => {{
        let error = $result.unwrap_err();
        (error.to_string(), error.errno())
    }};
}

/// The headers of the first rings.
pub fn read(port: &RawPort) -> (RingHeader, RingHeader) {
    // SAFETY: the port is open.
    unsafe { (port.tx_ring(0).unwrap().read_volatile(), port.rx_ring(0).unwrap().read_volatile()) }
}

/// Gives the next transmit slot to the card, with whatever bytes are in its buffer.
pub fn submit(port: &RawPort, len: u16) {
    let ring = port.tx_ring(0).unwrap();
    // SAFETY: the port is open, and the slot at `head` is the application's.
    unsafe {
        let header = ring.read_volatile();
        let slot = ring.cast::<u8>().add(SLOTS_OFFSET).cast::<Slot>().add(header.head as usize);
        (&raw mut (*slot.as_ptr()).len).write_volatile(len);
        let next = (header.head + 1) % header.num_slots;
        (&raw mut (*ring.as_ptr()).head).write_volatile(next);
        (&raw mut (*ring.as_ptr()).cur).write_volatile(next);
    }
}
pub(crate) use told;
