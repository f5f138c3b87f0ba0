//! Places: where a value is, and how it gets there.

use super::code::Cursor;
use super::frame::Frame;
use super::name::Name;
use super::object::{Node, Object, Place, Value};
use super::{AmlError, Host, Interpreter, MAX_DEPTH};

impl<H: Host> Interpreter<H> {
    /// The place that a term names (20.2.2: SuperName, Target).
    pub(super) fn place(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Place, AmlError> {
        self.step()?;
        let lead = self.code.peek(code).ok_or(AmlError::Truncated)?;
        match lead {
            0x00 => self.code.byte(code).map(|_| Place::Nowhere),
            0x60..=0x67 => {
                self.code.byte(code)?;
                frame.local(lead - 0x60).map(Place::Local)
            }
            0x68..=0x6e => {
                self.code.byte(code)?;
                frame.argument(lead - 0x68).map(Place::Argument)
            }
            0x5b => {
                // The debugger, which is not there: nothing else in this place begins so.
                match self.code.number(code, 2)? {
                    0x315b => Ok(Place::Nowhere),
                    other => Err(AmlError::UnknownOperation(other.swap_bytes() as u16)),
                }
            }
            _ if Name::begins_with(lead) => {
                let name = Name::read(&self.code, code)?;
                let node = self.names.find(&frame.scope, &name);
                node.map(Place::Named).ok_or(AmlError::NoSuchName(name.last()))
            }
            _ => match self.value(&frame.deeper()?, code)? {
                Value::Reference(place) => Ok(place),
                _ => Err(AmlError::WrongKind),
            },
        }
    }

    /// What is at a place.
    pub(super) fn load_place(&mut self, place: Place) -> Result<Value, AmlError> {
        match place {
            Place::Nowhere => Ok(Value::Nothing),
            Place::Local(cell) | Place::Argument(cell) => Ok(*self.arena.cell(cell)?),
            Place::Named(node) => self.value_of(node),
            Place::Element(package, number) => Ok(*self.arena.element(package, number)?),
            Place::Byte(buffer, number) => {
                let byte = self.arena.buffer(buffer)?.get(number).copied();
                byte.map(|byte| Value::Integer(byte.into())).ok_or(AmlError::OutOfRange)
            }
        }
    }

    /// What is behind a reference or a name.
    pub(super) fn follow(&mut self, value: Value) -> Result<Value, AmlError> {
        match value {
            Value::Reference(place) => self.load_place(place),
            Value::Name(_) => {
                let node = self.node_of(value)?;
                self.value_of(node)
            }
            _ => Err(AmlError::WrongKind),
        }
    }

    /// What a name in a package stands for.
    pub(super) fn node_of(&self, value: Value) -> Result<Node, AmlError> {
        match value {
            Value::Reference(Place::Named(node)) => Ok(node),
            Value::Name(handle) => {
                let (scope, name) = self.arena.name(handle)?;
                self.names.find(scope, name).ok_or(AmlError::NoSuchName(name.last()))
            }
            _ => Err(AmlError::WrongKind),
        }
    }

    /// Stores a copy of `value`. An argument that is a reference passes it on to what it refers to.
    pub(super) fn store(&mut self, value: Value, place: Place) -> Result<(), AmlError> {
        let value = self.arena.copy(value, MAX_DEPTH)?;
        let place = match place {
            Place::Argument(cell) => match *self.arena.cell(cell)? {
                Value::Reference(behind) => behind,
                _ => place,
            },
            _ => place,
        };
        match place {
            Place::Nowhere => Ok(()),
            Place::Local(cell) | Place::Argument(cell) => {
                *self.arena.cell(cell)? = value;
                Ok(())
            }
            Place::Element(package, number) => {
                *self.arena.element(package, number)? = value;
                Ok(())
            }
            Place::Byte(buffer, number) => {
                let byte = self.to_integer(value)? as u8;
                *self.arena.buffer(buffer)?.get_mut(number).ok_or(AmlError::OutOfRange)? = byte;
                Ok(())
            }
            Place::Named(node) => self.store_named(value, node),
        }
    }

    fn store_named(&mut self, value: Value, node: Node) -> Result<(), AmlError> {
        if self.store_field(node, value)?.is_some() {
            return Ok(());
        }
        match self.names.object_mut(node) {
            Some(Object::Value(now)) => {
                *now = value;
                Ok(())
            }
            _ => Err(AmlError::WrongKind),
        }
    }
}
