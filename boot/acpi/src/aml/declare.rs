//! Terms that give names (20.2.5.1, 20.2.5.2).

use super::code::Cursor;
use super::frame::Frame;
use super::name::{Name, Path};
use super::object::{Access, Bits, Method, Node, Object, Value};
use super::{AmlError, Host, Interpreter, Space};
use crate::address_space::{PCI_CONFIG, SYSTEM_IO, SYSTEM_MEMORY};

impl<H: Host> Interpreter<H> {
    /// Follows the term if it is one that gives a name; else `false`, and the cursor stays.
    pub(super) fn declare(&mut self, frame: &Frame, code: &mut Cursor) -> Result<bool, AmlError> {
        let start = *code;
        let operation = self.code.byte(code)?;
        match operation {
            0x06 => self.alias(frame, code)?,
            0x08 => self.name(frame, code)?,
            0x10 => self.scope(frame, code)?,
            0x14 => self.method(frame, code)?,
            0x15 => self.external(code)?,
            0x8a..=0x8d | 0x8f => self.buffer_field(frame, code, operation)?,
            0x5b => match self.code.byte(code)? {
                0x01 => {
                    self.lock(frame, code)?;
                    self.code.byte(code)?;
                }
                0x02 => self.lock(frame, code)?,
                0x13 => self.wide_buffer_field(frame, code)?,
                0x80 => self.region(frame, code)?,
                0x81 => self.fields(frame, code)?,
                0x82 | 0x85 => self.device(frame, code, 0)?,
                0x83 => self.device(frame, code, 6)?,
                0x84 => self.device(frame, code, 3)?,
                0x86 => self.index_fields(frame, code)?,
                // Bank fields: names that nothing stands for.
                0x87 => self.code.package(code).map(|_| ())?,
                _ => {
                    *code = start;
                    return Ok(false);
                }
            },
            _ => {
                *code = start;
                return Ok(false);
            }
        }
        self.step()?;
        Ok(true)
    }

    fn read_name(&self, code: &mut Cursor) -> Result<Name, AmlError> {
        Name::read(&self.code, code)
    }

    /// What the next name stands for.
    fn read_node(&self, frame: &Frame, code: &mut Cursor) -> Result<Node, AmlError> {
        let name = self.read_name(code)?;
        self.names.find(&frame.scope, &name).ok_or(AmlError::NoSuchName(name.last()))
    }

    /// Has a path stand for an object; one that a method declares goes with it.
    fn put(&mut self, frame: &Frame, path: Path, object: Object) -> Result<(), AmlError> {
        self.arena.charge(path.bytes() + size_of::<Object>())?;
        if frame.is_in_method() {
            self.arena.charge(path.bytes())?;
            self.declared.push(path.clone());
        }
        self.names.declare(path, object);
        Ok(())
    }

    fn put_name(&mut self, frame: &Frame, name: &Name, object: Object) -> Result<(), AmlError> {
        self.put(frame, name.declared_in(&frame.scope)?, object)
    }

    fn alias(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let node = self.read_node(frame, code)?;
        let path = self.read_name(code)?.declared_in(&frame.scope)?;
        self.arena.charge(path.bytes())?;
        self.names.alias(path, node);
        Ok(())
    }

    fn name(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let name = self.read_name(code)?;
        let value = self.value(&frame.deeper()?, code)?;
        self.put_name(frame, &name, Object::Value(value))
    }

    /// A scope that is there already. What is in it and cannot be followed is left out.
    fn scope(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let name = self.read_name(&mut inside)?;
        let path = self.names.path(&frame.scope, &name).ok_or(AmlError::NoSuchName(name.last()))?;
        self.fill(frame, path, inside)
    }

