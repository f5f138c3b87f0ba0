//! The card on PCI: which functions are ours, where their registers are, and what is written to which.

use std::sync::Arc;

use millrace_drivers::e1000::{Attachment, E1000, MapError, Model, Offset, StartError};
use millrace_drivers::hal::{Hal, Handler};
use millrace_drivers::pci::{Address, BarError, Claim, Command, ConfigSpace, Function};
use millrace_drivers::registers::{IoRegion, RegisterError};
use millrace_drivers::testing::{FakeFunction, FakeMachine, FakePci, RegisterModel};
use millrace_drivers::{Card, Options, ProbeError, probe};
use nm_driver::nic::{Armed, Nic};

use crate::rings::queues_of;

const BAR: u64 = 0xfeb0_0000;
const BAR_BYTES: usize = 0x2_0000;
/// Where the interrupt table is, on cards that have one.
const TABLE: u64 = 0xfea0_0000;

fn card(device: u16) -> FakeFunction {
    let mut function = FakeFunction::endpoint(0x8086, device);
    function.set_memory_bar(0, BAR, BAR_BYTES as u64, false);
    function
}

/// A machine with that function, and registers that keep what is written to them but for the reset bit.
struct Slot {
    machine: Arc<FakeMachine>,
    hal: Arc<dyn Hal>,
    pci: Arc<FakePci>,
    config: Arc<dyn ConfigSpace>,
}

impl Slot {
    fn with(function: FakeFunction) -> Self {
        let machine = FakeMachine::new();
        let mut registers = vec![0; BAR_BYTES];
        registers[0x5400..0x5408].copy_from_slice(&[0x52, 0x54, 0, 1, 2, 3, 0, 0x80]);
        machine.add_registers(BAR, &registers);
        let pci = Arc::new(FakePci::default());
        pci.insert(address(), function);
        Self { hal: machine.clone(), machine, config: pci.clone(), pci }
    }

    fn function(&self) -> Function {
        Function::read(self.config.as_ref(), address()).unwrap()
    }

    /// From now on a reset ends.
    fn end_resets(&self) {
        let registers = self.hal.map(BAR, BAR_BYTES).unwrap();
        self.machine.add_model(BAR, Arc::new(Ending(registers)));
    }

    fn attachment(&self) -> Result<Attachment, MapError> {
        Attachment::on_pci(
            self.hal.as_ref(),
            Claim::new(self.hal.as_ref(), &self.config, &self.function()).unwrap(),
        )
    }

    fn probe(&self) -> Option<Result<Card, ProbeError>> {
        probe(&self.hal, &self.config, &self.function(), Options::default())
    }

    fn command(&self) -> Command {
        Command::from_bits_retain(self.pci.function(address()).unwrap().get(4) as u16)
    }
}

fn address() -> Address {
    Address::new(0, 4, 0).unwrap()
}

/// Registers whose reset ends: the bit never shows.
#[derive(Debug)]
struct Ending(Arc<dyn IoRegion>);

impl RegisterModel for Ending {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        let reset = u32::from(offset == Offset::Ctrl as usize) << 26;
        self.0.read(offset, width) & !reset
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        self.0.write(offset, width, value);
    }
}

#[test]
fn registers_lie_in_the_first_bar_each_at_its_offset() {
    let slot = Slot::with(card(0x100e));
    let card = slot.attachment().unwrap();
    assert_eq!(slot.command(), Command::MEMORY | Command::BUS_MASTER | Command::INTERRUPT_DISABLE);
    // Offsets as the manual has them, table 13-2.
    for (offset, at) in [
        (Offset::Ctrl, 0x0000),
        (Offset::Status, 0x0008),
        (Offset::Eerd, 0x0014),
        (Offset::Ims, 0x00d0),
        (Offset::Imc, 0x00d8),
        (Offset::Eiac, 0x00dc),
        (Offset::Ivar, 0x00e4),
        (Offset::Rctl, 0x0100),
        (Offset::Tctl, 0x0400),
        (Offset::Tipg, 0x0410),
        (Offset::Rdbal, 0x2800),
        (Offset::Rdbah, 0x2804),
        (Offset::Rdlen, 0x2808),
        (Offset::Rdh, 0x2810),
        (Offset::Rdt, 0x2818),
        (Offset::Tdbal, 0x3800),
        (Offset::Tdbah, 0x3804),
        (Offset::Tdlen, 0x3808),
        (Offset::Tdh, 0x3810),
        (Offset::Tdt, 0x3818),
        (Offset::Txdctl, 0x3828),
        (Offset::Rxcsum, 0x5000),
        (Offset::Rfctl, 0x5008),
        (Offset::Ral0, 0x5400),
        (Offset::Rah0, 0x5404),
    ] {
        let value = 0x1234_0000 + at as u32;
        card.write(offset, value);
        assert_eq!(slot.machine.registers(BAR)[at..at + 4], value.to_le_bytes(), "{offset:?}");
        assert_eq!(card.read(offset), value);
    }
}

