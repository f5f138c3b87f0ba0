//! The context that a term is evaluated in.

use alloc::rc::Rc;

use super::error::AmlError;
use super::limits::MAX_DEPTH;
use super::name::NamespacePath;
use super::value::Variable;

/// Local variables of a method invocation, Local0 to Local7 (20.2.6.2).
pub(super) const LOCALS: usize = 8;
/// Arguments of a method invocation, Arg0 to Arg6 (20.2.6.1).
pub(super) const ARGUMENTS: usize = 7;

/// Scope, variables and nesting depth of running code.
#[derive(Debug, Clone)]
pub(super) struct EvalContext {
    /// The scope in which names are resolved.
    pub(super) scope: Rc<NamespacePath>,
    /// Number of the first variable of the method invocation: its locals, then its arguments. `None` outside of methods.
    variables: Option<usize>,
    pub(super) depth: u32,
}

impl EvalContext {
    /// The context of code outside of methods.
    pub(super) fn outside_methods(scope: NamespacePath) -> Self {
        Self { scope: Rc::new(scope), variables: None, depth: 0 }
    }

    /// The context of a method invocation whose variables begin at number `variables`.
    pub(super) fn of_invocation(scope: NamespacePath, variables: usize, depth: u32) -> Self {
        Self { scope: Rc::new(scope), variables: Some(variables), depth }
    }

    /// The same context with another scope.
    pub(super) fn with_scope(&self, scope: NamespacePath) -> Self {
        Self { scope: Rc::new(scope), variables: self.variables, depth: self.depth }
    }

    /// The same context, one level deeper. An error at [`MAX_DEPTH`].
    pub(super) fn nested(&self) -> Result<Self, AmlError> {
        if self.depth >= MAX_DEPTH {
            return Err(AmlError::DepthLimit);
        }
        Ok(Self { depth: self.depth + 1, ..self.clone() })
    }

    pub(super) fn is_in_method(&self) -> bool {
        self.variables.is_some()
    }

    /// Local variable `number`, 0 to 7.
    pub(super) fn local(&self, number: u8) -> Result<Variable, AmlError> {
        let first = self.variables.ok_or(AmlError::WrongType)?;
        Ok(Variable(first + usize::from(number)))
    }

    /// Argument `number`, 0 to 6.
    pub(super) fn argument(&self, number: u8) -> Result<Variable, AmlError> {
        let first = self.variables.ok_or(AmlError::WrongType)?;
        Ok(Variable(first + LOCALS + usize::from(number)))
    }
}
