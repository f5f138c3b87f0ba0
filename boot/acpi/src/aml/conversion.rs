//! Implicit and explicit conversion of values, and Concatenate.

use alloc::vec::Vec;

use super::code::Cursor;
use super::context::EvalContext;
use super::value::Value;
use super::{AmlError, Interpreter, RegionHandler};

/// Bytes of an integer, and hexadecimal digits of an integer.
const INTEGER_BYTES: usize = 8;
const INTEGER_DIGITS: usize = 16;

impl<H: RegionHandler> Interpreter<H> {
    /// Implicit conversion to an integer (19.3.5.4): of a buffer the first eight bytes, of a string the hexadecimal digits that
    /// it begins with.
    pub(super) fn to_integer(&self, value: Value) -> Result<u64, AmlError> {
        match value {
            Value::Integer(number) => Ok(number),
            Value::Buffer(_) => {
                let bytes = self.arena.bytes(value)?.iter().take(INTEGER_BYTES);
                Ok(bytes.rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            Value::String(_) => {
                let digits = self.arena.bytes(value)?.iter().map_while(|byte| char::from(*byte).to_digit(16));
                Ok(digits.take(INTEGER_DIGITS).fold(0, |number, digit| number << 4 | u64::from(digit)))
            }
            _ => Err(AmlError::WrongType),
        }
    }

    /// ToInteger.
    pub(super) fn convert_to_integer(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<Value, AmlError> {
        let value = self.value(context, code)?;
        let number = self.explicit_integer(value)?;
        self.store_result(context, code, Value::Integer(number))
    }

    /// Explicit conversion to an integer (19.6, ToInteger): a string must be a decimal number, or a hexadecimal one behind
    /// `0x`, and nothing else.
    fn explicit_integer(&self, value: Value) -> Result<u64, AmlError> {
        let Value::String(_) = value else { return self.to_integer(value) };
        let (base, digits) = match self.arena.bytes(value)? {
            [b'0', b'x' | b'X', digits @ ..] => (16, digits),
            digits => (10, digits),
        };
        if digits.is_empty() {
            return Err(AmlError::WrongType);
        }
        digits.iter().try_fold(0u64, |number, digit| {
            let digit = char::from(*digit).to_digit(base).ok_or(AmlError::WrongType)?;
            let shifted = number.checked_mul(base.into());
            shifted.and_then(|number| number.checked_add(digit.into())).ok_or(AmlError::OutOfRange)
        })
    }

    /// ToBuffer.
    pub(super) fn convert_to_buffer(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<Value, AmlError> {
        let value = self.value(context, code)?;
        let bytes = self.to_bytes(value)?;
        let buffer = Value::Buffer(self.arena.add_bytes(bytes)?);
        self.store_result(context, code, buffer)
    }

    /// The bytes of a string or buffer, or the eight bytes of an integer.
    fn to_bytes(&self, value: Value) -> Result<Vec<u8>, AmlError> {
        match value {
            Value::Integer(number) => Ok(number.to_le_bytes().to_vec()),
            _ => Ok(self.arena.bytes(value)?.to_vec()),
        }
    }

    /// Concatenate (19.6, Concatenate): two strings result in a string, two integers or buffers in a buffer.
    pub(super) fn concatenate(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<Value, AmlError> {
        let (a, b) = (self.value(context, code)?, self.value(context, code)?);
        if core::mem::discriminant(&a) != core::mem::discriminant(&b) {
            return Err(AmlError::WrongType);
        }
        let bytes = [self.to_bytes(a)?, self.to_bytes(b)?].concat();
        let handle = self.arena.add_bytes(bytes)?;
        let both = if matches!(a, Value::String(_)) { Value::String(handle) } else { Value::Buffer(handle) };
        self.store_result(context, code, both)
    }
}
