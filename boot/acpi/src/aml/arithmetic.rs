//! Operators on integers, and logical operators.

use super::code::Cursor;
use super::context::EvalContext;
use super::opcode::{
    ADD_OP, AND_OP, FIND_SET_LEFT_BIT_OP, FIND_SET_RIGHT_BIT_OP, INCREMENT_OP, LAND_OP, LEQUAL_OP,
    LGREATER_OP, LNOT_OP, MULTIPLY_OP, NAND_OP, NOR_OP, OR_OP, SHIFT_LEFT_OP, SHIFT_RIGHT_OP, SUBTRACT_OP,
    XOR_OP,
};
use super::value::Value;
use super::{AmlError, Interpreter, RegionHandler};

/// The result of a logical operator: Ones or Zero.
pub(super) fn boolean(is_true: bool) -> Value {
    Value::Integer(if is_true { u64::MAX } else { 0 })
}

impl<H: RegionHandler> Interpreter<H> {
    /// Stores `value` at the target that the next term names, and returns it.
    pub(super) fn store_result(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        value: Value,
    ) -> Result<Value, AmlError> {
        let target = self.location(context, code)?;
        self.store(value, target)?;
        Ok(value)
    }

    /// Increment and Decrement.
    pub(super) fn increment(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<Value, AmlError> {
        let location = self.location(context, code)?;
        let before = self.read_location(location)?;
        let before = self.to_integer(before)?;
        let after = if opcode == INCREMENT_OP { before.wrapping_add(1) } else { before.wrapping_sub(1) };
        self.store(Value::Integer(after), location)?;
        Ok(Value::Integer(after))
    }

    /// Operators with two integers and a target. A shift by 64 bits or more results in 0.
    pub(super) fn binary(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<Value, AmlError> {
        let (a, b) = (self.integer_value(context, code)?, self.integer_value(context, code)?);
        let shift = |b: u64| u32::try_from(b).unwrap_or(u32::MAX);
        let result = match opcode {
            ADD_OP => a.wrapping_add(b),
            SUBTRACT_OP => a.wrapping_sub(b),
            MULTIPLY_OP => a.wrapping_mul(b),
            SHIFT_LEFT_OP => a.checked_shl(shift(b)).unwrap_or(0),
            SHIFT_RIGHT_OP => a.checked_shr(shift(b)).unwrap_or(0),
            AND_OP => a & b,
            NAND_OP => !(a & b),
            OR_OP => a | b,
            NOR_OP => !(a | b),
            XOR_OP => a ^ b,
            // ModOp.
            _ => a.checked_rem(b).ok_or(AmlError::OutOfRange)?,
        };
        self.store_result(context, code, Value::Integer(result))
    }

    /// Divide: the targets are those of the remainder and of the quotient.
    pub(super) fn divide(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let (a, b) = (self.integer_value(context, code)?, self.integer_value(context, code)?);
        let (quotient, remainder) = (a.checked_div(b), a.checked_rem(b));
        self.store_result(context, code, Value::Integer(remainder.ok_or(AmlError::OutOfRange)?))?;
        self.store_result(context, code, Value::Integer(quotient.ok_or(AmlError::OutOfRange)?))
    }

    /// Operators with one integer and a target. Bits are numbered from 1; 0 means that no bit is set.
    pub(super) fn unary(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<Value, AmlError> {
        let operand = self.integer_value(context, code)?;
        let result = match opcode {
            FIND_SET_LEFT_BIT_OP => u64::from(u64::BITS - operand.leading_zeros()),
            FIND_SET_RIGHT_BIT_OP if operand != 0 => u64::from(operand.trailing_zeros() + 1),
            FIND_SET_RIGHT_BIT_OP => 0,
            // NotOp.
            _ => !operand,
        };
        self.store_result(context, code, Value::Integer(result))
    }

    /// LAnd, LOr and LNot. Both operands are evaluated always.
    pub(super) fn logical(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<Value, AmlError> {
        let a = self.integer_value(context, code)? != 0;
        if opcode == LNOT_OP {
            return Ok(boolean(!a));
        }
        let b = self.integer_value(context, code)? != 0;
        Ok(boolean(if opcode == LAND_OP { a && b } else { a || b }))
    }

    /// LEqual, LGreater and LLess: strings and buffers are compared byte by byte, everything else as integers.
    pub(super) fn compare(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<Value, AmlError> {
        let (a, b) = (self.value(context, code)?, self.value(context, code)?);
        let order = match a {
            Value::String(_) | Value::Buffer(_) => self.arena.bytes(a)?.cmp(self.arena.bytes(b)?),
            _ => self.to_integer(a)?.cmp(&self.to_integer(b)?),
        };
        Ok(boolean(match opcode {
            LEQUAL_OP => order.is_eq(),
            LGREATER_OP => order.is_gt(),
            // LlessOp.
            _ => order.is_lt(),
        }))
    }
}
