//! The error numbers that netmap's calls give, with the values that Linux and FreeBSD share.

/// No such device or address.
pub const ENXIO: i32 = 6;
/// Input/output error.
pub const EIO: i32 = 5;
/// Cannot allocate memory.
pub const ENOMEM: i32 = 12;
/// Device busy.
pub const EBUSY: i32 = 16;
/// File exists.
pub const EEXIST: i32 = 17;
/// No such device.
pub const ENODEV: i32 = 19;
/// Invalid argument.
pub const EINVAL: i32 = 22;
