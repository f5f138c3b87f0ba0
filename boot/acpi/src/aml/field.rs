//! Bits of a region or of a buffer, as values.

use super::object::{Access, Bits, Handle, Node, Object, Value};
use super::{AmlError, Host, Interpreter};

/// The most bits that a field has which is an integer.
const MAX_BITS: u64 = 64;

/// The lowest `count` bits.
fn mask(count: u64) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

impl<H: Host> Interpreter<H> {
    /// The value of what a node stands for: a field is read.
    pub(super) fn value_of(&mut self, node: Node) -> Result<Value, AmlError> {
        self.step()?;
        match *self.names.object(node).ok_or(AmlError::OutOfRange)? {
            Object::Value(value) => Ok(value),
            Object::BufferField { buffer, bits } => self.read_buffer(buffer, bits),
            Object::Field { bits, access, .. } | Object::Indexed { bits, access, .. } => {
                self.read_field(node, bits, access)
            }
            _ => Ok(Value::Reference(super::object::Place::Named(node))),
        }
    }

    /// Stores `value` in the field that a node stands for; `None` if it is none.
    pub(super) fn store_field(&mut self, node: Node, value: Value) -> Result<Option<()>, AmlError> {
        match *self.names.object(node).ok_or(AmlError::OutOfRange)? {
            Object::BufferField { buffer, bits } => {
                let value = self.to_integer(value)?;
                self.write_buffer(buffer, bits, value).map(Some)
            }
            Object::Field { bits, access, .. } | Object::Indexed { bits, access, .. } => {
                let value = self.to_integer(value)?;
                self.write_field(node, bits, access, value).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads a field unit by unit, each as wide as the access.
    fn read_field(&mut self, node: Node, bits: Bits, access: Access) -> Result<Value, AmlError> {
        let (unit, end) = units(bits, access)?;
        let mut value = 0;
        let mut at = bits.first - bits.first % unit;
        while at < end {
            let found = self.read_unit(node, at / 8, access.bytes())?;
            value |= place(found, at, bits.first);
            at += unit;
        }
        Ok(Value::Integer(value & mask(bits.count)))
    }

    fn write_field(&mut self, node: Node, bits: Bits, access: Access, value: u64) -> Result<(), AmlError> {
        let (unit, end) = units(bits, access)?;
        let mut at = bits.first - bits.first % unit;
        while at < end {
            let ours = place_back(mask(bits.count), at, bits.first) & mask(unit);
            let new = place_back(value & mask(bits.count), at, bits.first) & ours;
            let around = if ours == mask(unit) {
                0
            } else {
                access.around(|| self.read_unit(node, at / 8, access.bytes()))?
            };
            self.write_unit(node, at / 8, access.bytes(), around & !ours & mask(unit) | new)?;
            at += unit;
        }
        Ok(())
    }

    fn read_unit(&mut self, node: Node, offset: u64, bytes: u8) -> Result<u64, AmlError> {
        self.step()?;
        if let Some(data) = self.select(node, offset)? {
            let value = self.value_of(data)?;
            return self.to_integer(value);
        }
        let (space, address) = self.region_of(node, offset, bytes)?;
        self.host.read(space, address, bytes).ok_or(AmlError::Refused)
    }

    fn write_unit(&mut self, node: Node, offset: u64, bytes: u8, value: u64) -> Result<(), AmlError> {
        self.step()?;
        if let Some(data) = self.select(node, offset)? {
            return self.store_field(data, Value::Integer(value))?.ok_or(AmlError::WrongKind);
        }
        let (space, address) = self.region_of(node, offset, bytes)?;
        self.host.write(space, address, bytes, value).ok_or(AmlError::Refused)
    }

    /// Selects the byte at `offset` of what is behind a pair of registers, and tells which of them has the data. Both are
    /// fields of a region, not such pairs themselves.
    fn select(&mut self, node: Node, offset: u64) -> Result<Option<Node>, AmlError> {
        let Some(&Object::Indexed { index, data, .. }) = self.names.object(node) else { return Ok(None) };
        let is_plain = |node| matches!(self.names.object(node), Some(Object::Field { .. }));
        if !is_plain(index) || !is_plain(data) {
            return Err(AmlError::WrongKind);
        }
        self.store_field(index, Value::Integer(offset))?;
        Ok(Some(data))
    }

    /// Where `bytes` at `offset` of a field's region are.
    fn region_of(&self, node: Node, offset: u64, bytes: u8) -> Result<(super::Space, u64), AmlError> {
        let Some(&Object::Field { region, .. }) = self.names.object(node) else {
            return Err(AmlError::WrongKind);
        };
        match self.names.object(region) {
            Some(&Object::Region { space, start, bytes: length }) => {
                let is_inside = offset.checked_add(bytes.into()).is_some_and(|end| end <= length);
                let address = start.checked_add(offset).filter(|_| is_inside).ok_or(AmlError::OutOfRange)?;
                Ok((space, address))
            }
            Some(Object::Unreachable) => Err(AmlError::Refused),
            _ => Err(AmlError::WrongKind),
        }
    }

    fn read_buffer(&mut self, buffer: Handle, bits: Bits) -> Result<Value, AmlError> {
        let (_, end) = units(bits, Access(1))?;
        let bytes = self.arena.buffer(buffer)?;
        let (first, last) = (bits.first / 8, end.div_ceil(8));
        let found = bytes.get(index(first)?..index(last)?).ok_or(AmlError::OutOfRange)?;
        let whole = found.iter().rev().fold(0u128, |whole, byte| whole << 8 | u128::from(*byte));
        Ok(Value::Integer((whole >> (bits.first % 8)) as u64 & mask(bits.count)))
    }

    fn write_buffer(&mut self, buffer: Handle, bits: Bits, value: u64) -> Result<(), AmlError> {
        let (_, end) = units(bits, Access(1))?;
        let bytes = self.arena.buffer(buffer)?;
        let (first, last) = (bits.first / 8, end.div_ceil(8));
        let found = bytes.get_mut(index(first)?..index(last)?).ok_or(AmlError::OutOfRange)?;
        let shift = bits.first % 8;
        let ours = u128::from(mask(bits.count)) << shift;
        let new = u128::from(value) << shift & ours;
        for ((byte, ours), new) in found.iter_mut().zip(ours.to_le_bytes()).zip(new.to_le_bytes()) {
            *byte = *byte & !ours | new;
        }
        Ok(())
    }
}

/// The bits of one access, and the end of the field, if it is one that is an integer.
fn units(bits: Bits, access: Access) -> Result<(u64, u64), AmlError> {
    let end = bits.first.checked_add(bits.count).filter(|end| *end < 1 << 48);
    let end = end.filter(|_| (1..=MAX_BITS).contains(&bits.count)).ok_or(AmlError::OutOfRange)?;
    Ok((u64::from(access.bytes()) * 8, end))
}

/// Bits of a unit at bit `at`, moved to where they are in a field that begins at `first`.
fn place(unit: u64, at: u64, first: u64) -> u64 {
    if at < first { unit >> (first - at) } else { unit << (at - first) }
}

/// Bits of a field that begins at `first`, moved to where they are in a unit at bit `at`.
fn place_back(field: u64, at: u64, first: u64) -> u64 {
    if at < first { field << (first - at) } else { field >> (at - first) }
}

/// A number of bytes as an index.
fn index(number: u64) -> Result<usize, AmlError> {
    usize::try_from(number).map_err(|_| AmlError::OutOfRange)
}
