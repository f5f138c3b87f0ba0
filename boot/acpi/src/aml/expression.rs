//! Terms that have a value (20.2.5.4): dispatch by opcode, data objects (20.2.3), and objects by name.

use alloc::vec;
use alloc::vec::Vec;

use super::code::Cursor;
use super::context::EvalContext;
use super::name::NameString;
use super::object::Object;
use super::opcode::{
    ADD_OP, AND_OP, ARG0_OP, ARG6_OP, BUFFER_OP, BYTE_PREFIX, CONCAT_OP, COPY_OBJECT_OP, DECREMENT_OP,
    DEREF_OF_OP, DIVIDE_OP, DWORD_PREFIX, EXT_OP_PREFIX, FIND_SET_LEFT_BIT_OP, FIND_SET_RIGHT_BIT_OP,
    INCREMENT_OP, INDEX_OP, LAND_OP, LEQUAL_OP, LGREATER_OP, LLESS_OP, LNOT_OP, LOCAL0_OP, LOCAL7_OP, LOR_OP,
    MOD_OP, MULTIPLY_OP, NAND_OP, NOR_OP, NOT_OP, NOTIFY_OP, OBJECT_TYPE_OP, ONE_OP, ONES_OP, OR_OP,
    PACKAGE_OP, QWORD_PREFIX, REF_OF_OP, SHIFT_LEFT_OP, SHIFT_RIGHT_OP, SIZE_OF_OP, STORE_OP, STRING_PREFIX,
    SUBTRACT_OP, TO_BUFFER_OP, TO_INTEGER_OP, VAR_PACKAGE_OP, WORD_PREFIX, XOR_OP, ZERO_OP, ext, extended,
};
use super::value::{ObjectId, Value};
use super::{AmlError, Interpreter, RegionHandler};

/// The revision of this interpreter, as Revision reports it (19.6, Revision).
const INTERPRETER_REVISION: u64 = 2;

impl<H: RegionHandler> Interpreter<H> {
    /// Evaluates the next term.
    pub(super) fn value(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        self.step()?;
        let context = &context.nested()?;
        if self.code.peek(code).is_some_and(NameString::begins_with) {
            return self.named_value(context, code);
        }
        let opcode = self.code.byte(code)?;
        match opcode {
            ZERO_OP | ONE_OP | ONES_OP | BYTE_PREFIX | WORD_PREFIX | DWORD_PREFIX | QWORD_PREFIX
            | STRING_PREFIX => self.constant(code, opcode),
            BUFFER_OP => self.buffer(context, code),
            PACKAGE_OP => self.package(context, code),
            VAR_PACKAGE_OP => self.var_package(context, code),
            LOCAL0_OP..=LOCAL7_OP | ARG0_OP..=ARG6_OP => {
                let location = self.variable(context, opcode)?;
                self.read_location(location)
            }
            STORE_OP | COPY_OBJECT_OP => {
                let value = self.value(context, code)?;
                self.store_result(context, code, value)
            }
            REF_OF_OP => self.location(context, code).map(Value::Reference),
            DEREF_OF_OP => self.deref_of(context, code),
            INDEX_OP => self.index(context, code),
            SIZE_OF_OP => self.size_of(context, code),
            OBJECT_TYPE_OP => self.object_type(context, code),
            INCREMENT_OP | DECREMENT_OP => self.increment(context, code, opcode),
            ADD_OP | SUBTRACT_OP | MULTIPLY_OP | MOD_OP | SHIFT_LEFT_OP | SHIFT_RIGHT_OP | AND_OP
            | NAND_OP | OR_OP | NOR_OP | XOR_OP => self.binary(context, code, opcode),
            DIVIDE_OP => self.divide(context, code),
            NOT_OP | FIND_SET_LEFT_BIT_OP | FIND_SET_RIGHT_BIT_OP => self.unary(context, code, opcode),
            LAND_OP | LOR_OP | LNOT_OP => self.logical(context, code, opcode),
            LEQUAL_OP | LGREATER_OP | LLESS_OP => self.compare(context, code, opcode),
            TO_INTEGER_OP => self.convert_to_integer(context, code),
            TO_BUFFER_OP => self.convert_to_buffer(context, code),
            CONCAT_OP => self.concatenate(context, code),
            NOTIFY_OP => {
                // The kernel does not handle notifications.
                self.location(context, code)?;
                self.value(context, code)
            }
            EXT_OP_PREFIX => self.extended_value(context, code),
            other => Err(AmlError::UnknownOpcode(other.into())),
        }
    }

