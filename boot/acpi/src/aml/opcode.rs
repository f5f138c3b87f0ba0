//! Opcodes, prefixes and other bytes of the AML encoding, by the names of the grammar (20.2) and of the table "AML Byte Stream
//! Byte Values" (20.3).

/// NullName (20.2.2): as a target, the result is not stored.
pub(super) const NULL_NAME: u8 = 0x00;
/// The integer 0, where the grammar expects a term and not a target; the same byte as [`NULL_NAME`].
pub(super) const ZERO_OP: u8 = 0x00;
pub(super) const ONE_OP: u8 = 0x01;
pub(super) const ALIAS_OP: u8 = 0x06;
pub(super) const NAME_OP: u8 = 0x08;
pub(super) const BYTE_PREFIX: u8 = 0x0a;
pub(super) const WORD_PREFIX: u8 = 0x0b;
pub(super) const DWORD_PREFIX: u8 = 0x0c;
pub(super) const STRING_PREFIX: u8 = 0x0d;
pub(super) const QWORD_PREFIX: u8 = 0x0e;
pub(super) const SCOPE_OP: u8 = 0x10;
pub(super) const BUFFER_OP: u8 = 0x11;
pub(super) const PACKAGE_OP: u8 = 0x12;
pub(super) const VAR_PACKAGE_OP: u8 = 0x13;
pub(super) const METHOD_OP: u8 = 0x14;
pub(super) const EXTERNAL_OP: u8 = 0x15;
pub(super) const DUAL_NAME_PREFIX: u8 = 0x2e;
pub(super) const MULTI_NAME_PREFIX: u8 = 0x2f;
/// The opcode is in the next byte: see [`ext`].
pub(super) const EXT_OP_PREFIX: u8 = 0x5b;
pub(super) const ROOT_CHAR: u8 = b'\\';
pub(super) const PARENT_PREFIX_CHAR: u8 = b'^';
pub(super) const LOCAL0_OP: u8 = 0x60;
pub(super) const LOCAL7_OP: u8 = 0x67;
pub(super) const ARG0_OP: u8 = 0x68;
pub(super) const ARG6_OP: u8 = 0x6e;
pub(super) const STORE_OP: u8 = 0x70;
pub(super) const REF_OF_OP: u8 = 0x71;
pub(super) const ADD_OP: u8 = 0x72;
pub(super) const CONCAT_OP: u8 = 0x73;
pub(super) const SUBTRACT_OP: u8 = 0x74;
pub(super) const INCREMENT_OP: u8 = 0x75;
pub(super) const DECREMENT_OP: u8 = 0x76;
pub(super) const MULTIPLY_OP: u8 = 0x77;
pub(super) const DIVIDE_OP: u8 = 0x78;
pub(super) const SHIFT_LEFT_OP: u8 = 0x79;
pub(super) const SHIFT_RIGHT_OP: u8 = 0x7a;
pub(super) const AND_OP: u8 = 0x7b;
pub(super) const NAND_OP: u8 = 0x7c;
pub(super) const OR_OP: u8 = 0x7d;
pub(super) const NOR_OP: u8 = 0x7e;
pub(super) const XOR_OP: u8 = 0x7f;
pub(super) const NOT_OP: u8 = 0x80;
pub(super) const FIND_SET_LEFT_BIT_OP: u8 = 0x81;
pub(super) const FIND_SET_RIGHT_BIT_OP: u8 = 0x82;
pub(super) const DEREF_OF_OP: u8 = 0x83;
pub(super) const MOD_OP: u8 = 0x85;
pub(super) const NOTIFY_OP: u8 = 0x86;
pub(super) const SIZE_OF_OP: u8 = 0x87;
pub(super) const INDEX_OP: u8 = 0x88;
pub(super) const CREATE_DWORD_FIELD_OP: u8 = 0x8a;
pub(super) const CREATE_WORD_FIELD_OP: u8 = 0x8b;
pub(super) const CREATE_BYTE_FIELD_OP: u8 = 0x8c;
pub(super) const CREATE_BIT_FIELD_OP: u8 = 0x8d;
pub(super) const OBJECT_TYPE_OP: u8 = 0x8e;
pub(super) const CREATE_QWORD_FIELD_OP: u8 = 0x8f;
pub(super) const LAND_OP: u8 = 0x90;
pub(super) const LOR_OP: u8 = 0x91;
pub(super) const LNOT_OP: u8 = 0x92;
pub(super) const LEQUAL_OP: u8 = 0x93;
pub(super) const LGREATER_OP: u8 = 0x94;
pub(super) const LLESS_OP: u8 = 0x95;
pub(super) const TO_BUFFER_OP: u8 = 0x96;
pub(super) const TO_INTEGER_OP: u8 = 0x99;
pub(super) const COPY_OBJECT_OP: u8 = 0x9d;
pub(super) const CONTINUE_OP: u8 = 0x9f;
pub(super) const IF_OP: u8 = 0xa0;
pub(super) const ELSE_OP: u8 = 0xa1;
pub(super) const WHILE_OP: u8 = 0xa2;
pub(super) const NOOP_OP: u8 = 0xa3;
pub(super) const RETURN_OP: u8 = 0xa4;
pub(super) const BREAK_OP: u8 = 0xa5;
pub(super) const BREAK_POINT_OP: u8 = 0xcc;
pub(super) const ONES_OP: u8 = 0xff;

