//! Blocks of code, and the way through them.

use alloc::vec::Vec;

use super::error::AmlError;

/// The definition blocks.
pub(super) struct Code(Vec<Vec<u8>>);

/// A stretch of a block, and how far it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    block: usize,
    at: usize,
    end: usize,
}

impl Cursor {
    /// Whether all of it has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }
}

impl Code {
    pub(super) fn new(blocks: Vec<Vec<u8>>) -> Self {
        Self(blocks)
    }

    /// Each block as a whole.
    pub(super) fn whole(&self) -> Vec<Cursor> {
        let numbered = self.0.iter().enumerate();
        numbered.map(|(block, bytes)| Cursor { block, at: 0, end: bytes.len() }).collect()
    }

    /// The next byte, which stays the next one.
    pub(super) fn peek(&self, cursor: &Cursor) -> Option<u8> {
        if cursor.is_at_end() { None } else { self.0.get(cursor.block)?.get(cursor.at).copied() }
    }

    pub(super) fn byte(&self, cursor: &mut Cursor) -> Result<u8, AmlError> {
        let byte = self.peek(cursor).ok_or(AmlError::Truncated)?;
        cursor.at += 1;
        Ok(byte)
    }

    /// The next `count` bytes.
    pub(super) fn take(&self, cursor: &mut Cursor, count: usize) -> Result<&[u8], AmlError> {
        let end = cursor.at.checked_add(count).filter(|end| *end <= cursor.end).ok_or(AmlError::Truncated)?;
        let bytes = self.0.get(cursor.block).and_then(|bytes| bytes.get(cursor.at..end));
        cursor.at = end;
        bytes.ok_or(AmlError::Truncated)
    }

    /// A number of `count` bytes, 8 at most, in little-endian order.
    pub(super) fn number(&self, cursor: &mut Cursor, count: usize) -> Result<u64, AmlError> {
        let bytes = self.take(cursor, count)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A text up to its end mark, without it.
    pub(super) fn text(&self, cursor: &mut Cursor) -> Result<&[u8], AmlError> {
        let rest = self.0.get(cursor.block).and_then(|bytes| bytes.get(cursor.at..cursor.end));
        let rest = rest.ok_or(AmlError::Truncated)?;
        let length = rest.iter().position(|byte| *byte == 0).ok_or(AmlError::Truncated)?;
        cursor.at += length + 1;
        rest.get(..length).ok_or(AmlError::Truncated)
    }

    /// A length as packages have it (20.2.4): its first byte says how many follow.
    pub(super) fn length(&self, cursor: &mut Cursor) -> Result<usize, AmlError> {
        let lead = self.byte(cursor)?;
        let more = self.number(cursor, usize::from(lead >> 6))? as usize;
        Ok(if lead >> 6 == 0 { usize::from(lead & 0x3f) } else { more << 4 | usize::from(lead & 0xf) })
    }

    /// The inside of a package, which says its own length; the cursor goes on behind it.
    pub(super) fn package(&self, cursor: &mut Cursor) -> Result<Cursor, AmlError> {
        let start = cursor.at;
        let length = self.length(cursor)?;
        let end = start + length;
        if end < cursor.at || end > cursor.end {
            return Err(AmlError::Truncated);
        }
        let inside = Cursor { end, ..*cursor };
        cursor.at = end;
        Ok(inside)
    }
}