    /// Evaluates a term whose opcode is behind ExtOpPrefix.
    fn extended_value(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let opcode = self.code.byte(code)?;
        match opcode {
            ext::COND_REF_OF_OP => self.cond_ref_of(context, code),
            ext::STALL_OP | ext::SLEEP_OP => self.sleep(context, code),
            ext::ACQUIRE_OP => self.acquire(context, code),
            ext::WAIT_OP => self.wait(context, code),
            ext::SIGNAL_OP | ext::RESET_OP | ext::RELEASE_OP => self.release(context, code),
            ext::REVISION_OP => Ok(Value::Integer(INTERPRETER_REVISION)),
            // No time passes.
            ext::TIMER_OP => Ok(Value::Integer(0)),
            other => Err(AmlError::UnknownOpcode(extended(other))),
        }
    }

    /// Evaluates the next term to an integer, by implicit conversion.
    pub(super) fn integer_value(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
    ) -> Result<u64, AmlError> {
        let value = self.value(context, code)?;
        self.to_integer(value)
    }

    /// An object by its name: the result of a control method, whose arguments follow, or the object's value.
    fn named_value(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let object = self.read_object(context, code)?;
        let Some(Object::Method(method)) = self.namespace.object(object) else {
            return self.read_object_value(object);
        };
        let method = method.clone();
        let arguments: Result<Vec<_>, _> = (0..method.arguments).map(|_| self.value(context, code)).collect();
        self.invoke(method, arguments?, context.depth)
    }

    /// The result of a control method that is invoked with `arguments`, or the value of any other object.
    pub(super) fn evaluate_object(
        &mut self,
        object: ObjectId,
        arguments: Vec<Value>,
        depth: u32,
    ) -> Result<Value, AmlError> {
        match self.namespace.object(object) {
            Some(Object::Method(method)) => self.invoke(method.clone(), arguments, depth),
            _ => self.read_object_value(object),
        }
    }

    /// A constant integer or string.
    fn constant(&mut self, code: &mut Cursor, opcode: u8) -> Result<Value, AmlError> {
        let bytes = match opcode {
            STRING_PREFIX => {
                let string = self.code.string(code)?.to_vec();
                return self.arena.add_bytes(string).map(Value::String);
            }
            ONES_OP => return Ok(Value::Integer(u64::MAX)),
            BYTE_PREFIX => 1,
            WORD_PREFIX => 2,
            DWORD_PREFIX => 4,
            QWORD_PREFIX => 8,
            // ZeroOp or OneOp.
            _ => return Ok(Value::Integer(opcode.into())),
        };
        self.code.integer(code, bytes).map(Value::Integer)
    }

    /// Buffer: its size, and the bytes that it begins with. The rest is zero.
    fn buffer(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let mut inside = self.code.package(code)?;
        let size = self.integer_value(context, &mut inside)?;
        let size = usize::try_from(size).map_err(|_| AmlError::MemoryLimit)?;
        let mut content = Vec::new();
        while let Some(byte) = self.code.peek(&inside) {
            self.code.byte(&mut inside)?;
            content.push(byte);
        }
        let size = size.max(content.len());
        self.arena.charge(size)?;
        content.resize(size, 0);
        self.arena.add_bytes(content).map(Value::Buffer)
    }

    /// Package: the number of elements is a byte.
    fn package(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let mut inside = self.code.package(code)?;
        let count = self.code.byte(&mut inside)?.into();
        self.package_elements(context, inside, count)
    }

    /// VarPackage: the number of elements is a term.
    fn var_package(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<Value, AmlError> {
        let mut inside = self.code.package(code)?;
        let count = self.integer_value(context, &mut inside)?;
        self.package_elements(context, inside, count)
    }

    /// A package of `count` elements. Those that `list` does not give are uninitialized.
    fn package_elements(
        &mut self,
        context: &EvalContext,
        mut list: Cursor,
        count: u64,
    ) -> Result<Value, AmlError> {
        let count = usize::try_from(count).map_err(|_| AmlError::MemoryLimit)?;
        let bytes = count.checked_mul(size_of::<Value>()).ok_or(AmlError::MemoryLimit)?;
        self.arena.charge(bytes)?;
        let mut values = vec![Value::Uninitialized; count];
        for element in &mut values {
            if list.is_at_end() {
                break;
            }
            *element = self.package_element(context, &mut list)?;
        }
        self.arena.add_package(values).map(Value::Package)
    }

    /// A name is kept unresolved, because the object may be declared later.
    fn package_element(&mut self, context: &EvalContext, list: &mut Cursor) -> Result<Value, AmlError> {
        if self.code.peek(list).is_some_and(NameString::begins_with) {
            let name = self.read_name(list)?;
            return self.arena.add_name(&context.scope, name).map(Value::Name);
        }
        self.value(context, list)
    }
}
