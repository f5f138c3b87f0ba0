//! What code runs in: its scope, its variables, and how deep it is nested.

use alloc::rc::Rc;

use super::error::AmlError;
use super::limits::MAX_DEPTH;
use super::name::Path;
use super::object::Cell;

/// Local variables of a method.
pub(super) const LOCALS: usize = 8;
/// Arguments of a method, at most.
pub(super) const ARGUMENTS: usize = 7;

/// What code runs in.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Where names are looked for first.
    pub(super) scope: Rc<Path>,
    /// The variables of the method that runs: its locals, then its arguments. `None` outside of methods.
    cells: Option<usize>,
    pub(super) depth: u32,
}

impl Frame {
    /// Outside of any method.
    pub(super) fn outside(scope: Path) -> Self {
        Self { scope: Rc::new(scope), cells: None, depth: 0 }
    }

    /// In a method whose variables begin at `cells`.
    pub(super) fn of_method(scope: Path, cells: usize, depth: u32) -> Self {
        Self { scope: Rc::new(scope), cells: Some(cells), depth }
    }

    /// The same method, in another scope.
    pub(super) fn within(&self, scope: Path) -> Self {
        Self { scope: Rc::new(scope), cells: self.cells, depth: self.depth }
    }

    /// One level deeper.
    pub(super) fn deeper(&self) -> Result<Self, AmlError> {
        if self.depth >= MAX_DEPTH {
            return Err(AmlError::TooDeep);
        }
        Ok(Self { depth: self.depth + 1, ..self.clone() })
    }

    pub(super) fn is_in_method(&self) -> bool {
        self.cells.is_some()
    }

    pub(super) fn local(&self, number: u8) -> Result<Cell, AmlError> {
        let first = self.cells.ok_or(AmlError::WrongKind)?;
        Ok(Cell(first + usize::from(number)))
    }

    pub(super) fn argument(&self, number: u8) -> Result<Cell, AmlError> {
        let first = self.cells.ok_or(AmlError::WrongKind)?;
        Ok(Cell(first + LOCALS + usize::from(number)))
    }
}
