//! Data objects, and the locations where they are stored.

/// A data object (19.3.5). Strings, buffers and packages are handles to data that the interpreter stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Uninitialized: no value was stored.
    Uninitialized,
    /// An integer.
    Integer(u64),
    /// A string, without its NUL.
    String(DataHandle),
    /// A buffer.
    Buffer(DataHandle),
    /// A package.
    Package(DataHandle),
    /// A name as an element of a package. It is resolved on use, because the object may be declared later.
    Name(DataHandle),
    /// An object reference.
    Reference(Location),
}

/// Identifies a string, buffer, package or name that an interpreter stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHandle(pub(super) usize);

/// Where a value can be stored: what a target names and an object reference refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// No location: what is stored is dropped.
    Null,
    /// A local variable of a method invocation.
    Local(Variable),
    /// An argument of a method invocation.
    Argument(Variable),
    /// An object in the namespace.
    Object(ObjectId),
    /// An element of a package.
    Element(DataHandle, usize),
    /// A byte of a buffer or string.
    Byte(DataHandle, usize),
}

/// Identifies a local variable or argument of a method invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable(pub(super) usize);

/// Identifies an object in the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectId(pub(super) usize);
