//! Term lists, statements that transfer control (20.2.5.3), and control method invocation.

use alloc::vec::Vec;

use super::code::Cursor;
use super::context::{ARGUMENTS, EvalContext, LOCALS};
use super::object::Method;
use super::opcode::{BREAK_OP, BREAK_POINT_OP, CONTINUE_OP, ELSE_OP, IF_OP, NOOP_OP, RETURN_OP, WHILE_OP};
use super::value::Value;
use super::{AmlError, Interpreter, RegionHandler};

/// How a term completes: what runs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    /// The term behind it.
    Normal,
    /// The term behind the innermost While.
    Break,
    /// The predicate of the innermost While.
    Continue,
    /// The caller of the method, with the method's result.
    Return(Value),
}

impl<H: RegionHandler> Interpreter<H> {
    /// Runs a term list up to its end, or to a term that transfers control out of it.
    pub(super) fn run(&mut self, context: &EvalContext, mut code: Cursor) -> Result<Completion, AmlError> {
        let context = context.nested()?;
        while !code.is_at_end() {
            match self.term(&context, &mut code)? {
                Completion::Normal => {}
                transfer => return Ok(transfer),
            }
        }
        Ok(Completion::Normal)
    }

    fn term(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Completion, AmlError> {
        match self.code.peek(code).ok_or(AmlError::Truncated)? {
            IF_OP => self.if_else(context, code),
            WHILE_OP => self.while_loop(context, code),
            CONTINUE_OP => self.without_operands(code, Completion::Continue),
            BREAK_OP => self.without_operands(code, Completion::Break),
            RETURN_OP => {
                self.code.byte(code)?;
                self.value(context, code).map(Completion::Return)
            }
            NOOP_OP | BREAK_POINT_OP => self.without_operands(code, Completion::Normal),
            _ if self.declare(context, code)? => Ok(Completion::Normal),
            _ => self.value(context, code).map(|_| Completion::Normal),
        }
    }

    /// A statement that is only an opcode.
    fn without_operands(
        &mut self,
        code: &mut Cursor,
        completion: Completion,
    ) -> Result<Completion, AmlError> {
        self.step()?;
        self.code.byte(code)?;
        Ok(completion)
    }

    /// If, with the Else that may follow.
    fn if_else(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Completion, AmlError> {
        self.step()?;
        self.code.byte(code)?;
        let mut then = self.code.package(code)?;
        let otherwise = if self.code.peek(code) == Some(ELSE_OP) {
            self.code.byte(code)?;
            Some(self.code.package(code)?)
        } else {
            None
        };
        let predicate = self.integer_value(&context.nested()?, &mut then)?;
        match otherwise {
            _ if predicate != 0 => self.run(context, then),
            Some(otherwise) => self.run(context, otherwise),
            None => Ok(Completion::Normal),
        }
    }

    fn while_loop(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Completion, AmlError> {
        self.code.byte(code)?;
        let package = self.code.package(code)?;
        let inside = context.nested()?;
        loop {
            self.step()?;
            let mut body = package;
            if self.integer_value(&inside, &mut body)? == 0 {
                return Ok(Completion::Normal);
            }
            match self.run(&inside, body)? {
                Completion::Normal | Completion::Continue => {}
                Completion::Break => return Ok(Completion::Normal),
                returns => return Ok(returns),
            }
        }
    }

    /// Invokes a control method. The objects that it declares are deleted when it returns (5.5.2.3). The result of a method
    /// without Return is 0.
    pub(super) fn invoke(
        &mut self,
        method: Method,
        arguments: Vec<Value>,
        depth: u32,
    ) -> Result<Value, AmlError> {
        self.step()?;
        let mut variables = [Value::Uninitialized; LOCALS + ARGUMENTS];
        for (variable, argument) in variables.iter_mut().skip(LOCALS).zip(arguments) {
            *variable = argument;
        }
        let variables = self.arena.add_variables(&variables)?;
        let context = EvalContext::of_invocation(method.scope, variables, depth);
        let declared_before = self.declared.len();
        let completion = self.run(&context, method.body);
        for path in self.declared.split_off(declared_before.min(self.declared.len())) {
            self.namespace.remove(&path);
        }
        match completion? {
            Completion::Return(value) => Ok(value),
            _ => Ok(Value::Integer(0)),
        }
    }
}
