//! The interpreter: its state, loading blocks, and what the kernel asks of it. How code runs is in `control`, `declare`,
//! `evaluate`, `store` and `field`, which add methods to it.

use alloc::vec;
use alloc::vec::Vec;

use super::code::{Code, Cursor};
use super::error::AmlError;
use super::frame::Frame;
use super::host::Host;
use super::limits::MAX_STEPS;
use super::name::Path;
use super::namespace::Namespace;
use super::object::{Arena, Value};

/// The tree of names of some definition blocks, and what runs their methods.
pub struct Interpreter<H> {
    pub(super) host: H,
    pub(super) code: Code,
    pub(super) arena: Arena,
    pub(super) names: Namespace,
    /// What the methods that run have declared, innermost last.
    pub(super) declared: Vec<Path>,
    /// Steps that are left.
    pub(super) steps: u32,
}

impl<H: Host> Interpreter<H> {
    /// Loads `blocks`, in this order. Where one cannot be followed, the rest of the innermost scope or device is left out.
    pub fn new(host: H, blocks: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let code = Code::new(blocks.into_iter().collect());
        let mut loaded = Self {
            host,
            code,
            arena: Arena::default(),
            names: Namespace::new(),
            declared: Vec::new(),
            steps: MAX_STEPS,
        };
        for block in loaded.code.whole() {
            loaded.load(block);
        }
        loaded
    }

    fn load(&mut self, block: Cursor) {
        let frame = Frame::outside(Path::root());
        // What was declared until then stays.
        let _ = self.run(&frame, block);
    }

    /// The value of the object at `path`; if it is a method, what it returns when it is called with `arguments`.
    pub fn evaluate(&mut self, path: &Path, arguments: &[u64]) -> Result<Value, AmlError> {
        let node = self.names.get(path).ok_or(AmlError::NoSuchName(path.last()))?;
        let arguments = arguments.iter().map(|number| Value::Integer(*number)).collect();
        self.result_of(node, arguments, 0)
    }

    /// The integer at `path`.
    pub fn integer(&mut self, path: &Path) -> Result<u64, AmlError> {
        let value = self.evaluate(path, &[])?;
        self.to_integer(value)
    }

    /// The bytes at `path`: a buffer's, or a string's.
    pub fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, AmlError> {
        let value = self.evaluate(path, &[])?;
        Ok(self.arena.bytes(value)?.to_vec())
    }

    /// The elements of the package at `path`.
    pub fn elements(&mut self, path: &Path) -> Result<Vec<Value>, AmlError> {
        let value = self.evaluate(path, &[])?;
        Ok(self.arena.elements(value)?.to_vec())
    }

    /// Whether `device` says by `_HID` or `_CID` that it is one of `ids`.
    pub fn is_one_of(&mut self, device: &Path, ids: &[&str]) -> bool {
        [*b"_HID", *b"_CID"].into_iter().any(|name| {
            let Ok(value) = self.evaluate(&device.join(name), &[]) else { return false };
            let values = self.arena.elements(value).map_or_else(|_| vec![value], <[Value]>::to_vec);
            values.into_iter().any(|value| self.is_id(value, ids))
        })
    }

    /// Whether `value` is one of `ids`: as text, or the letters and digits packed into a number (19.3.4, EISAID).
    fn is_id(&self, value: Value, ids: &[&str]) -> bool {
        let text = self.arena.bytes(value).ok();
        ids.iter().any(|id| match value {
            Value::Integer(number) => Some(number) == eisa_id(id.as_bytes()),
            _ => text == Some(id.as_bytes()),
        })
    }

    /// All devices, by their paths.
    pub fn devices(&self) -> Vec<Path> {
        self.names.devices()
    }

    /// Whether `device` is there, as `_STA` says (6.3.7): without it, it is.
    pub fn is_present(&mut self, device: &Path) -> bool {
        self.has_status(device, 1)
    }

    /// Whether `device` is switched on and has its resources, as `_STA` says (6.3.7): without it, it is.
    pub fn is_enabled(&mut self, device: &Path) -> bool {
        self.has_status(device, 1 << 1)
    }

    fn has_status(&mut self, device: &Path, bit: u64) -> bool {
        let status = device.join(*b"_STA");
        self.names.get(&status).is_none() || self.integer(&status).is_ok_and(|status| status & bit != 0)
    }

    /// The elements of a package that another value holds.
    pub fn elements_of(&self, value: Value) -> Result<&[Value], AmlError> {
        self.arena.elements(value)
    }
}

/// The number that stands for an id of three letters and four digits, such as `PNP0A03`.
fn eisa_id(text: &[u8]) -> Option<u64> {
    let (letters, digits) = text.split_at_checked(3).filter(|(_, digits)| digits.len() == 4)?;
    let letter = |packed: u32, letter: &u8| packed << 5 | u32::from(letter.wrapping_sub(0x40) & 0x1f);
    let packed = letters.iter().fold(0, letter);
    let digits = u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((packed << 16 | digits).swap_bytes().into())
}
