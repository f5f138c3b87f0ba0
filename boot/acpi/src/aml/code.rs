//! Definition blocks as bytes, and reading them term by term.

use alloc::vec::Vec;

use super::error::AmlError;

/// PkgLeadByte (20.2.4): the number of following length bytes, the length if none follow, else its lowest four bits.
const FOLLOWING_SHIFT: u32 = 6;
const WHOLE_LENGTH: u8 = 0x3f;
const LOW_LENGTH: u8 = 0x0f;
const LOW_LENGTH_BITS: u32 = 4;

/// The AML of all definition blocks.
pub(super) struct Code(Vec<Vec<u8>>);

/// A part of a definition block, and the position up to which it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    block: usize,
    at: usize,
    end: usize,
}

impl Cursor {
    /// Whether the whole part has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }
}

impl Code {
    pub(super) fn new(blocks: Vec<Vec<u8>>) -> Self {
        Self(blocks)
    }

    /// A cursor over each definition block.
    pub(super) fn blocks(&self) -> Vec<Cursor> {
        let numbered = self.0.iter().enumerate();
        numbered.map(|(block, bytes)| Cursor { block, at: 0, end: bytes.len() }).collect()
    }

    /// The next byte; the cursor does not move. `None` at the end.
    pub(super) fn peek(&self, cursor: &Cursor) -> Option<u8> {
        if cursor.is_at_end() { None } else { self.0.get(cursor.block)?.get(cursor.at).copied() }
    }

    /// Reads the next byte.
    pub(super) fn byte(&self, cursor: &mut Cursor) -> Result<u8, AmlError> {
        let byte = self.peek(cursor).ok_or(AmlError::Truncated)?;
        cursor.at += 1;
        Ok(byte)
    }

    /// Reads the next `count` bytes.
    pub(super) fn take(&self, cursor: &mut Cursor, count: usize) -> Result<&[u8], AmlError> {
        let end = cursor.at.checked_add(count).filter(|end| *end <= cursor.end).ok_or(AmlError::Truncated)?;
        let bytes = self.0.get(cursor.block).and_then(|bytes| bytes.get(cursor.at..end));
        cursor.at = end;
        bytes.ok_or(AmlError::Truncated)
    }

    /// Reads a little-endian integer of `count` bytes, at most 8.
    pub(super) fn integer(&self, cursor: &mut Cursor, count: usize) -> Result<u64, AmlError> {
        let bytes = self.take(cursor, count)?;
        Ok(bytes.iter().rev().fold(0, |integer, byte| integer << 8 | u64::from(*byte)))
    }

    /// Reads a string (20.2.3, AsciiCharList NullChar), without its NUL.
    pub(super) fn string(&self, cursor: &mut Cursor) -> Result<&[u8], AmlError> {
        let rest = self.0.get(cursor.block).and_then(|bytes| bytes.get(cursor.at..cursor.end));
        let rest = rest.ok_or(AmlError::Truncated)?;
        let length = rest.iter().position(|byte| *byte == 0).ok_or(AmlError::Truncated)?;
        cursor.at += length + 1;
        rest.get(..length).ok_or(AmlError::Truncated)
    }

    /// Reads a PkgLength (20.2.4).
    pub(super) fn pkg_length(&self, cursor: &mut Cursor) -> Result<usize, AmlError> {
        let lead = self.byte(cursor)?;
        let following = usize::from(lead >> FOLLOWING_SHIFT);
        let high = self.integer(cursor, following)? as usize;
        Ok(match following {
            0 => usize::from(lead & WHOLE_LENGTH),
            _ => high << LOW_LENGTH_BITS | usize::from(lead & LOW_LENGTH),
        })
    }

    /// Reads a PkgLength and returns the part of the block that it covers, behind the PkgLength itself. The cursor moves to the
    /// end of that part.
    pub(super) fn package(&self, cursor: &mut Cursor) -> Result<Cursor, AmlError> {
        let start = cursor.at;
        let length = self.pkg_length(cursor)?;
        let end = start + length;
        if end < cursor.at || end > cursor.end {
            return Err(AmlError::Truncated);
        }
        let inside = Cursor { end, ..*cursor };
        cursor.at = end;
        Ok(inside)
    }
}
