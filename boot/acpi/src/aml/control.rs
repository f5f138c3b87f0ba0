//! Running code: lists of terms, what decides which of them run, and methods.

use alloc::vec::Vec;

use super::code::Cursor;
use super::frame::{ARGUMENTS, Frame, LOCALS};
use super::object::{Method, Value};
use super::{AmlError, Host, Interpreter};

/// Where it goes on behind a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

impl<H: Host> Interpreter<H> {
    /// Runs a list of terms.
    pub(super) fn run(&mut self, frame: &Frame, mut code: Cursor) -> Result<Flow, AmlError> {
        let frame = frame.deeper()?;
        while !code.is_at_end() {
            match self.term(&frame, &mut code)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    /// One step more.
    pub(super) fn step(&mut self) -> Result<(), AmlError> {
        self.steps = self.steps.checked_sub(1).ok_or(AmlError::TooLong)?;
        Ok(())
    }

    /// Runs one term.
    fn term(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Flow, AmlError> {
        match self.code.peek(code).ok_or(AmlError::Truncated)? {
            0xa0 => self.branch(frame, code),
            0xa2 => self.repeat(frame, code),
            0x9f => self.leave(code, Flow::Continue),
            0xa5 => self.leave(code, Flow::Break),
            0xa4 => {
                self.code.byte(code)?;
                let value = self.value(frame, code)?;
                Ok(Flow::Return(value))
            }
            0xa3 | 0xcc => self.leave(code, Flow::Next),
            _ if self.declare(frame, code)? => Ok(Flow::Next),
            _ => self.value(frame, code).map(|_| Flow::Next),
        }
    }

    fn leave(&mut self, code: &mut Cursor, flow: Flow) -> Result<Flow, AmlError> {
        self.step()?;
        self.code.byte(code)?;
        Ok(flow)
    }

    /// If, and the else behind it.
    fn branch(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Flow, AmlError> {
        self.step()?;
        self.code.byte(code)?;
        let mut then = self.code.package(code)?;
        let otherwise = if self.code.peek(code) == Some(0xa1) {
            self.code.byte(code)?;
            Some(self.code.package(code)?)
        } else {
            None
        };
        let condition = self.number(&frame.deeper()?, &mut then)?;
        match otherwise {
            _ if condition != 0 => self.run(frame, then),
            Some(otherwise) => self.run(frame, otherwise),
            None => Ok(Flow::Next),
        }
    }

    fn repeat(&mut self, frame: &Frame, code: &mut Cursor) -> Result<Flow, AmlError> {
        self.code.byte(code)?;
        let whole = self.code.package(code)?;
        let inside = frame.deeper()?;
        loop {
            self.step()?;
            let mut body = whole;
            if self.number(&inside, &mut body)? == 0 {
                return Ok(Flow::Next);
            }
            match self.run(&inside, body)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Ok(Flow::Next),
                returns => return Ok(returns),
            }
        }
    }

    /// Calls a method. What it declares is forgotten when it returns.
    pub(super) fn call(
        &mut self,
        method: Method,
        arguments: Vec<Value>,
        depth: u32,
    ) -> Result<Value, AmlError> {
        self.step()?;
        let mut variables = [Value::Nothing; LOCALS + ARGUMENTS];
        for (place, argument) in variables.iter_mut().skip(LOCALS).zip(arguments) {
            *place = argument;
        }
        let cells = self.arena.new_cells(&variables)?;
        let frame = Frame::of_method(method.scope, cells, depth);
        let declared_before = self.declared.len();
        let flow = self.run(&frame, method.body);
        for path in self.declared.split_off(declared_before.min(self.declared.len())) {
            self.names.forget(&path);
        }
        match flow? {
            Flow::Return(value) => Ok(value),
            _ => Ok(Value::Integer(0)),
        }
    }
}
