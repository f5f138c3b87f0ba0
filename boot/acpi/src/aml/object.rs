//! Values, and what a name stands for.

use alloc::vec::Vec;

use super::code::Cursor;
use super::error::AmlError;
use super::host::Space;
use super::limits::MAX_BYTES;
use super::name::{Name, Path};

/// A value. Texts, buffers and packages are kept by the interpreter that it comes from; here is which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Nothing was stored yet.
    Nothing,
    /// An integer.
    Integer(u64),
    /// Text, without its end mark.
    Text(Handle),
    /// Bytes.
    Buffer(Handle),
    /// A list of values.
    Package(Handle),
    /// A name in a package, looked up when it is needed.
    Name(Handle),
    /// The place where a value is, or something else that has a name.
    Reference(Place),
}

/// Which text, buffer, package or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(usize);

/// Where a value can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    Nowhere,
    /// A local variable of a method.
    Local(Cell),
    /// An argument of a method.
    Argument(Cell),
    /// What a name stands for.
    Named(Node),
    /// An element of a package.
    Element(Handle, usize),
    /// A byte of a buffer or text.
    Byte(Handle, usize),
}

/// Which variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell(pub(super) usize);

/// Which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(pub(super) usize);

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// A value.
    Value(Value),
    /// Something that has names in it.
    Scope,
    /// A device, or a processor.
    Device,
    /// A method.
    Method(Method),
    /// A stretch of an address space.
    Region { space: Space, start: u64, bytes: u64 },
    /// A region in a space that this interpreter does not reach.
    Unreachable,
    /// Bits of a region.
    Field { region: Node, bits: Bits, access: Access },
    /// Bits behind a pair of registers: one selects, the other has the data.
    Indexed { index: Node, data: Node, bits: Bits, access: Access },
    /// Bits of a buffer.
    BufferField { buffer: Handle, bits: Bits },
    /// A lock or an event.
    Lock,
}

/// A method.
#[derive(Debug, Clone)]
pub(super) struct Method {
    pub(super) scope: Path,
    pub(super) body: Cursor,
    pub(super) arguments: usize,
}

/// Where some bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) first: u64,
    pub(super) count: u64,
}

/// How a field is accessed: by its flags (20.2.5.2, FieldFlags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access(pub(super) u8);

impl Access {
    /// Bytes at a time; any size will do where none is said.
    pub(super) fn bytes(self) -> u8 {
        match self.0 & 0xf {
            2 => 2,
            3 => 4,
            4 => 8,
            _ => 1,
        }
    }

    /// What is written to the bits around, which hold `now`.
    pub(super) fn around(self, now: impl FnOnce() -> Result<u64, AmlError>) -> Result<u64, AmlError> {
        match self.0 >> 5 & 0b11 {
            1 => Ok(u64::MAX),
            2 => Ok(0),
            _ => now(),
        }
    }
}

/// What values are made of.
#[derive(Debug, Default)]
pub(super) struct Arena {
    buffers: Vec<Vec<u8>>,
    packages: Vec<Vec<Value>>,
    names: Vec<(Path, Name)>,
    cells: Vec<Value>,
    used: usize,
}

impl Arena {
    /// Counts `bytes` more; they are never taken back.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), AmlError> {
        self.used =
            self.used.checked_add(bytes).filter(|used| *used <= MAX_BYTES).ok_or(AmlError::TooLarge)?;
        Ok(())
    }

    /// Keeps bytes. Whether they are a text or a buffer is up to the value.
    pub(super) fn keep(&mut self, bytes: Vec<u8>) -> Result<Handle, AmlError> {
        self.charge(bytes.len() + 32)?;
        self.buffers.push(bytes);
        Ok(Handle(self.buffers.len() - 1))
    }

    pub(super) fn keep_package(&mut self, values: Vec<Value>) -> Result<Handle, AmlError> {
        self.charge((values.len() + 1) * size_of::<Value>())?;
        self.packages.push(values);
        Ok(Handle(self.packages.len() - 1))
    }

    pub(super) fn keep_name(&mut self, scope: &Path, name: Name) -> Result<Handle, AmlError> {
        self.charge(scope.bytes() + name.bytes())?;
        self.names.push((scope.clone(), name));
        Ok(Handle(self.names.len() - 1))
    }

    /// A value that shares nothing with this one.
    pub(super) fn copy(&mut self, value: Value, depth: u32) -> Result<Value, AmlError> {
        let depth = depth.checked_sub(1).ok_or(AmlError::TooDeep)?;
        Ok(match value {
            Value::Text(_) => Value::Text(self.keep_copy(value)?),
            Value::Buffer(_) => Value::Buffer(self.keep_copy(value)?),
            Value::Package(_) => {
                let elements = self.elements(value)?.to_vec();
                let copied: Result<_, _> =
                    elements.into_iter().map(|value| self.copy(value, depth)).collect();
                Value::Package(self.keep_package(copied?)?)
            }
            other => other,
        })
    }

    fn keep_copy(&mut self, value: Value) -> Result<Handle, AmlError> {
        let bytes = self.bytes(value)?.to_vec();
        self.keep(bytes)
    }

    pub(super) fn bytes(&self, value: Value) -> Result<&[u8], AmlError> {
        let (Value::Text(handle) | Value::Buffer(handle)) = value else { return Err(AmlError::WrongKind) };
        self.buffers.get(handle.0).map(Vec::as_slice).ok_or(AmlError::OutOfRange)
    }

    pub(super) fn buffer(&mut self, handle: Handle) -> Result<&mut Vec<u8>, AmlError> {
        self.buffers.get_mut(handle.0).ok_or(AmlError::OutOfRange)
    }

    pub(super) fn elements(&self, value: Value) -> Result<&[Value], AmlError> {
        let Value::Package(handle) = value else { return Err(AmlError::WrongKind) };
        self.packages.get(handle.0).map(Vec::as_slice).ok_or(AmlError::OutOfRange)
    }

    pub(super) fn element(&mut self, package: Handle, number: usize) -> Result<&mut Value, AmlError> {
        self.packages.get_mut(package.0).and_then(|values| values.get_mut(number)).ok_or(AmlError::OutOfRange)
    }

    pub(super) fn name(&self, handle: Handle) -> Result<&(Path, Name), AmlError> {
        self.names.get(handle.0).ok_or(AmlError::OutOfRange)
    }

    /// Variables that hold `values`, one behind the other: the number of the first.
    pub(super) fn new_cells(&mut self, values: &[Value]) -> Result<usize, AmlError> {
        self.charge(size_of_val(values))?;
        let first = self.cells.len();
        self.cells.extend(values);
        Ok(first)
    }

    pub(super) fn cell(&mut self, cell: Cell) -> Result<&mut Value, AmlError> {
        self.cells.get_mut(cell.0).ok_or(AmlError::OutOfRange)
    }
}
