//! Storage of the data that values refer to. Nothing is freed before the interpreter is.

use alloc::vec::Vec;

use super::error::AmlError;
use super::limits::MAX_BYTES;
use super::name::{NameString, NamespacePath};
use super::value::{DataHandle, Value, Variable};

/// Bytes counted for a string or buffer besides its content.
const OVERHEAD_BYTES: usize = 32;

/// Strings, buffers, packages, names in packages, and the variables of method invocations.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Strings and buffers.
    bytes: Vec<Vec<u8>>,
    packages: Vec<Vec<Value>>,
    /// Names, each with the scope in which it is resolved.
    names: Vec<(NamespacePath, NameString)>,
    variables: Vec<Value>,
    used: usize,
}

impl Arena {
    /// Counts `bytes` more towards [`MAX_BYTES`].
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), AmlError> {
        self.used =
            self.used.checked_add(bytes).filter(|used| *used <= MAX_BYTES).ok_or(AmlError::MemoryLimit)?;
        Ok(())
    }

    /// Stores the content of a string or buffer.
    pub(super) fn add_bytes(&mut self, bytes: Vec<u8>) -> Result<DataHandle, AmlError> {
        self.charge(bytes.len() + OVERHEAD_BYTES)?;
        self.bytes.push(bytes);
        Ok(DataHandle(self.bytes.len() - 1))
    }

    pub(super) fn add_package(&mut self, values: Vec<Value>) -> Result<DataHandle, AmlError> {
        self.charge((values.len() + 1) * size_of::<Value>())?;
        self.packages.push(values);
        Ok(DataHandle(self.packages.len() - 1))
    }

    pub(super) fn add_name(
        &mut self,
        scope: &NamespacePath,
        name: NameString,
    ) -> Result<DataHandle, AmlError> {
        self.charge(scope.bytes() + name.bytes())?;
        self.names.push((scope.clone(), name));
        Ok(DataHandle(self.names.len() - 1))
    }

    /// Adds variables with these values, and returns the number of the first; the others follow.
    pub(super) fn add_variables(&mut self, values: &[Value]) -> Result<usize, AmlError> {
        self.charge(size_of_val(values))?;
        let first = self.variables.len();
        self.variables.extend(values);
        Ok(first)
    }

    /// A deep copy of `value`, down to `depth` nested packages.
    pub(super) fn copy(&mut self, value: Value, depth: u32) -> Result<Value, AmlError> {
        let depth = depth.checked_sub(1).ok_or(AmlError::DepthLimit)?;
        Ok(match value {
            Value::String(_) => Value::String(self.copy_bytes(value)?),
            Value::Buffer(_) => Value::Buffer(self.copy_bytes(value)?),
            Value::Package(_) => {
                let elements = self.elements(value)?.to_vec();
                let copied: Result<_, _> =
                    elements.into_iter().map(|value| self.copy(value, depth)).collect();
                Value::Package(self.add_package(copied?)?)
            }
            other => other,
        })
    }

    fn copy_bytes(&mut self, value: Value) -> Result<DataHandle, AmlError> {
        let bytes = self.bytes(value)?.to_vec();
        self.add_bytes(bytes)
    }

    /// The content of a string or buffer.
    pub(super) fn bytes(&self, value: Value) -> Result<&[u8], AmlError> {
        let (Value::String(handle) | Value::Buffer(handle)) = value else { return Err(AmlError::WrongType) };
        self.bytes.get(handle.0).map(Vec::as_slice).ok_or(AmlError::OutOfRange)
    }

    /// The content of a string or buffer, to be changed.
    pub(super) fn bytes_mut(&mut self, handle: DataHandle) -> Result<&mut Vec<u8>, AmlError> {
        self.bytes.get_mut(handle.0).ok_or(AmlError::OutOfRange)
    }

    /// The elements of a package.
    pub(super) fn elements(&self, value: Value) -> Result<&[Value], AmlError> {
        let Value::Package(handle) = value else { return Err(AmlError::WrongType) };
        self.packages.get(handle.0).map(Vec::as_slice).ok_or(AmlError::OutOfRange)
    }

    pub(super) fn element_mut(&mut self, package: DataHandle, index: usize) -> Result<&mut Value, AmlError> {
        self.packages.get_mut(package.0).and_then(|values| values.get_mut(index)).ok_or(AmlError::OutOfRange)
    }

    /// A name, and the scope in which it is resolved.
    pub(super) fn name(&self, handle: DataHandle) -> Result<&(NamespacePath, NameString), AmlError> {
        self.names.get(handle.0).ok_or(AmlError::OutOfRange)
    }

    pub(super) fn variable_mut(&mut self, variable: Variable) -> Result<&mut Value, AmlError> {
        self.variables.get_mut(variable.0).ok_or(AmlError::OutOfRange)
    }
}
