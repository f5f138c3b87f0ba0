//! Reading and storing field units of operation regions and fields of buffers.

use super::object::{BitRange, FieldFlags, Object};
use super::value::{DataHandle, Location, ObjectId, Value};
use super::{AmlError, Interpreter, RegionHandler, RegionSpace};

/// Longest field that is an integer, in bits. Longer fields are not supported.
const MAX_BITS: u64 = 64;
/// Limit on the bit offset of a field's end, so that sums with it cannot overflow.
const MAX_END: u64 = 1 << 48;

/// The lowest `count` bits.
fn mask(count: u64) -> u64 {
    if count >= MAX_BITS { u64::MAX } else { (1 << count) - 1 }
}

impl<H: RegionHandler> Interpreter<H> {
    /// The value of an object: of a data object its data, of a field unit what is read from it, of any other object a reference.
    pub(super) fn read_object_value(&mut self, object: ObjectId) -> Result<Value, AmlError> {
        self.step()?;
        match *self.namespace.object(object).ok_or(AmlError::OutOfRange)? {
            Object::Value(value) => Ok(value),
            Object::BufferField { buffer, bits } => self.read_buffer_field(buffer, bits),
            Object::Field { bits, flags, .. } | Object::IndexField { bits, flags, .. } => {
                self.read_field(object, bits, flags)
            }
            _ => Ok(Value::Reference(Location::Object(object))),
        }
    }

