//! What an interpreter may use in its life.

/// Terms that an interpreter follows in its life. Loading one of QEMU's blocks takes some 1500, its longest method
/// 9500.
pub const MAX_STEPS: u32 = 2_000_000;
/// How deep terms may be nested, over all methods that call each other.
pub const MAX_DEPTH: u32 = 48;
/// Parts of a path of names, at most. Firmware has some ten. What looking a name up takes grows with them.
pub const MAX_PATH_PARTS: usize = 32;
/// Bytes of values and names that an interpreter keeps at most, besides its blocks. What growing lists hold in reserve does
/// not count.
pub const MAX_BYTES: usize = 4 << 20;
