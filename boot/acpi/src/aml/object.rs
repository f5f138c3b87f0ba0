//! Objects of the namespace.

use super::code::Cursor;
use super::error::AmlError;
use super::name::NamespacePath;
use super::region_handler::RegionSpace;
use super::value::{DataHandle, ObjectId, Value};

/// FieldFlags (20.2.5.2): access type in bits 0 to 3, update rule in bits 5 and 6.
const ACCESS_TYPE: u8 = 0x0f;
const WORD_ACC: u8 = 2;
const DWORD_ACC: u8 = 3;
const QWORD_ACC: u8 = 4;
const UPDATE_RULE_SHIFT: u32 = 5;
const UPDATE_RULE: u8 = 0b11;
const WRITE_AS_ONES: u8 = 1;
const WRITE_AS_ZEROS: u8 = 2;

/// An object of the namespace.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// A data object.
    Value(Value),
    /// A scope that is not a device.
    Scope,
    /// A device, processor, power resource or thermal zone.
    Device,
    /// A control method.
    Method(Method),
    /// An operation region of `bytes` bytes, at address `start` of its address space.
    Region { space: RegionSpace, start: u64, bytes: u64 },
    /// An operation region in an unsupported address space.
    UnsupportedRegion,
    /// A field unit of a region.
    Field { region: ObjectId, bits: BitRange, flags: FieldFlags },
    /// A field unit behind an index register and a data register.
    IndexField { index: ObjectId, data: ObjectId, bits: BitRange, flags: FieldFlags },
    /// A field of a buffer.
    BufferField { buffer: DataHandle, bits: BitRange },
    /// A mutex or event.
    Synchronization,
}

/// A control method.
#[derive(Debug, Clone)]
pub(super) struct Method {
    /// Path of the method, which is the scope of its code.
    pub(super) scope: NamespacePath,
    pub(super) body: Cursor,
    /// Number of arguments, 0 to 7.
    pub(super) arguments: usize,
}

/// The bits of a field unit in its region, register pair or buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitRange {
    pub(super) first: u64,
    pub(super) count: u64,
}

/// How a field unit is accessed (20.2.5.2, FieldFlags).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldFlags(u8);

impl FieldFlags {
    /// The flags of a field list.
    pub(super) fn new(flags: u8) -> Self {
        Self(flags)
    }

    /// The same flags with the access type of an AccessField.
    pub(super) fn with_access_type(self, access_type: u8) -> Self {
        Self(self.0 & !ACCESS_TYPE | access_type & ACCESS_TYPE)
    }

    /// Bytes of each access: 1, 2, 4 or 8. AnyAcc and BufferAcc are byte accesses.
    pub(super) fn access_bytes(self) -> u8 {
        match self.0 & ACCESS_TYPE {
            WORD_ACC => 2,
            DWORD_ACC => 4,
            QWORD_ACC => 8,
            _ => 1,
        }
    }

    /// What is written to the bits around a field unit, by the update rule: ones, zeros or the bits that `read` returns.
    pub(super) fn surrounding_bits(
        self,
        read: impl FnOnce() -> Result<u64, AmlError>,
    ) -> Result<u64, AmlError> {
        match self.0 >> UPDATE_RULE_SHIFT & UPDATE_RULE {
            WRITE_AS_ONES => Ok(u64::MAX),
            WRITE_AS_ZEROS => Ok(0),
            _ => read(),
        }
    }
}