    /// Stores `value` to `object`, if that is a field; else returns `None`.
    pub(super) fn store_to_field(&mut self, object: ObjectId, value: Value) -> Result<Option<()>, AmlError> {
        match *self.namespace.object(object).ok_or(AmlError::OutOfRange)? {
            Object::BufferField { buffer, bits } => {
                let value = self.to_integer(value)?;
                self.write_buffer_field(buffer, bits, value).map(Some)
            }
            Object::Field { bits, flags, .. } | Object::IndexField { bits, flags, .. } => {
                let value = self.to_integer(value)?;
                self.write_field(object, bits, flags, value).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads a field unit by accesses of the width that its flags give.
    fn read_field(&mut self, field: ObjectId, bits: BitRange, flags: FieldFlags) -> Result<Value, AmlError> {
        let (width, end) = access_width_and_end(bits, flags)?;
        let mut value = 0;
        let mut at = bits.first - bits.first % width;
        while at < end {
            let unit = self.read_unit(field, at / 8, flags.access_bytes())?;
            value |= shift_from(unit, at, bits.first);
            at += width;
        }
        Ok(Value::Integer(value & mask(bits.count)))
    }

    /// Writes a field unit. Where an access also covers bits outside of the field, the update rule gives those.
    fn write_field(
        &mut self,
        field: ObjectId,
        bits: BitRange,
        flags: FieldFlags,
        value: u64,
    ) -> Result<(), AmlError> {
        let (width, end) = access_width_and_end(bits, flags)?;
        let bytes = flags.access_bytes();
        let mut at = bits.first - bits.first % width;
        while at < end {
            let inside = shift_to(mask(bits.count), at, bits.first) & mask(width);
            let new = shift_to(value & mask(bits.count), at, bits.first) & inside;
            let outside = if inside == mask(width) {
                0
            } else {
                flags.surrounding_bits(|| self.read_unit(field, at / 8, bytes))?
            };
            self.write_unit(field, at / 8, bytes, outside & !inside & mask(width) | new)?;
            at += width;
        }
        Ok(())
    }

    /// One access: reads `bytes` bytes at byte `offset` of the region or register bank that `field` is part of.
    fn read_unit(&mut self, field: ObjectId, offset: u64, bytes: u8) -> Result<u64, AmlError> {
        self.step()?;
        if let Some(data) = self.select(field, offset)? {
            let value = self.read_object_value(data)?;
            return self.to_integer(value);
        }
        let (space, address) = self.address(field, offset, bytes)?;
        self.handler.read(space, address, bytes).ok_or(AmlError::AccessRefused)
    }

    /// One access: the same for writing.
    fn write_unit(&mut self, field: ObjectId, offset: u64, bytes: u8, value: u64) -> Result<(), AmlError> {
        self.step()?;
        if let Some(data) = self.select(field, offset)? {
            return self.store_to_field(data, Value::Integer(value))?.ok_or(AmlError::WrongType);
        }
        let (space, address) = self.address(field, offset, bytes)?;
        self.handler.write(space, address, bytes, value).ok_or(AmlError::AccessRefused)
    }

    /// For an IndexField, writes `offset` to the index register and returns the data register; else `None`. Both registers must
    /// be field units of regions, not of other IndexFields.
    fn select(&mut self, field: ObjectId, offset: u64) -> Result<Option<ObjectId>, AmlError> {
        let Some(&Object::IndexField { index, data, .. }) = self.namespace.object(field) else {
            return Ok(None);
        };
        let is_in_region = |object| matches!(self.namespace.object(object), Some(Object::Field { .. }));
        if !is_in_region(index) || !is_in_region(data) {
            return Err(AmlError::WrongType);
        }
        self.store_to_field(index, Value::Integer(offset))?;
        Ok(Some(data))
    }

    /// The address of the `bytes` bytes at `offset` of the region that `field` is part of.
    fn address(&self, field: ObjectId, offset: u64, bytes: u8) -> Result<(RegionSpace, u64), AmlError> {
        let Some(&Object::Field { region, .. }) = self.namespace.object(field) else {
            return Err(AmlError::WrongType);
        };
        match self.namespace.object(region) {
            Some(&Object::Region { space, start, bytes: length }) => {
                let is_inside = offset.checked_add(bytes.into()).is_some_and(|end| end <= length);
                let address = start.checked_add(offset).filter(|_| is_inside).ok_or(AmlError::OutOfRange)?;
                Ok((space, address))
            }
            Some(Object::UnsupportedRegion) => Err(AmlError::AccessRefused),
            _ => Err(AmlError::WrongType),
        }
    }

    fn read_buffer_field(&mut self, buffer: DataHandle, bits: BitRange) -> Result<Value, AmlError> {
        let bytes = self.bytes_of_field(buffer, bits)?;
        let whole = bytes.iter().rev().fold(0u128, |whole, byte| whole << 8 | u128::from(*byte));
        Ok(Value::Integer((whole >> (bits.first % 8)) as u64 & mask(bits.count)))
    }

    fn write_buffer_field(&mut self, buffer: DataHandle, bits: BitRange, value: u64) -> Result<(), AmlError> {
        let shift = bits.first % 8;
        let inside = u128::from(mask(bits.count)) << shift;
        let new = u128::from(value) << shift & inside;
        let bytes = self.bytes_of_field(buffer, bits)?.iter_mut();
        for ((byte, inside), new) in bytes.zip(inside.to_le_bytes()).zip(new.to_le_bytes()) {
            *byte = *byte & !inside | new;
        }
        Ok(())
    }

    /// The bytes of a buffer that a field touches, at most 9.
    fn bytes_of_field(&mut self, buffer: DataHandle, bits: BitRange) -> Result<&mut [u8], AmlError> {
        let end = field_end(bits)?;
        let index = |number: u64| usize::try_from(number).map_err(|_| AmlError::OutOfRange);
        let touched = index(bits.first / 8)?..index(end.div_ceil(8))?;
        self.arena.bytes_mut(buffer)?.get_mut(touched).ok_or(AmlError::OutOfRange)
    }
}

/// The end of a field, in bits; an error if the field is not an integer.
fn field_end(bits: BitRange) -> Result<u64, AmlError> {
    let end = bits.first.checked_add(bits.count).filter(|end| *end < MAX_END);
    end.filter(|_| (1..=MAX_BITS).contains(&bits.count)).ok_or(AmlError::OutOfRange)
}

/// The width of each access, and the end of the field, in bits.
fn access_width_and_end(bits: BitRange, flags: FieldFlags) -> Result<(u64, u64), AmlError> {
    Ok((u64::from(flags.access_bytes()) * 8, field_end(bits)?))
}

/// Moves the bits of an access at bit `at` to their positions in a field that begins at bit `first`.
fn shift_from(unit: u64, at: u64, first: u64) -> u64 {
    if at < first { unit >> (first - at) } else { unit << (at - first) }
}

/// Moves the bits of a field that begins at bit `first` to their positions in an access at bit `at`.
fn shift_to(field: u64, at: u64, first: u64) -> u64 {
    if at < first { field << (first - at) } else { field >> (at - first) }
}
