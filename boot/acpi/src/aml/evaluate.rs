//! Terms that have a value (20.2.5.4).

use alloc::vec;
use alloc::vec::Vec;

use super::code::Cursor;
use super::frame::Frame;
use super::name::Name;
use super::object::{Node, Object, Place, Value};
use super::{AmlError, Host, Interpreter};

/// What a comparison or a test gives for yes.
const TRUE: u64 = u64::MAX;

fn truth(is_so: bool) -> Value {
    Value::Integer(if is_so { TRUE } else { 0 })
}

impl<H: Host> Interpreter<H> {
    /// The value of the next term.
    pub(super) fn value(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        self.step()?;
        let frame = &frame.deeper()?;
        if self.code.peek(code).is_some_and(Name::begins_with) {
            return self.named_value(frame, code);
        }
        let operation = self.code.byte(code)?;
        match operation {
            0x00 | 0x01 => Ok(Value::Integer(operation.into())),
            0xff => Ok(Value::Integer(u64::MAX)),
            0x0a => self.code.number(code, 1).map(Value::Integer),
            0x0b => self.code.number(code, 2).map(Value::Integer),
            0x0c => self.code.number(code, 4).map(Value::Integer),
            0x0e => self.code.number(code, 8).map(Value::Integer),
            0x0d => {
                let text = self.code.text(code)?.to_vec();
                self.arena.keep(text).map(Value::Text)
            }
            0x11 => self.buffer(frame, code),
            0x12 | 0x13 => self.package(frame, code, operation == 0x13),
            0x60..=0x67 => self.load_place(Place::Local(frame.local(operation - 0x60)?)),
            0x68..=0x6e => self.load_place(Place::Argument(frame.argument(operation - 0x68)?)),
            0x70 | 0x9d => {
                let value = self.value(frame, code)?;
                let place = self.place(frame, code)?;
                self.store(value, place)?;
                Ok(value)
            }
            0x71 => self.place(frame, code).map(Value::Reference),
            0x75 | 0x76 => self.count(frame, code, operation == 0x75),
            0x72 | 0x74 | 0x77 | 0x79..=0x7f | 0x85 => self.calculate(frame, code, operation),
            0x78 => self.divide(frame, code),
            0x80..=0x82 | 0x99 => self.convert(frame, code, operation),
            0x96 => self.make_buffer(frame, code),
            0x73 => self.concatenate(frame, code),
            0x83 => {
                let reference = self.value(frame, code)?;
                self.follow(reference)
            }
            0x86 => {
                self.place(frame, code)?;
                self.value(frame, code)
            }
            0x87 => self.size(frame, code),
            0x88 => self.element_reference(frame, code),
            0x8e => self.kind(frame, code),
            0x90 | 0x91 => {
                let (a, b) = (self.number(frame, code)? != 0, self.number(frame, code)? != 0);
                Ok(truth(if operation == 0x90 { a && b } else { a || b }))
            }
            0x92 => self.number(frame, code).map(|number| truth(number == 0)),
            0x93..=0x95 => self.compare(frame, code, operation),
            0x5b => self.extended(frame, code),
            other => Err(AmlError::UnknownOperation(other.into())),
        }
    }

    /// The value of the next term as an integer.
    pub(super) fn number(&mut self, frame: &Frame, code: &mut Cursor) -> Result<u64, AmlError> {
        let value = self.value(frame, code)?;
        self.to_integer(value)
    }

