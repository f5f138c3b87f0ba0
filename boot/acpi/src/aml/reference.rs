//! Operators on object references, and on the size and type of objects.

use super::arithmetic::boolean;
use super::code::Cursor;
use super::context::EvalContext;
use super::object::Object;
use super::value::{Location, Value};
use super::{AmlError, Interpreter, RegionHandler};

/// Object types, as ObjectType returns them (19.6.97).
mod object_type {
    pub(super) const UNINITIALIZED: u64 = 0;
    pub(super) const INTEGER: u64 = 1;
    pub(super) const STRING: u64 = 2;
    pub(super) const BUFFER: u64 = 3;
    pub(super) const PACKAGE: u64 = 4;
    pub(super) const FIELD_UNIT: u64 = 5;
    pub(super) const DEVICE: u64 = 6;
    pub(super) const METHOD: u64 = 8;
}

impl<H: RegionHandler> Interpreter<H> {
    /// DerefOf.
    pub(super) fn deref_of(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let reference = self.value(context, code)?;
        self.dereference(reference)
    }

    /// CondRefOf: whether the object exists. If it does, a reference to it is stored at the target.
    pub(super) fn cond_ref_of(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<Value, AmlError> {
        let location = match self.location(context, code) {
            Err(AmlError::NotFound(_)) => {
                // The target, which is not stored to.
                self.location(context, code)?;
                return Ok(boolean(false));
            }
            location => location?,
        };
        self.store_result(context, code, Value::Reference(location))?;
        Ok(boolean(true))
    }

    /// Index: a reference to an element of a package or to a byte of a buffer or string.
    pub(super) fn index(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let value = self.value(context, code)?;
        let index = self.integer_value(context, code)?;
        let index = usize::try_from(index).map_err(|_| AmlError::OutOfRange)?;
        let location = match value {
            Value::Package(package) => Location::Element(package, index),
            Value::Buffer(bytes) | Value::String(bytes) => Location::Byte(bytes, index),
            _ => return Err(AmlError::WrongType),
        };
        if index >= self.length(value)? {
            return Err(AmlError::OutOfRange);
        }
        self.store_result(context, code, Value::Reference(location))
    }

    /// SizeOf.
    pub(super) fn size_of(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let location = self.location(context, code)?;
        let value = self.read_location(location)?;
        Ok(Value::Integer(self.length(value)? as u64))
    }

    /// Elements of a package, or bytes of a buffer or string.
    fn length(&self, value: Value) -> Result<usize, AmlError> {
        match value {
            Value::Package(_) => Ok(self.arena.elements(value)?.len()),
            _ => Ok(self.arena.bytes(value)?.len()),
        }
    }

    /// ObjectType. Objects of types that have no data, such as mutexes, count as uninitialized.
    pub(super) fn object_type(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<Value, AmlError> {
        let location = self.location(context, code)?;
        let object = if let Location::Object(id) = location { self.namespace.object(id) } else { None };
        let object_type = match object {
            Some(Object::Device) => object_type::DEVICE,
            Some(Object::Method(_)) => object_type::METHOD,
            Some(Object::Field { .. } | Object::IndexField { .. }) => object_type::FIELD_UNIT,
            _ => match self.read_location(location)? {
                Value::Integer(_) => object_type::INTEGER,
                Value::String(_) => object_type::STRING,
                Value::Buffer(_) => object_type::BUFFER,
                Value::Package(_) => object_type::PACKAGE,
                _ => object_type::UNINITIALIZED,
            },
        };
        Ok(Value::Integer(object_type))
    }
}