#[test]
fn our_cards_are_recognised() {
    for device in [0x100e, 0x1008, 0x100c, 0x100f, 0x10d3] {
        let slot = Slot::with(card(device));
        // Registers that keep what is written never end a reset.
        let Some(Err(error)) = slot.probe() else { panic!("{device:#x} is ours") };
        assert!(matches!(error, ProbeError::Start(StartError::NoReset(_))), "{error}");
        assert!(error.to_string().contains("does not confirm a reset"));
    }
    for device in [0x100d, 0x10d4, 0x1209] {
        let slot = Slot::with(card(device));
        assert!(slot.probe().is_none());
        assert_eq!(slot.pci.writes(), [], "a foreign card is not touched");
    }
}

#[test]
fn what_is_wrong_with_the_registers_is_said() {
    let refusal = |change: fn(&mut FakeFunction)| {
        let mut function = card(0x10d3);
        change(&mut function);
        Slot::with(function).attachment().map(|_| ()).unwrap_err()
    };
    assert_eq!(
        refusal(|function| function.set_memory_bar(0, 0, 0x20000, false)),
        MapError::Bar(BarError::Unassigned)
    );
    let none = refusal(|function| {
        function.set(0x10, 0);
        function.set_writable(0x10, 0);
    });
    assert_eq!(none, MapError::Bar(BarError::Absent));
    let ports = refusal(|function| {
        function.set(0x10, 0xc001);
        function.set_writable(0x10, 0xffc0);
    });
    assert_eq!(ports, MapError::Bar(BarError::IoPorts));
    assert_eq!(ports.to_string(), "the registers lie in BAR 0: it is an I/O BAR, not a memory BAR");
    assert_eq!(
        refusal(|function| function.set_memory_bar(0, BAR, 0x4000, false)),
        MapError::TooShort { bytes: 0x4000 }
    );
    assert_eq!(
        refusal(|function| function.set_memory_bar(0, 0xfd00_0000, 0x20000, false)),
        MapError::Register(RegisterError::Unmappable { phys: 0xfd00_0000, bytes: 0x5408 })
    );
}

#[test]
fn cutting_off_takes_bus_mastering_away() {
    let slot = Slot::with(card(0x100e));
    assert!(slot.attachment().unwrap().cut_off());
    assert_eq!(slot.command(), Command::MEMORY | Command::INTERRUPT_DISABLE);

    let slot = Slot::with(card(0x100e));
    let mut card = slot.attachment().unwrap();
    let mut stubborn = slot.pci.function(address()).unwrap();
    stubborn.set_writable(0x04, 0);
    slot.pci.insert(address(), stubborn);
    assert!(!card.cut_off());
}

#[test]
fn a_card_on_pci_is_told_where_its_rings_are() {
    let slot = Slot::with(card(0x100e));
    slot.end_resets();
    let card = slot.attachment().unwrap();
    let mut card = E1000::new(card, Model::I82540em, slot.machine.clone(), [2; 6]).unwrap();
    assert_eq!(card.info().mac, [0x52, 0x54, 0, 1, 2, 3]);
    queues_of(&mut card).unwrap();
    let word = |at: usize| u32::from_le_bytes(slot.machine.registers(BAR)[at..at + 4].try_into().unwrap());
    for ring in [0x2800, 0x3800] {
        let base = u64::from(word(ring + 4)) << 32 | u64::from(word(ring));
        assert_ne!(word(ring + 4), 0, "all 64 bits of an address are used");
        assert_eq!(word(ring + 8), 520 * 16);
        assert!(slot.machine.has(base, 520 * 16));
    }
}

#[test]
fn each_queue_of_a_card_with_messages_has_its_own() {
    // Lines that there are, and what IVAR says then: queues share a message where there is one only.
    for (lines, ivar) in [(0, 0), (1, 0x808), (5, 0x908)] {
        let mut function = card(0x10d3);
        function.set_memory_bar(3, TABLE, 0x4000, false);
        function.push_capability(0xa0, 0x11, &[4, 0, 3, 0, 0, 0]);
        function.set_writable(0xa0, 0xc000_0000);
        let slot = Slot::with(function);
        slot.machine.add_registers(TABLE, &[0xff; 0x4000]);
        slot.machine.set_lines(lines);
        slot.end_resets();
        let mut card = slot.attachment().unwrap();
        card.connect((0..2).map(|_| -> Handler { Box::new(|| ()) }).collect());
        let mut card = E1000::new(card, Model::I82574l, slot.machine.clone(), [2; 6]).unwrap();
        let mut queues = queues_of(&mut card).unwrap();
        let word =
            |at: usize| u32::from_le_bytes(slot.machine.registers(BAR)[at..at + 4].try_into().unwrap());
        assert_eq!(word(0xe4), ivar);
        if lines == 0 {
            assert_eq!((queues.rx[0].arm(), queues.tx[0].arm(1)), (Armed::Never, Armed::Never));
            continue;
        }
        assert_eq!(word(0xdc), 1 << 20 | 1 << 22, "forgotten when the message was sent");
        assert_eq!((queues.rx[0].arm(), word(0xd0)), (Armed::Yes, 1 << 20));
        assert_eq!((queues.tx[0].arm(1), word(0xd0)), (Armed::Yes, 1 << 22));
    }
}