    /// A value as an integer (19.3.5.4): of a buffer its first eight bytes, of a text the hexadecimal number that it is.
    pub(super) fn to_integer(&self, value: Value) -> Result<u64, AmlError> {
        match value {
            Value::Integer(number) => Ok(number),
            Value::Buffer(_) => {
                let bytes = self.arena.bytes(value)?;
                Ok(bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            Value::Text(_) => {
                let digits = self.arena.bytes(value)?.iter().map_while(|byte| char::from(*byte).to_digit(16));
                Ok(digits.take(16).fold(0, |number, digit| number << 4 | u64::from(digit)))
            }
            _ => Err(AmlError::WrongKind),
        }
    }

    /// A method's result, or what is stored under a name.
    fn named_value(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let name = Name::read(&self.code, code)?;
        let node = self.names.find(&frame.scope, &name).ok_or(AmlError::NoSuchName(name.last()))?;
        let Some(Object::Method(method)) = self.names.object(node) else { return self.value_of(node) };
        let method = method.clone();
        let arguments: Result<Vec<_>, _> = (0..method.arguments).map(|_| self.value(frame, code)).collect();
        self.call(method, arguments?, frame.depth)
    }

    /// What a node's method returns when it is called with `arguments`, or the value that is there without a method.
    pub(super) fn result_of(
        &mut self,
        node: Node,
        arguments: Vec<Value>,
        depth: u32,
    ) -> Result<Value, AmlError> {
        match self.names.object(node) {
            Some(Object::Method(method)) => self.call(method.clone(), arguments, depth),
            _ => self.value_of(node),
        }
    }

    fn buffer(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let mut inside = self.code.package(code)?;
        let size = usize::try_from(self.number(frame, &mut inside)?).map_err(|_| AmlError::TooLarge)?;
        let mut given = Vec::new();
        while let Some(byte) = self.code.peek(&inside) {
            self.code.byte(&mut inside)?;
            given.push(byte);
        }
        let size = size.max(given.len());
        self.arena.charge(size)?;
        given.resize(size, 0);
        self.arena.keep(given).map(Value::Buffer)
    }

    fn package(&mut self, frame: &Frame, code: &mut Cursor, is_variable: bool) -> Result<Value, AmlError> {
        let mut inside = self.code.package(code)?;
        let size =
            if is_variable { self.number(frame, &mut inside)? } else { self.code.byte(&mut inside)?.into() };
        let size = usize::try_from(size).ok().and_then(|size| size.checked_mul(size_of::<Value>()));
        self.arena.charge(size.ok_or(AmlError::TooLarge)?)?;
        let size = size.map_or(0, |bytes| bytes / size_of::<Value>());
        let mut values = vec![Value::Nothing; size];
        for place in &mut values {
            if inside.is_at_end() {
                break;
            }
            *place = self.package_element(frame, &mut inside)?;
        }
        self.arena.keep_package(values).map(Value::Package)
    }

    /// A name in a package is kept as one: what it stands for may be declared later.
    fn package_element(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        if self.code.peek(code).is_some_and(Name::begins_with) {
            let name = Name::read(&self.code, code)?;
            return self.arena.keep_name(&frame.scope, name).map(Value::Name);
        }
        self.value(frame, code)
    }

    /// Increment and decrement.
    fn count(&mut self, frame: &Frame, code: &mut Cursor, is_up: bool) -> Result<Value, AmlError> {
        let place = self.place(frame, code)?;
        let now = self.load_place(place)?;
        let now = self.to_integer(now)?;
        let value = Value::Integer(if is_up { now.wrapping_add(1) } else { now.wrapping_sub(1) });
        self.store(value, place)?;
        Ok(value)
    }

    /// Operations on two integers, with a place for the result.
    fn calculate(&mut self, frame: &Frame, code: &mut Cursor, operation: u8) -> Result<Value, AmlError> {
        let (a, b) = (self.number(frame, code)?, self.number(frame, code)?);
        let shift = |b: u64| u32::try_from(b).unwrap_or(u32::MAX);
        let result = match operation {
            0x72 => a.wrapping_add(b),
            0x74 => a.wrapping_sub(b),
            0x77 => a.wrapping_mul(b),
            0x79 => a.checked_shl(shift(b)).unwrap_or(0),
            0x7a => a.checked_shr(shift(b)).unwrap_or(0),
            0x7b => a & b,
            0x7c => !(a & b),
            0x7d => a | b,
            0x7e => !(a | b),
            0x7f => a ^ b,
            _ => a.checked_rem(b).ok_or(AmlError::OutOfRange)?,
        };
        self.result(frame, code, Value::Integer(result))
    }

    /// Puts a result where the next term says.
    fn result(&mut self, frame: &Frame, code: &mut Cursor, value: Value) -> Result<Value, AmlError> {
        let place = self.place(frame, code)?;
        self.store(value, place)?;
        Ok(value)
    }

    fn divide(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let (a, b) = (self.number(frame, code)?, self.number(frame, code)?);
        let (quotient, rest) = (a.checked_div(b), a.checked_rem(b));
        self.result(frame, code, Value::Integer(rest.ok_or(AmlError::OutOfRange)?))?;
        self.result(frame, code, Value::Integer(quotient.ok_or(AmlError::OutOfRange)?))
    }

    /// A value as an integer where the code says so (19.6, ToInteger): a text is a decimal number, or a hexadecimal one
    /// behind `0x`, and nothing else.
    fn explicit_integer(&self, value: Value) -> Result<u64, AmlError> {
        let Value::Text(_) = value else { return self.to_integer(value) };
        let (base, digits) = match self.arena.bytes(value)? {
            [b'0', b'x' | b'X', digits @ ..] => (16, digits),
            digits => (10, digits),
        };
        if digits.is_empty() {
            return Err(AmlError::WrongKind);
        }
        digits.iter().try_fold(0u64, |number, digit| {
            let digit = char::from(*digit).to_digit(base).ok_or(AmlError::WrongKind)?;
            let shifted = number.checked_mul(base.into());
            shifted.and_then(|number| number.checked_add(digit.into())).ok_or(AmlError::OutOfRange)
        })
    }

    /// Operations on one integer, with a place for the result.
    fn convert(&mut self, frame: &Frame, code: &mut Cursor, operation: u8) -> Result<Value, AmlError> {
        let value = self.value(frame, code)?;
        let number = match operation {
            0x99 => self.explicit_integer(value)?,
            _ => self.to_integer(value)?,
        };
        let result = match operation {
            0x80 => !number,
            0x81 => u64::from(64 - number.leading_zeros()),
            0x82 if number != 0 => u64::from(number.trailing_zeros() + 1),
            0x82 => 0,
            _ => number,
        };
        self.result(frame, code, Value::Integer(result))
    }

    /// The bytes of a value: an integer has eight.
    fn byte_content(&self, value: Value) -> Result<Vec<u8>, AmlError> {
        match value {
            Value::Integer(number) => Ok(number.to_le_bytes().to_vec()),
            _ => Ok(self.arena.bytes(value)?.to_vec()),
        }
    }

    fn make_buffer(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let value = self.value(frame, code)?;
        let bytes = self.byte_content(value)?;
        let buffer = Value::Buffer(self.arena.keep(bytes)?);
        self.result(frame, code, buffer)
    }

    /// Two values of one kind, one behind the other (19.6, Concatenate): texts are a text, all else is a buffer.
    fn concatenate(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let (a, b) = (self.value(frame, code)?, self.value(frame, code)?);
        if core::mem::discriminant(&a) != core::mem::discriminant(&b) {
            return Err(AmlError::WrongKind);
        }
        let bytes = [self.byte_content(a)?, self.byte_content(b)?].concat();
        let both = self.arena.keep(bytes)?;
        let both = if matches!(a, Value::Text(_)) { Value::Text(both) } else { Value::Buffer(both) };
        self.result(frame, code, both)
    }

    fn size(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let place = self.place(frame, code)?;
        let value = self.load_place(place)?;
        let size = match value {
            Value::Package(_) => self.arena.elements(value)?.len(),
            _ => self.arena.bytes(value)?.len(),
        };
        Ok(Value::Integer(size as u64))
    }

    fn element_reference(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let value = self.value(frame, code)?;
        let number = usize::try_from(self.number(frame, code)?).map_err(|_| AmlError::OutOfRange)?;
        let (place, count) = match value {
            Value::Package(package) => (Place::Element(package, number), self.arena.elements(value)?.len()),
            Value::Buffer(buffer) | Value::Text(buffer) => {
                (Place::Byte(buffer, number), self.arena.bytes(value)?.len())
            }
            _ => return Err(AmlError::WrongKind),
        };
        if number >= count {
            return Err(AmlError::OutOfRange);
        }
        self.result(frame, code, Value::Reference(place))
    }

    /// The kind of an object as a number (19.6.97).
    fn kind(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        let place = self.place(frame, code)?;
        let object = if let Place::Named(node) = place { self.names.object(node) } else { None };
        let kind = match object {
            Some(Object::Device) => 6,
            Some(Object::Method(_)) => 8,
            Some(Object::Field { .. } | Object::Indexed { .. }) => 5,
            _ => match self.load_place(place)? {
                Value::Integer(_) => 1,
                Value::Text(_) => 2,
                Value::Buffer(_) => 3,
                Value::Package(_) => 4,
                _ => 0,
            },
        };
        Ok(Value::Integer(kind))
    }

    /// Equal, greater, less: integers as such, texts and buffers byte by byte.
    fn compare(&mut self, frame: &Frame, code: &mut Cursor, operation: u8) -> Result<Value, AmlError> {
        let (a, b) = (self.value(frame, code)?, self.value(frame, code)?);
        let order = match a {
            Value::Text(_) | Value::Buffer(_) => self.arena.bytes(a)?.cmp(self.arena.bytes(b)?),
            _ => self.to_integer(a)?.cmp(&self.to_integer(b)?),
        };
        Ok(truth(match operation {
            0x93 => order.is_eq(),
            0x94 => order.is_gt(),
            _ => order.is_lt(),
        }))
    }

    /// Operations behind 0x5b. Nobody else runs: a lock is free, an event has come, and no time passes.
    fn extended(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Value, AmlError> {
        match self.code.byte(code)? {
            0x12 => {
                let place = match self.place(frame, code) {
                    Err(AmlError::NoSuchName(_)) => {
                        self.place(frame, code)?;
                        return Ok(truth(false));
                    }
                    place => place?,
                };
                self.result(frame, code, Value::Reference(place))?;
                Ok(truth(true))
            }
            // Stall and sleep.
            0x21 | 0x22 => self.number(frame, code).map(|_| Value::Nothing),
            // Acquire: not timed out.
            0x23 => {
                self.place(frame, code)?;
                self.code.number(code, 2).map(|_| truth(false))
            }
            0x25 => {
                self.place(frame, code)?;
                self.number(frame, code).map(|_| truth(false))
            }
            // Signal, reset, release.
            0x24 | 0x26 | 0x27 => self.place(frame, code).map(|_| Value::Nothing),
            0x30 => Ok(Value::Integer(2)),
            0x33 => Ok(Value::Integer(0)),
            other => Err(AmlError::UnknownOperation(0x5b00 | u16::from(other))),
        }
    }
}
