//! Requests and their ioctl codes.

use core::fmt;

/// A request, told by its ioctl code.
///
/// A code is made of a direction, the size of the argument, a letter and a number. The systems write the direction "none"
/// differently (`_IO` in Linux's `asm-generic/ioctl.h` and FreeBSD's `sys/ioccom.h`), and "in and out" alike. Whole codes
/// are compared: FreeBSD uses letter and number of `NIOCCTRL` a second time, with an argument of another size, for a
/// request to interfaces (`SIOCGIFRSSHASH` in `sys/sockio.h`). Linux has no bpf device, and so no codes for it.
///
/// | request | definition | source | Linux | FreeBSD |
/// |---|---|---|---|---|
/// | `NIOCGINFO` | `_IOWR('i', 145, struct nmreq)`, 60 bytes | netmap's `sys/net/netmap_legacy.h` | `0xc03c6991` | the same |
/// | `NIOCREGIF` | `_IOWR('i', 146, struct nmreq)` | the same | `0xc03c6992` | the same |
/// | `NIOCUNREGIF` | `_IO('i', 147)` | netmap's `sys/net/netmap.h` up to 2013 | `0x6993` | `0x20006993` |
/// | `NIOCTXSYNC` | `_IO('i', 148)` | netmap's `sys/net/netmap.h` | `0x6994` | `0x20006994` |
/// | `NIOCRXSYNC` | `_IO('i', 149)` | the same | `0x6995` | `0x20006995` |
/// | `NIOCCTRL` | `_IOWR('i', 151, struct nmreq_header)`, 88 bytes | the same | `0xc0586997` | the same |
/// | `BIOCIMMEDIATE` | `_IOW('B', 112, u_int)` | FreeBSD's `net/bpf.h` | none | `0x80044270` |
/// | `BIOCGHDRCMPLT` | `_IOR('B', 116, u_int)` | the same | none | `0x40044274` |
/// | `BIOCSHDRCMPLT` | `_IOW('B', 117, u_int)` | the same | none | `0x80044275` |
/// | `BIOCSSEESENT` | `_IOW('B', 119, u_int)` | the same, today as `BIOCSDIRECTION` | none | `0x80044277` |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// What there is: see [`Descriptor::info`](super::Descriptor::info).
    #[doc(alias = "NIOCGINFO")]
    Info,
    /// Binds: see [`Descriptor::register`](super::Descriptor::register).
    #[doc(alias = "NIOCREGIF")]
    Register,
    /// Would unbind. Withdrawn: a descriptor is unbound by closing it.
    #[doc(alias = "NIOCUNREGIF")]
    Unregister,
    /// Syncs the bound transmit rings.
    #[doc(alias = "NIOCTXSYNC")]
    TxSync,
    /// Syncs the bound receive rings.
    #[doc(alias = "NIOCRXSYNC")]
    RxSync,
    /// One of the requests of newer programs, by a header.
    #[doc(alias = "NIOCCTRL")]
    Control,
    /// Whether bpf delivers frames at once. netmap always does.
    #[doc(alias = "BIOCIMMEDIATE")]
    BpfImmediate,
    /// Whether bpf leaves the source address of a frame alone. netmap always does; the argument is not written.
    #[doc(alias = "BIOCGHDRCMPLT")]
    BpfGetHeaderComplete,
    /// Tells bpf to leave it alone.
    #[doc(alias = "BIOCSHDRCMPLT")]
    BpfSetHeaderComplete,
    /// Whether bpf shows what the machine itself sends. netmap's receive rings never do.
    #[doc(alias = "BIOCSSEESENT")]
    BpfSeeSent,
    /// None of netmap's own: it goes to the interface that is named with it.
    Other(u32),
}

impl Request {
    /// The request with this ioctl code, of Linux or of FreeBSD.
    pub fn from_code(code: u32) -> Self {
        match code {
            0xc03c_6991 => Self::Info,
            0xc03c_6992 => Self::Register,
            0x6993 | 0x2000_6993 => Self::Unregister,
            0x6994 | 0x2000_6994 => Self::TxSync,
            0x6995 | 0x2000_6995 => Self::RxSync,
            0xc058_6997 => Self::Control,
            0x8004_4270 => Self::BpfImmediate,
            0x4004_4274 => Self::BpfGetHeaderComplete,
            0x8004_4275 => Self::BpfSetHeaderComplete,
            0x8004_4277 => Self::BpfSeeSent,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "NIOCGINFO",
            Self::Register => "NIOCREGIF",
            Self::Unregister => "NIOCUNREGIF",
            Self::TxSync => "NIOCTXSYNC",
            Self::RxSync => "NIOCRXSYNC",
            Self::Control => "NIOCCTRL",
            Self::BpfImmediate => "BIOCIMMEDIATE",
            Self::BpfGetHeaderComplete => "BIOCGHDRCMPLT",
            Self::BpfSetHeaderComplete => "BIOCSHDRCMPLT",
            Self::BpfSeeSent => "BIOCSSEESENT",
            Self::Other(code) => return write!(f, "request {code:#010x}"),
        })
    }
}
