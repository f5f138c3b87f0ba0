//! Names (20.2.2): name segments, NameStrings as code has them, and paths in the namespace.

use alloc::vec::Vec;
use core::fmt;

use super::code::{Code, Cursor};
use super::error::AmlError;
use super::limits::MAX_PATH_SEGMENTS;
use super::opcode::{DUAL_NAME_PREFIX, MULTI_NAME_PREFIX, NULL_NAME, PARENT_PREFIX_CHAR, ROOT_CHAR};

/// A name segment: four characters, shorter names padded with `_`.
pub type NameSeg = [u8; 4];

/// What error reports show for the root, which has no name segment.
const ROOT_SEG: NameSeg = *b"\\   ";
/// Bytes counted for a name or path besides its segments.
const OVERHEAD_BYTES: usize = 64;

/// The absolute path of an object in the namespace (5.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamespacePath(Vec<NameSeg>);

impl NamespacePath {
    /// The path of the root.
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// The path of the object `name` in this scope.
    pub fn join(&self, name: NameSeg) -> Self {
        let mut segments = self.0.clone();
        segments.push(name);
        Self(segments)
    }

    /// The path of the scope that contains this object; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// The last segment.
    pub(super) fn last(&self) -> NameSeg {
        self.0.last().copied().unwrap_or(ROOT_SEG)
    }

    /// Bytes that the path counts for ([`MAX_BYTES`](super::MAX_BYTES)).
    pub(super) fn bytes(&self) -> usize {
        OVERHEAD_BYTES + size_of::<NameSeg>() * self.0.len()
    }
}

impl fmt::Display for NamespacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\\")?;
        for (number, segment) in self.0.iter().enumerate() {
            write!(f, "{}{}", if number == 0 { "" } else { "." }, segment.escape_ascii())?;
        }
        Ok(())
    }
}

/// A NameString: the name of an object as code has it, absolute or relative to a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameString {
    is_absolute: bool,
    /// Number of parent prefixes.
    parents: usize,
    segments: Vec<NameSeg>,
}

impl NameString {
    /// Whether `byte` begins a NameString other than NullName.
    pub(super) fn begins_with(byte: u8) -> bool {
        let is_prefix = matches!(byte, ROOT_CHAR | PARENT_PREFIX_CHAR | DUAL_NAME_PREFIX | MULTI_NAME_PREFIX);
        is_prefix || matches!(byte, b'_' | b'A'..=b'Z')
    }

    /// Reads a NameString. More than [`MAX_PATH_SEGMENTS`] segments or parent prefixes are an error: no object can have that
    /// name.
    pub(super) fn read(code: &Code, cursor: &mut Cursor) -> Result<Self, AmlError> {
        let mut name = Self { is_absolute: false, parents: 0, segments: Vec::new() };
        if code.peek(cursor) == Some(ROOT_CHAR) {
            code.byte(cursor)?;
            name.is_absolute = true;
        }
        while code.peek(cursor) == Some(PARENT_PREFIX_CHAR) {
            code.byte(cursor)?;
            name.parents += 1;
            check_limit(name.parents)?;
        }
        let count = segment_count(code, cursor)?;
        check_limit(count)?;
        for _ in 0..count {
            let segment = code.take(cursor, size_of::<NameSeg>())?.first_chunk().copied();
            name.segments.push(segment.ok_or(AmlError::Truncated)?);
        }
        Ok(name)
    }

    /// The path of an object that is declared by this name in `scope`. A path of more than [`MAX_PATH_SEGMENTS`] is an error.
    pub(super) fn declared_in(&self, scope: &NamespacePath) -> Result<NamespacePath, AmlError> {
        let path = self.relative_to(scope);
        check_limit(path.0.len())?;
        Ok(path)
    }

    fn relative_to(&self, scope: &NamespacePath) -> NamespacePath {
        let mut segments = if self.is_absolute { Vec::new() } else { scope.0.clone() };
        segments.truncate(segments.len().saturating_sub(self.parents));
        segments.extend(&self.segments);
        NamespacePath(segments)
    }

    /// Resolves the name in `scope` to the path of an object that `exists`. A single segment without prefixes is searched in
    /// `scope` and then in every enclosing scope up to the root (5.3).
    pub(super) fn find_in(
        &self,
        scope: &NamespacePath,
        exists: impl Fn(&NamespacePath) -> bool,
    ) -> Option<NamespacePath> {
        let is_searched = !self.is_absolute && self.parents == 0 && self.segments.len() == 1;
        let mut path = self.relative_to(scope);
        while !exists(&path) {
            // One scope up: the last segment replaces the one before it.
            let innermost = path.0.len().checked_sub(2).filter(|_| is_searched)?;
            path.0.swap_remove(innermost);
        }
        Some(path)
    }

    /// The last segment.
    pub(super) fn last(&self) -> NameSeg {
        self.segments.last().copied().unwrap_or(ROOT_SEG)
    }

    /// Bytes that the name counts for ([`MAX_BYTES`](super::MAX_BYTES)).
    pub(super) fn bytes(&self) -> usize {
        OVERHEAD_BYTES + size_of::<NameSeg>() * self.segments.len()
    }
}

/// Reads the prefix of a NamePath: the number of segments that follow.
fn segment_count(code: &Code, cursor: &mut Cursor) -> Result<usize, AmlError> {
    let count = match code.peek(cursor).ok_or(AmlError::Truncated)? {
        NULL_NAME => 0,
        DUAL_NAME_PREFIX => 2,
        MULTI_NAME_PREFIX => {
            code.byte(cursor)?;
            return code.byte(cursor).map(usize::from);
        }
        _ => return Ok(1),
    };
    code.byte(cursor)?;
    Ok(count)
}

fn check_limit(segments: usize) -> Result<(), AmlError> {
    if segments > MAX_PATH_SEGMENTS { Err(AmlError::DepthLimit) } else { Ok(()) }
}
