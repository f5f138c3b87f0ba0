//! Names (20.2.2): parts of four characters, and paths made of them.

use alloc::vec::Vec;
use core::fmt;

use super::code::{Code, Cursor};
use super::error::AmlError;
use super::limits::MAX_PATH_PARTS;

const ROOT: u8 = b'\\';
const PARENT: u8 = b'^';
const TWO_PARTS: u8 = 0x2e;
const MANY_PARTS: u8 = 0x2f;
const NO_PARTS: u8 = 0;

/// A path from the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<[u8; 4]>);

impl Path {
    /// That of the root itself.
    pub fn root() -> Self {
        Self(Vec::new())
    }

    /// That of what is called `name` in this scope.
    pub fn join(&self, name: [u8; 4]) -> Self {
        let mut parts = self.0.clone();
        parts.push(name);
        Self(parts)
    }

    /// The scope that this is in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// Its last part.
    pub(super) fn last(&self) -> [u8; 4] {
        self.0.last().copied().unwrap_or(*b"\\   ")
    }

    /// How many bytes it takes, about.
    pub(super) fn bytes(&self) -> usize {
        64 + 4 * self.0.len()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\\")?;
        for (number, part) in self.0.iter().enumerate() {
            write!(f, "{}{}", if number == 0 { "" } else { "." }, part.escape_ascii())?;
        }
        Ok(())
    }
}

/// A name as it stands in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    is_absolute: bool,
    ups: usize,
    parts: Vec<[u8; 4]>,
}

impl Name {
    /// Whether a term that begins with this byte is a name.
    pub(super) fn begins_with(byte: u8) -> bool {
        matches!(byte, ROOT | PARENT | TWO_PARTS | MANY_PARTS | b'_' | b'A'..=b'Z')
    }

    /// The next name. One that goes up or down more than [`MAX_PATH_PARTS`] scopes is an error: nothing can be there.
    pub(super) fn read(code: &Code, cursor: &mut Cursor) -> Result<Self, AmlError> {
        let mut name = Self { is_absolute: false, ups: 0, parts: Vec::new() };
        if code.peek(cursor) == Some(ROOT) {
            code.byte(cursor)?;
            name.is_absolute = true;
        }
        while code.peek(cursor) == Some(PARENT) {
            code.byte(cursor)?;
            name.ups += 1;
            within_limit(name.ups)?;
        }
        let count = match code.peek(cursor).ok_or(AmlError::Truncated)? {
            NO_PARTS => code.byte(cursor).map(|_| 0)?,
            TWO_PARTS => code.byte(cursor).map(|_| 2)?,
            MANY_PARTS => {
                code.byte(cursor)?;
                code.byte(cursor)?.into()
            }
            _ => 1,
        };
        within_limit(count)?;
        for _ in 0..count {
            let part = code.take(cursor, 4)?.first_chunk().copied();
            name.parts.push(part.ok_or(AmlError::Truncated)?);
        }
        Ok(name)
    }

    /// What it means in `scope`, when it is declared there: a path of [`MAX_PATH_PARTS`] at most.
    pub(super) fn declared_in(&self, scope: &Path) -> Result<Path, AmlError> {
        let path = self.meant_in(scope);
        within_limit(path.0.len())?;
        Ok(path)
    }

    fn meant_in(&self, scope: &Path) -> Path {
        let mut parts = if self.is_absolute { Vec::new() } else { scope.0.clone() };
        parts.truncate(parts.len().saturating_sub(self.ups));
        parts.extend(&self.parts);
        Path(parts)
    }

    /// What it means in `scope`: the nearest path at which something `is_there`. A single part is looked for in all scopes
    /// around as well (5.3).
    pub(super) fn find_in(&self, scope: &Path, is_there: impl Fn(&Path) -> bool) -> Option<Path> {
        let is_searched = !self.is_absolute && self.ups == 0 && self.parts.len() == 1;
        let mut path = self.meant_in(scope);
        while !is_there(&path) {
            // The last part takes the place of the one in front of it.
            let innermost = path.0.len().checked_sub(2).filter(|_| is_searched)?;
            path.0.swap_remove(innermost);
        }
        Some(path)
    }

    /// How many bytes it takes, about.
    pub(super) fn bytes(&self) -> usize {
        64 + 4 * self.parts.len()
    }

    /// Its last part.
    pub(super) fn last(&self) -> [u8; 4] {
        self.parts.last().copied().unwrap_or(*b"\\   ")
    }
}

fn within_limit(parts: usize) -> Result<(), AmlError> {
    if parts > MAX_PATH_PARTS { Err(AmlError::TooDeep) } else { Ok(()) }
}