    /// Something that has names in it, with `skipped` bytes in front of them that say nothing to us.
    fn device(&mut self, frame: &Frame, code: &mut Cursor, skipped: usize) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let path = self.read_name(&mut inside)?.declared_in(&frame.scope)?;
        self.code.take(&mut inside, skipped)?;
        self.put(frame, path.clone(), Object::Device)?;
        self.fill(frame, path, inside)
    }

    /// Declares what is in a scope. An error in it ends it, and not what is around it, unless a limit is reached.
    fn fill(&mut self, frame: &Frame, path: Path, inside: Cursor) -> Result<(), AmlError> {
        match self.run(&frame.within(path), inside) {
            Err(limit @ (AmlError::TooLong | AmlError::TooLarge)) => Err(limit),
            _ => Ok(()),
        }
    }

    fn method(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let mut body = self.code.package(code)?;
        let scope = self.read_name(&mut body)?.declared_in(&frame.scope)?;
        let arguments = usize::from(self.code.byte(&mut body)? & 0b111);
        self.arena.charge(scope.bytes())?;
        self.put(frame, scope.clone(), Object::Method(Method { scope, body, arguments }))
    }

    /// A name that another block declares.
    fn external(&mut self, code: &mut Cursor) -> Result<(), AmlError> {
        self.read_name(code)?;
        self.code.take(code, 2).map(|_| ())
    }

    fn lock(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let name = self.read_name(code)?;
        self.put_name(frame, &name, Object::Lock)
    }

    fn region(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let name = self.read_name(code)?;
        let kind = self.code.byte(code)?;
        let start = self.number(frame, code)?;
        let bytes = self.number(frame, code)?;
        let space = match kind {
            SYSTEM_MEMORY => Some(Space::Memory),
            SYSTEM_IO => Some(Space::Ports),
            PCI_CONFIG => self.pci_function(frame),
            _ => None,
        };
        let object = space.map_or(Object::Unreachable, |space| Object::Region { space, start, bytes });
        self.put_name(frame, &name, object)
    }

    /// The function whose configuration space a region in this frame is in: that of the device around it, by its `_ADR`
    /// (6.1.1), on the root bus of the host bridge around that device (6.5.5, `_BBN`; what is not declared until then counts as
    /// missing). `None` for functions behind PCI-to-PCI bridges, in other segment groups, and on a bus that is not known.
    fn pci_function(&mut self, frame: &Frame) -> Option<Space> {
        let scope = &frame.scope;
        let address = self.names.get(&scope.join(*b"_ADR")).and_then(|node| self.value_of(node).ok())?;
        let Value::Integer(address) = address else { return None };
        let parent = scope.parent()?;
        let has = |device: &Path, name| self.names.get(&device.join(name)).is_some();
        if has(&parent, *b"_ADR") && !has(&parent, *b"_HID") {
            return None;
        }
        // A host bridge's own function is on the bus behind it.
        let is_bridge = has(scope, *b"_BBN") || has(scope, *b"_SEG");
        let bridge = if is_bridge { Path::clone(scope) } else { parent };
        let bus = self.root_bus(&bridge, frame.depth)?;
        let (device, function) = (u8::try_from(address >> 16).ok()?, u8::try_from(address & 0xffff).ok()?);
        (device < 32 && function < 8).then_some(Space::PciConfig { bus, device, function })
    }

    fn fields(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let region = self.read_node(frame, &mut inside)?;
        let access = self.code.byte(&mut inside)?;
        self.field_list(frame, inside, access, |bits, access| Object::Field { region, bits, access })
    }

    fn index_fields(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let index = self.read_node(frame, &mut inside)?;
        let data = self.read_node(frame, &mut inside)?;
        let access = self.code.byte(&mut inside)?;
        self.field_list(frame, inside, access, |bits, access| Object::Indexed { index, data, bits, access })
    }

    /// The fields in a list, one behind the other.
    fn field_list(
        &mut self,
        frame: &Frame,
        mut list: Cursor,
        mut access: u8,
        object: impl Fn(Bits, Access) -> Object,
    ) -> Result<(), AmlError> {
        let mut first = 0u64;
        while let Some(lead) = self.code.peek(&list) {
            self.step()?;
            let count = match lead {
                // Reserved bits.
                0x00 => {
                    self.code.byte(&mut list)?;
                    self.code.length(&mut list)? as u64
                }
                // From here on another access, with attributes in one byte or two.
                0x01 | 0x03 => {
                    self.code.byte(&mut list)?;
                    access = access & 0xf0 | self.code.byte(&mut list)? & 0xf;
                    self.code.take(&mut list, if lead == 0x03 { 2 } else { 1 })?;
                    0
                }
                0x02 => return Err(AmlError::UnknownOperation(0x02)),
                _ => {
                    let name = self.read_name(&mut list)?;
                    let count = self.code.length(&mut list)? as u64;
                    self.put_name(frame, &name, object(Bits { first, count }, Access(access)))?;
                    count
                }
            };
            first += count;
        }
        Ok(())
    }

    /// A field of a buffer whose size the operation says.
    fn buffer_field(&mut self, frame: &Frame, code: &mut Cursor, operation: u8) -> Result<(), AmlError> {
        let buffer = self.value(&frame.deeper()?, code)?;
        let index = self.number(frame, code)?;
        let (unit, count) = match operation {
            0x8a => (8, 32),
            0x8b => (8, 16),
            0x8c => (8, 8),
            0x8d => (1, 1),
            _ => (8, 64),
        };
        let first = index.checked_mul(unit).ok_or(AmlError::OutOfRange)?;
        self.put_buffer_field(frame, code, buffer, Bits { first, count })
    }

    /// A field of a buffer with any number of bits.
    fn wide_buffer_field(&mut self, frame: &Frame, code: &mut Cursor) -> Result<(), AmlError> {
        let buffer = self.value(&frame.deeper()?, code)?;
        let first = self.number(frame, code)?;
        let count = self.number(frame, code)?;
        self.put_buffer_field(frame, code, buffer, Bits { first, count })
    }

    fn put_buffer_field(
        &mut self,
        frame: &Frame,
        code: &mut Cursor,
        buffer: Value,
        bits: Bits,
    ) -> Result<(), AmlError> {
        let Value::Buffer(buffer) = buffer else { return Err(AmlError::WrongKind) };
        let name = self.read_name(code)?;
        self.put_name(frame, &name, Object::BufferField { buffer, bits })
    }
}
