//! Synchronization and delays. There is no other thread: mutexes are free, events are signaled, and delays are skipped.

use super::arithmetic::boolean;
use super::code::Cursor;
use super::context::EvalContext;
use super::value::Value;
use super::{AmlError, Interpreter, RegionHandler};

/// Bytes of the timeout of Acquire.
const TIMEOUT_BYTES: usize = 2;

impl<H: RegionHandler> Interpreter<H> {
    /// Stall and Sleep.
    pub(super) fn sleep(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        self.integer_value(context, code).map(|_| Value::Uninitialized)
    }

    /// Acquire: whether it timed out, which it does not.
    pub(super) fn acquire(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        self.location(context, code)?;
        self.code.integer(code, TIMEOUT_BYTES).map(|_| boolean(false))
    }

    /// Wait: whether it timed out, which it does not.
    pub(super) fn wait(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        self.location(context, code)?;
        self.integer_value(context, code).map(|_| boolean(false))
    }

    /// Signal, Reset and Release.
    pub(super) fn release(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        self.location(context, code).map(|_| Value::Uninitialized)
    }
}
