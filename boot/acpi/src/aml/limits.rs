//! The resources of an interpreter, for its whole life.

/// Terms that an interpreter executes at most. Loading a DSDT of QEMU takes about 1500, its longest method 9500.
pub const MAX_STEPS: u32 = 2_000_000;
/// Nesting depth of terms at most, counted over all active control methods.
pub const MAX_DEPTH: u32 = 48;
/// Name segments of a namespace path at most. Firmware uses about ten. The cost of a name search grows with this number.
pub const MAX_PATH_SEGMENTS: usize = 32;
/// Bytes of values and names that an interpreter stores at most, besides the definition blocks. Spare capacity of growing lists
/// is not counted.
pub const MAX_BYTES: usize = 4 << 20;
