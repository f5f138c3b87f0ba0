//! The error numbers that netmap's calls give, with the values that Linux and FreeBSD share.

use core::fmt;

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
/// Operation not supported. The two differ: this is Linux's value, FreeBSD has 45.
pub const EOPNOTSUPP: i32 = 95;

/// An error number that is not the core's own, such as a stack's answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}", self.0)
    }
}

impl core::error::Error for Errno {}
