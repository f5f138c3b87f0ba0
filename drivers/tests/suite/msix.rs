//! Interrupts by message: which entry says what, who shares, and that each reaches its own queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_drivers::hal::{Hal, Handler, Message};
use millrace_drivers::pci::{Address, ConfigSpace, Function, Msix};
use millrace_drivers::testing::{FakeFunction, FakeMachine, FakePci};

const BAR: u64 = 0xfd00_0000;
const BAR_BYTES: usize = 0x1000;
const TABLE: usize = 0x800;
/// Where the capability is.
const CAPABILITY: u8 = 0xa0;

/// A function with a table of `entries`, all masked, in BAR 1.
fn function(entries: u16) -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x1af4, 0x1041);
    function.set_memory_bar(1, BAR, BAR_BYTES as u64, false);
    let [low, high] = (entries - 1).to_le_bytes();
    let [a, b, c, d] = (TABLE as u32 | 1).to_le_bytes();
    // Masked as a whole, too.
    function.push_capability(CAPABILITY, 0x11, &[low, high | 0x40, a, b, c, d, 1, 0xc, 0, 0]);
    function.set_writable(CAPABILITY.into(), 0xc000_0000);
    function
}

/// A machine with that function and `lines` interrupt lines.
struct Slot {
    machine: Arc<FakeMachine>,
    pci: Arc<FakePci>,
}

impl Slot {
    fn with(function: FakeFunction, lines: usize) -> Self {
        let machine = FakeMachine::new();
        // Another function's registers are right behind.
        machine.add_registers(BAR, &[0xff; 2 * BAR_BYTES]);
        machine.set_lines(lines);
        let pci = Arc::new(FakePci::default());
        pci.insert(address(), function);
        Self { machine, pci }
    }

    fn find(&self, sources: u16) -> Option<Msix> {
        let config: Arc<dyn ConfigSpace> = self.pci.clone();
        let hal: Arc<dyn Hal> = self.machine.clone();
        let function = Function::read(config.as_ref(), address())?;
        Msix::find(hal.as_ref(), &config, &function, sources)
    }

    /// What an entry of the table says: its message, and the word that masks it.
    fn entry(&self, number: usize) -> (Message, u32) {
        let at = TABLE + 16 * number;
        let bytes: [u8; 16] = self.machine.registers(BAR)[at..at + 16].try_into().unwrap();
        let word = |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().unwrap());
        let address = u64::from(word(0)) | u64::from(word(4)) << 32;
        (Message { address, data: word(8) }, word(12))
    }

    fn control(&self) -> u32 {
        self.pci.function(address()).unwrap().get(CAPABILITY.into()) >> 16
    }
}

fn address() -> Address {
    Address::new(0, 3, 0).unwrap()
}

/// Handlers of so many sources, each with the count of its interrupts.
fn handlers(count: usize) -> (Vec<Handler>, Vec<Arc<AtomicU64>>) {
    let counts: Vec<Arc<AtomicU64>> = (0..count).map(|_| Arc::default()).collect();
    let handler = |count: &Arc<AtomicU64>| -> Handler {
        let count = count.clone();
        Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
    };
    (counts.iter().map(handler).collect(), counts)
}

fn counted(counts: &[Arc<AtomicU64>]) -> Vec<u64> {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

#[test]
fn each_source_has_an_entry_whose_message_reaches_it() {
    let slot = Slot::with(function(4), 10);
    let mut messages = slot.find(3).unwrap();
    assert_eq!((messages.entry(0), slot.control()), (None, 0x4003), "nothing is sent before it is handled");
    let (handlers, counts) = handlers(3);
    messages.connect(handlers);
    assert_eq!(slot.control(), 0x8003, "enabled, and not masked as a whole");
    for (source, expected) in [[1, 0, 0], [0, 1, 0], [0, 0, 1]].into_iter().enumerate() {
        let entry = messages.entry(source as u16).unwrap();
        let (message, control) = slot.entry(entry.into());
        assert_eq!(control, 0, "entry {entry} is not masked");
        let before = counted(&counts);
        assert!(slot.machine.send_message(message));
        let new: Vec<u64> = counted(&counts).iter().zip(before).map(|(now, before)| now - before).collect();
        assert_eq!(new, expected);
    }
    assert_eq!(slot.entry(3).1, !0, "an entry without source stays masked");
    assert_eq!(messages.entry(3), None, "a source without a handler has no entry");
    assert_eq!(slot.machine.free_lines(), 7);
}

#[test]
fn a_pair_of_sources_leads_to_the_processor_of_its_number() {
    let slot = Slot::with(function(8), 10);
    let mut messages = slot.find(6).unwrap();
    messages.connect(handlers(6).0);
    let addresses: Vec<_> = (0..6).map(|number| slot.entry(number).0.address).collect();
    let first = addresses[0];
    assert_eq!(addresses, [0, 0, 1, 1, 2, 2].map(|pair| first + 0x1000 * pair));
}

#[test]
fn sources_share_what_there_is() {
    for (entries, lines) in [(2, 10), (64, 2)] {
        let slot = Slot::with(function(entries), lines);
        let mut messages = slot.find(5).unwrap();
        let (handlers, counts) = handlers(5);
        messages.connect(handlers);
        let places: Vec<_> = (0..5).map(|source| messages.entry(source).unwrap()).collect();
        assert_eq!(places, [0, 1, 0, 1, 0]);
        assert!(slot.machine.send_message(slot.entry(0).0));
        assert_eq!(counted(&counts), [1, 0, 1, 0, 1], "no queue that shares is left out");
        assert!(slot.machine.send_message(slot.entry(1).0));
        assert_eq!(counted(&counts), [1; 5]);
    }
}

#[test]
fn without_table_or_lines_there_are_none() {
    assert!(Slot::with(function(4), 0).find(3).is_none(), "no line");
    assert!(Slot::with(FakeFunction::endpoint(0x1af4, 0x1041), 9).find(3).is_none(), "no capability");
    let refused = |change: &dyn Fn(&mut FakeFunction)| {
        let mut function = function(4);
        change(&mut function);
        let slot = Slot::with(function, 9);
        assert!(slot.find(3).is_none());
        assert_eq!((slot.machine.free_lines(), slot.control() & 0x8000), (9, 0), "and all lines are back");
    };
    let place = u16::from(CAPABILITY) + 4;
    refused(&|function| function.set(place, 3));
    refused(&|function| function.set(place, 0xfc8 | 1));
    refused(&|function| function.set_memory_bar(1, 0, 0x1000, false));
    refused(&|function| function.set_memory_bar(1, 0xfc00_0000, 0x1000, false));
}

#[test]
fn fewer_sources_than_lines_leave_lines_to_others() {
    let slot = Slot::with(function(8), 9);
    let mut messages = slot.find(6).unwrap();
    messages.connect(handlers(2).0);
    assert_eq!((messages.entry(0), messages.entry(1)), (Some(0), Some(1)));
    assert_eq!(slot.machine.free_lines(), 7);
}