/// Opcodes behind [`EXT_OP_PREFIX`].
pub(super) mod ext {
    pub(in crate::aml) const MUTEX_OP: u8 = 0x01;
    pub(in crate::aml) const EVENT_OP: u8 = 0x02;
    pub(in crate::aml) const COND_REF_OF_OP: u8 = 0x12;
    pub(in crate::aml) const CREATE_FIELD_OP: u8 = 0x13;
    pub(in crate::aml) const STALL_OP: u8 = 0x21;
    pub(in crate::aml) const SLEEP_OP: u8 = 0x22;
    pub(in crate::aml) const ACQUIRE_OP: u8 = 0x23;
    pub(in crate::aml) const SIGNAL_OP: u8 = 0x24;
    pub(in crate::aml) const WAIT_OP: u8 = 0x25;
    pub(in crate::aml) const RESET_OP: u8 = 0x26;
    pub(in crate::aml) const RELEASE_OP: u8 = 0x27;
    pub(in crate::aml) const REVISION_OP: u8 = 0x30;
    pub(in crate::aml) const DEBUG_OP: u8 = 0x31;
    pub(in crate::aml) const TIMER_OP: u8 = 0x33;
    pub(in crate::aml) const OP_REGION_OP: u8 = 0x80;
    pub(in crate::aml) const FIELD_OP: u8 = 0x81;
    pub(in crate::aml) const DEVICE_OP: u8 = 0x82;
    pub(in crate::aml) const PROCESSOR_OP: u8 = 0x83;
    pub(in crate::aml) const POWER_RES_OP: u8 = 0x84;
    pub(in crate::aml) const THERMAL_ZONE_OP: u8 = 0x85;
    pub(in crate::aml) const INDEX_FIELD_OP: u8 = 0x86;
    pub(in crate::aml) const BANK_FIELD_OP: u8 = 0x87;
}

/// First bytes of the elements of a field list (20.2.5.2, FieldElement) other than a named field, which begins with its name.
pub(super) mod field_element {
    /// ReservedField: bits without a name.
    pub(in crate::aml) const RESERVED_FIELD: u8 = 0x00;
    /// AccessField: access type and attribute of the following fields.
    pub(in crate::aml) const ACCESS_FIELD: u8 = 0x01;
    /// ConnectField: the connection of the following fields, for serial buses.
    pub(in crate::aml) const CONNECT_FIELD: u8 = 0x02;
    /// ExtendedAccessField: access type, attribute and length of the following fields.
    pub(in crate::aml) const EXTENDED_ACCESS_FIELD: u8 = 0x03;
}

/// The number of an extended opcode in error reports: prefix and opcode.
pub(super) fn extended(opcode: u8) -> u16 {
    u16::from_be_bytes([EXT_OP_PREFIX, opcode])
}
