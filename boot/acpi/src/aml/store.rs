//! Locations: which one a term names, reading it, and storing to it.

use super::code::Cursor;
use super::context::EvalContext;
use super::name::NameString;
use super::object::Object;
use super::opcode::{ARG0_OP, ARG6_OP, EXT_OP_PREFIX, LOCAL0_OP, LOCAL7_OP, NULL_NAME, ext, extended};
use super::value::{Location, ObjectId, Value};
use super::{AmlError, Interpreter, MAX_DEPTH, RegionHandler};

impl<H: RegionHandler> Interpreter<H> {
    /// The location that the next term names (20.2.2: SuperName, Target).
    pub(super) fn location(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<Location, AmlError> {
        self.step()?;
        let lead = self.code.peek(code).ok_or(AmlError::Truncated)?;
        match lead {
            NULL_NAME => self.code.byte(code).map(|_| Location::Null),
            LOCAL0_OP..=LOCAL7_OP | ARG0_OP..=ARG6_OP => {
                self.code.byte(code)?;
                self.variable(context, lead)
            }
            EXT_OP_PREFIX => {
                self.code.byte(code)?;
                match self.code.byte(code)? {
                    // DebugObj: there is no debugger to show the value.
                    ext::DEBUG_OP => Ok(Location::Null),
                    other => Err(AmlError::UnknownOpcode(extended(other))),
                }
            }
            _ if NameString::begins_with(lead) => self.read_object(context, code).map(Location::Object),
            _ => match self.value(&context.nested()?, code)? {
                Value::Reference(location) => Ok(location),
                _ => Err(AmlError::WrongType),
            },
        }
    }

    /// The local variable or argument with this opcode, from Local0Op to Arg6Op.
    pub(super) fn variable(&self, context: &EvalContext, opcode: u8) -> Result<Location, AmlError> {
        match opcode.checked_sub(ARG0_OP) {
            Some(number) => context.argument(number).map(Location::Argument),
            None => context.local(opcode - LOCAL0_OP).map(Location::Local),
        }
    }

    /// The value at a location.
    pub(super) fn read_location(&mut self, location: Location) -> Result<Value, AmlError> {
        match location {
            Location::Null => Ok(Value::Uninitialized),
            Location::Local(variable) | Location::Argument(variable) => {
                self.arena.variable_mut(variable).copied()
            }
            Location::Object(object) => self.read_object_value(object),
            Location::Element(package, index) => self.arena.element_mut(package, index).copied(),
            Location::Byte(bytes, index) => {
                let byte = self.arena.bytes_mut(bytes)?.get(index).copied();
                byte.map(|byte| Value::Integer(byte.into())).ok_or(AmlError::OutOfRange)
            }
        }
    }

    /// The value that a reference, or a name in a package, refers to.
    pub(super) fn dereference(&mut self, value: Value) -> Result<Value, AmlError> {
        match value {
            Value::Reference(location) => self.read_location(location),
            Value::Name(handle) => {
                let (scope, name) = self.arena.name(handle)?;
                let object = self.namespace.find(scope, name).ok_or(AmlError::NotFound(name.last()))?;
                self.read_object_value(object)
            }
            _ => Err(AmlError::WrongType),
        }
    }

    /// Stores a copy of `value`. Storing to an argument that is a reference stores to the location that it refers to (19.3.5.8).
    pub(super) fn store(&mut self, value: Value, target: Location) -> Result<(), AmlError> {
        let value = self.arena.copy(value, MAX_DEPTH)?;
        let target = match target {
            Location::Argument(variable) => match *self.arena.variable_mut(variable)? {
                Value::Reference(referenced) => referenced,
                _ => target,
            },
            _ => target,
        };
        match target {
            Location::Null => {}
            Location::Local(variable) | Location::Argument(variable) => {
                *self.arena.variable_mut(variable)? = value;
            }
            Location::Element(package, index) => *self.arena.element_mut(package, index)? = value,
            Location::Byte(bytes, index) => {
                let byte = self.to_integer(value)? as u8;
                *self.arena.bytes_mut(bytes)?.get_mut(index).ok_or(AmlError::OutOfRange)? = byte;
            }
            Location::Object(object) => self.store_to_object(value, object)?,
        }
        Ok(())
    }

    fn store_to_object(&mut self, value: Value, object: ObjectId) -> Result<(), AmlError> {
        if self.store_to_field(object, value)?.is_some() {
            return Ok(());
        }
        match self.namespace.object_mut(object) {
            Some(Object::Value(stored)) => {
                *stored = value;
                Ok(())
            }
            _ => Err(AmlError::WrongType),
        }
    }
}
