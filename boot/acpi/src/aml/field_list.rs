//! Terms that declare field units of operation regions (20.2.5.2) and fields of buffers.

use super::code::Cursor;
use super::context::EvalContext;
use super::object::{BitRange, FieldFlags, Object};
use super::opcode::field_element::{ACCESS_FIELD, CONNECT_FIELD, EXTENDED_ACCESS_FIELD, RESERVED_FIELD};
use super::opcode::{CREATE_BIT_FIELD_OP, CREATE_BYTE_FIELD_OP, CREATE_DWORD_FIELD_OP, CREATE_WORD_FIELD_OP};
use super::value::Value;
use super::{AmlError, Interpreter, RegionHandler};

/// Bytes behind the access type: AccessAttrib of an AccessField; also AccessLength of an ExtendedAccessField.
const ACCESS_FIELD_ATTRIBUTES: usize = 1;
const EXTENDED_ACCESS_FIELD_ATTRIBUTES: usize = 2;

impl<H: RegionHandler> Interpreter<H> {
    pub(super) fn field(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let region = self.read_object(context, &mut inside)?;
        self.field_list(context, inside, |bits, flags| Object::Field { region, bits, flags })
    }

    pub(super) fn index_field(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let index = self.read_object(context, &mut inside)?;
        let data = self.read_object(context, &mut inside)?;
        self.field_list(context, inside, |bits, flags| Object::IndexField { index, data, bits, flags })
    }

    /// FieldFlags and FieldList: declares consecutive field units, each with the object that `unit` makes.
    fn field_list(
        &mut self,
        context: &EvalContext,
        mut list: Cursor,
        unit: impl Fn(BitRange, FieldFlags) -> Object,
    ) -> Result<(), AmlError> {
        let mut flags = FieldFlags::new(self.code.byte(&mut list)?);
        let mut first = 0u64;
        while let Some(lead) = self.code.peek(&list) {
            self.step()?;
            first += match lead {
                RESERVED_FIELD => {
                    self.code.byte(&mut list)?;
                    self.code.pkg_length(&mut list)? as u64
                }
                ACCESS_FIELD | EXTENDED_ACCESS_FIELD => {
                    flags = self.access_field(&mut list, flags)?;
                    0
                }
                CONNECT_FIELD => return Err(AmlError::UnknownOpcode(CONNECT_FIELD.into())),
                _ => {
                    let name = self.read_name(&mut list)?;
                    let count = self.code.pkg_length(&mut list)? as u64;
                    self.add_named(context, &name, unit(BitRange { first, count }, flags))?;
                    count
                }
            };
        }
        Ok(())
    }

    /// AccessField or ExtendedAccessField: the flags of the following field units.
    fn access_field(&mut self, list: &mut Cursor, flags: FieldFlags) -> Result<FieldFlags, AmlError> {
        let attributes = match self.code.byte(list)? {
            EXTENDED_ACCESS_FIELD => EXTENDED_ACCESS_FIELD_ATTRIBUTES,
            _ => ACCESS_FIELD_ATTRIBUTES,
        };
        let flags = flags.with_access_type(self.code.byte(list)?);
        self.code.take(list, attributes)?;
        Ok(flags)
    }

    /// CreateBitField, CreateByteField, CreateWordField, CreateDWordField and CreateQWordField.
    pub(super) fn create_sized_field(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<(), AmlError> {
        let buffer = self.value(&context.nested()?, code)?;
        let index = self.integer_value(context, code)?;
        // The index counts bits for CreateBitField, else bytes.
        let (unit, count) = match opcode {
            CREATE_BIT_FIELD_OP => (1, 1),
            CREATE_BYTE_FIELD_OP => (8, 8),
            CREATE_WORD_FIELD_OP => (8, 16),
            CREATE_DWORD_FIELD_OP => (8, 32),
            _ => (8, 64),
        };
        let first = index.checked_mul(unit).ok_or(AmlError::OutOfRange)?;
        self.add_buffer_field(context, code, buffer, BitRange { first, count })
    }

    /// CreateField: any number of bits.
    pub(super) fn create_field(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let buffer = self.value(&context.nested()?, code)?;
        let first = self.integer_value(context, code)?;
        let count = self.integer_value(context, code)?;
        self.add_buffer_field(context, code, buffer, BitRange { first, count })
    }

    fn add_buffer_field(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        buffer: Value,
        bits: BitRange,
    ) -> Result<(), AmlError> {
        let Value::Buffer(buffer) = buffer else { return Err(AmlError::WrongType) };
        let name = self.read_name(code)?;
        self.add_named(context, &name, Object::BufferField { buffer, bits })
    }
}
