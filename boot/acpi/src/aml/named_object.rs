//! Terms that declare objects of the namespace (20.2.5.1, 20.2.5.2). Regions are in `region`, fields in `field_list`.

use super::code::Cursor;
use super::context::EvalContext;
use super::name::{NameString, NamespacePath};
use super::object::{Method, Object};
use super::opcode::{
    ALIAS_OP, CREATE_BIT_FIELD_OP, CREATE_BYTE_FIELD_OP, CREATE_DWORD_FIELD_OP, CREATE_QWORD_FIELD_OP,
    CREATE_WORD_FIELD_OP, EXT_OP_PREFIX, EXTERNAL_OP, METHOD_OP, NAME_OP, SCOPE_OP, ext,
};
use super::value::ObjectId;
use super::{AmlError, Interpreter, RegionHandler};

/// Bytes between the name of a device and its term list: none; ProcID, PblkAddr and PblkLen of a processor; SystemLevel and
/// ResourceOrder of a power resource.
const DEVICE_FIELDS: usize = 0;
const PROCESSOR_FIELDS: usize = 6;
const POWER_RESOURCE_FIELDS: usize = 3;
/// ObjectType and ArgumentCount behind the name of an External.
const EXTERNAL_FIELDS: usize = 2;
/// MethodFlags: the number of arguments.
const ARGUMENT_COUNT: u8 = 0b111;

impl<H: RegionHandler> Interpreter<H> {
    /// Evaluates the next term if it declares an object. Returns `false`, with the cursor unmoved, if it does not.
    pub(super) fn declare(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<bool, AmlError> {
        let start = *code;
        let is_declaration = match self.code.byte(code)? {
            EXT_OP_PREFIX => self.declare_extended(context, code)?,
            opcode => self.declare_plain(context, code, opcode)?,
        };
        if !is_declaration {
            *code = start;
            return Ok(false);
        }
        self.step()?;
        Ok(true)
    }

    fn declare_plain(
        &mut self,
        context: &EvalContext,
        code: &mut Cursor,
        opcode: u8,
    ) -> Result<bool, AmlError> {
        match opcode {
            ALIAS_OP => self.alias(context, code)?,
            NAME_OP => self.name(context, code)?,
            SCOPE_OP => self.scope(context, code)?,
            METHOD_OP => self.method(context, code)?,
            EXTERNAL_OP => self.external(code)?,
            CREATE_BIT_FIELD_OP
            | CREATE_BYTE_FIELD_OP
            | CREATE_WORD_FIELD_OP
            | CREATE_DWORD_FIELD_OP
            | CREATE_QWORD_FIELD_OP => self.create_sized_field(context, code, opcode)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn declare_extended(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<bool, AmlError> {
        match self.code.byte(code)? {
            ext::MUTEX_OP => {
                self.synchronization_object(context, code)?;
                // SyncFlags.
                self.code.byte(code)?;
            }
            ext::EVENT_OP => self.synchronization_object(context, code)?,
            ext::CREATE_FIELD_OP => self.create_field(context, code)?,
            ext::OP_REGION_OP => self.operation_region(context, code)?,
            ext::FIELD_OP => self.field(context, code)?,
            ext::DEVICE_OP | ext::THERMAL_ZONE_OP => self.device(context, code, DEVICE_FIELDS)?,
            ext::PROCESSOR_OP => self.device(context, code, PROCESSOR_FIELDS)?,
            ext::POWER_RES_OP => self.device(context, code, POWER_RESOURCE_FIELDS)?,
            ext::INDEX_FIELD_OP => self.index_field(context, code)?,
            // Not supported: the field units are not declared.
            ext::BANK_FIELD_OP => self.code.package(code).map(|_| ())?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads a NameString.
    pub(super) fn read_name(&self, code: &mut Cursor) -> Result<NameString, AmlError> {
        NameString::read(&self.code, code)
    }

    /// Reads a NameString and resolves it to an object.
    pub(super) fn read_object(&self, context: &EvalContext, code: &mut Cursor) -> Result<ObjectId, AmlError> {
        let name = self.read_name(code)?;
        self.namespace.find(&context.scope, &name).ok_or(AmlError::NotFound(name.last()))
    }

    /// Adds an object at `path`. An object that a control method declares is deleted when the method returns.
    fn add(&mut self, context: &EvalContext, path: NamespacePath, object: Object) -> Result<(), AmlError> {
        self.arena.charge(path.bytes() + size_of::<Object>())?;
        if context.is_in_method() {
            self.arena.charge(path.bytes())?;
            self.declared.push(path.clone());
        }
        self.namespace.declare(path, object);
        Ok(())
    }

    /// Adds an object by the name that code gives it.
    pub(super) fn add_named(
        &mut self,
        context: &EvalContext,
        name: &NameString,
        object: Object,
    ) -> Result<(), AmlError> {
        self.add(context, name.declared_in(&context.scope)?, object)
    }

    fn alias(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let object = self.read_object(context, code)?;
        let path = self.read_name(code)?.declared_in(&context.scope)?;
        self.arena.charge(path.bytes())?;
        self.namespace.alias(path, object);
        Ok(())
    }

    fn name(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let name = self.read_name(code)?;
        let value = self.value(&context.nested()?, code)?;
        self.add_named(context, &name, Object::Value(value))
    }

    /// Scope: declares objects in a scope that exists.
    fn scope(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let name = self.read_name(&mut inside)?;
        let path = self.namespace.find_path(&context.scope, &name).ok_or(AmlError::NotFound(name.last()))?;
        self.declare_in(context, path, inside)
    }

    /// Device and the like, with `skipped` bytes between the name and the term list.
    fn device(&mut self, context: &EvalContext, code: &mut Cursor, skipped: usize) -> Result<(), AmlError> {
        let mut inside = self.code.package(code)?;
        let path = self.read_name(&mut inside)?.declared_in(&context.scope)?;
        self.code.take(&mut inside, skipped)?;
        self.add(context, path.clone(), Object::Device)?;
        self.declare_in(context, path, inside)
    }

    /// Runs a term list in the scope `path`. An error ends that term list but not the one around it, unless the interpreter has
    /// used up its steps or its memory.
    fn declare_in(
        &mut self,
        context: &EvalContext,
        path: NamespacePath,
        inside: Cursor,
    ) -> Result<(), AmlError> {
        match self.run(&context.with_scope(path), inside) {
            Err(limit @ (AmlError::StepLimit | AmlError::MemoryLimit)) => Err(limit),
            _ => Ok(()),
        }
    }

    fn method(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let mut body = self.code.package(code)?;
        let scope = self.read_name(&mut body)?.declared_in(&context.scope)?;
        let arguments = usize::from(self.code.byte(&mut body)? & ARGUMENT_COUNT);
        self.arena.charge(scope.bytes())?;
        self.add(context, scope.clone(), Object::Method(Method { scope, body, arguments }))
    }

    /// External: another definition block declares the object.
    fn external(&mut self, code: &mut Cursor) -> Result<(), AmlError> {
        self.read_name(code)?;
        self.code.take(code, EXTERNAL_FIELDS).map(|_| ())
    }

    fn synchronization_object(&mut self, context: &EvalContext, code: &mut Cursor) -> Result<(), AmlError> {
        let name = self.read_name(code)?;
        self.add_named(context, &name, Object::Synchronization)
    }
}
