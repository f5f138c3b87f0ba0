//! The interpreter: its state, loading definition blocks, and queries of the kernel. The modules behind this one add the methods
//! that evaluate terms.

use alloc::vec;
use alloc::vec::Vec;

use super::arena::Arena;
use super::code::{Code, Cursor};
use super::context::EvalContext;
use super::error::AmlError;
use super::limits::MAX_STEPS;
use super::name::{NameSeg, NamespacePath};
use super::namespace::Namespace;
use super::region_handler::RegionHandler;
use super::value::Value;

/// Bits of `_STA` (6.3.7).
const STATUS_PRESENT: u64 = 1 << 0;
const STATUS_ENABLED: u64 = 1 << 1;

/// The namespace of the definition blocks of a machine, and the state of the code that runs in it.
pub struct Interpreter<H> {
    pub(super) handler: H,
    pub(super) code: Code,
    pub(super) arena: Arena,
    pub(super) namespace: Namespace,
    /// Paths that the active control methods have declared, those of the innermost invocation last.
    pub(super) declared: Vec<NamespacePath>,
    /// Steps that are left of [`MAX_STEPS`].
    pub(super) steps: u32,
}

impl<H: RegionHandler> Interpreter<H> {
    /// Loads the definition blocks `blocks`, in this order. After an error, the rest of the innermost scope or device is left
    /// out.
    pub fn new(handler: H, blocks: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let code = Code::new(blocks.into_iter().collect());
        let mut loaded = Self {
            handler,
            code,
            arena: Arena::default(),
            namespace: Namespace::new(),
            declared: Vec::new(),
            steps: MAX_STEPS,
        };
        for block in loaded.code.blocks() {
            loaded.load(block);
        }
        loaded
    }

    fn load(&mut self, block: Cursor) {
        let context = EvalContext::outside_methods(NamespacePath::root());
        // After an error, the objects that are declared already are kept.
        let _ = self.run(&context, block);
    }

    /// Evaluates the object at `path`: invokes a control method with `arguments`, reads a field unit, or returns the value of any
    /// other object.
    pub fn evaluate(&mut self, path: &NamespacePath, arguments: &[u64]) -> Result<Value, AmlError> {
        let object = self.namespace.get(path).ok_or(AmlError::NotFound(path.last()))?;
        let arguments = arguments.iter().map(|number| Value::Integer(*number)).collect();
        self.evaluate_object(object, arguments, 0)
    }

    /// Evaluates the object at `path` to an integer, by implicit conversion (19.3.5.4).
    pub fn integer(&mut self, path: &NamespacePath) -> Result<u64, AmlError> {
        let value = self.evaluate(path, &[])?;
        self.to_integer(value)
    }

    /// Evaluates the object at `path` to the bytes of a buffer or string.
    pub fn bytes(&mut self, path: &NamespacePath) -> Result<Vec<u8>, AmlError> {
        let value = self.evaluate(path, &[])?;
        Ok(self.arena.bytes(value)?.to_vec())
    }

    /// Evaluates the object at `path` to the elements of a package.
    pub fn elements(&mut self, path: &NamespacePath) -> Result<Vec<Value>, AmlError> {
        let value = self.evaluate(path, &[])?;
        Ok(self.arena.elements(value)?.to_vec())
    }

    /// The elements of `value`, a package.
    pub fn elements_of(&self, value: Value) -> Result<&[Value], AmlError> {
        self.arena.elements(value)
    }

    /// The paths of all devices, in order of path. Processors, power resources and thermal zones count as devices.
    pub fn devices(&self) -> Vec<NamespacePath> {
        self.namespace.devices()
    }

    /// Whether one of `ids` is the hardware id (`_HID`, 6.1.5) or a compatible id (`_CID`, 6.1.2) of `device`.
    pub fn has_id(&mut self, device: &NamespacePath, ids: &[&str]) -> bool {
        [*b"_HID", *b"_CID"].into_iter().any(|name| {
            let Ok(value) = self.evaluate(&device.join(name), &[]) else { return false };
            let values = self.arena.elements(value).map_or_else(|_| vec![value], <[Value]>::to_vec);
            values.into_iter().any(|value| self.is_id(value, ids))
        })
    }

    /// Whether `value` is one of `ids`, as a string or as an EISA id.
    fn is_id(&self, value: Value, ids: &[&str]) -> bool {
        let string = self.arena.bytes(value).ok();
        ids.iter().any(|id| match value {
            Value::Integer(number) => Some(number) == eisa_id(id.as_bytes()),
            _ => string == Some(id.as_bytes()),
        })
    }

    /// Whether `device` is present, by `_STA` (6.3.7). A device without `_STA` is.
    pub fn is_present(&mut self, device: &NamespacePath) -> bool {
        self.has_status(device, STATUS_PRESENT)
    }

    /// Whether `device` is enabled and decodes its resources, by `_STA` (6.3.7). A device without `_STA` is.
    pub fn is_enabled(&mut self, device: &NamespacePath) -> bool {
        self.has_status(device, STATUS_ENABLED)
    }

    fn has_status(&mut self, device: &NamespacePath, bit: u64) -> bool {
        let status = device.join(*b"_STA");
        self.namespace.get(&status).is_none() || self.integer(&status).is_ok_and(|status| status & bit != 0)
    }

    /// Whether the object at `path` has a child `name`.
    pub(super) fn has_child(&self, path: &NamespacePath, name: NameSeg) -> bool {
        self.namespace.get(&path.join(name)).is_some()
    }

    /// Counts one step.
    pub(super) fn step(&mut self) -> Result<(), AmlError> {
        self.steps = self.steps.checked_sub(1).ok_or(AmlError::StepLimit)?;
        Ok(())
    }
}

/// The EISA id (19.3.4) of an id of three letters and four hexadecimal digits, such as `PNP0A03`: five bits for each letter and
/// four for each digit, in big-endian order.
fn eisa_id(id: &[u8]) -> Option<u64> {
    let (letters, digits) = id.split_at_checked(3).filter(|(_, digits)| digits.len() == 4)?;
    let letter = |packed: u32, letter: &u8| packed << 5 | u32::from(letter.wrapping_sub(0x40) & 0x1f);
    let packed = letters.iter().fold(0, letter);
    let digits = u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((packed << 16 | digits).swap_bytes().into())
}
