//! netmap's device file as a value: a [`Descriptor`] is what a program has after it opened `/dev/netmap`.
//!
//! It is for programs that follow netmap's own contract ([`raw`](crate::raw)). They open a descriptor, bind it to one
//! port, map the memory, and then sync, poll and ask. Safe ports need none of it.
//!
//! ```
//! # use nm_core::{Netmap, abi::InterfaceHeader, raw::RawOptions, testing::{card, CardSpec, HeapPlatform, Order}, tunables::Tunables};
//! # use std::sync::Arc;
//! # let platform: Arc<dyn nm_core::platform::Platform> = HeapPlatform::new(64 << 20);
//! # let netmap = Netmap::new(&platform, Tunables::default())?;
//! # let (nic, _wire) = card(CardSpec::new(1, 256, Order::Posted));
//! # netmap.attach("em0", nic)?;
//! let mut descriptor = netmap.descriptor();
//! assert_eq!(descriptor.info("em0")?.rx_slots, 256);
//! let bound = descriptor.register("netmap:em0", RawOptions::default())?;
//! // SAFETY: the port is bound, and its interface object is there.
//! let interface = unsafe { descriptor.mmap()?.base().add(bound.offset).cast::<InterfaceHeader>().read() };
//! assert_eq!(&interface.name[..3], b"em0");
//! descriptor.rxsync()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The requests
//!
//! | request | what it does | here | errors |
//! |---|---|---|---|
//! | `open` | a descriptor that is bound to nothing | [`Netmap::descriptor`] | none |
//! | `NIOCGINFO` | rings, slots and memory of a port; of an empty name, the shared memory alone | [`Descriptor::info`] | `ENXIO` no such interface, `EINVAL` no such name |
//! | `NIOCREGIF` | binds the descriptor to a port | [`Descriptor::register`] | `EBUSY` bound already, `ENODEV` another region is mapped, those of [`OpenError`] |
//! | `mmap` | tells where the memory is | [`Descriptor::mmap`] | `ENODEV` not bound, unless the tunable `mmap_unreg` allows it |
//! | `NIOCTXSYNC` | syncs the bound transmit rings | [`Descriptor::txsync`], [`Request::TxSync`] | `ENXIO` not bound, or the interface is gone; those of [`SyncError`] |
//! | `NIOCRXSYNC` | syncs the bound receive rings | [`Descriptor::rxsync`], [`Request::RxSync`] | the same |
//! | `poll`, `select`, `kevent` | waits | [`Descriptor::poll`], or `.await` on [`RawPort::ready`] of its [`port`](Descriptor::port) | `POLLERR`: not bound, interface gone, a sync that failed |
//! | `NIOCUNREGIF` | nothing, it is withdrawn | [`Request::Unregister`] | `EINVAL` |
//! | `BIOCIMMEDIATE`, `BIOCGHDRCMPLT`, `BIOCSHDRCMPLT`, `BIOCSSEESENT` | nothing, for programs written for bpf | [`Request::BpfImmediate`] and its like | none |
//! | any other | what the interface that it names makes of it | [`Request::Other`], [`HostStack::ioctl`] | `ENXIO` no such interface, `EOPNOTSUPP` no stack or no such request, what the stack says |
//! | `close` | releases rings, extra buffers and memory | dropping the descriptor | none |
//!
//! [`Descriptor::request`] takes requests by number. `NIOCGINFO`, `NIOCREGIF` and `NIOCCTRL` carry structures of C; they
//! are recognised, so that no interface ever gets them, and refused (`EINVAL`).
//!
//! # How a descriptor lives
//!
//! | | unbound | mapped | bound |
//! |---|---|---|---|
//! | `info` | answers | answers | answers |
//! | `register` | → bound | → bound; `ENODEV` if the port's region is another | `EBUSY` |
//! | `mmap` | → mapped; `ENODEV` without `mmap_unreg` | the same region; `ENODEV` without `mmap_unreg` | the region of the port |
//! | `txsync`, `rxsync` | `ENXIO` | `ENXIO` | sync |
//! | `poll` | `POLLERR` | `POLLERR` | polls |
//! | other requests | answered | answered | answered |
//! | dropped | | lets go of the region | closes the port: rings, extra buffers, region |
//!
//! What is refused leaves the descriptor as it was. Nothing leads from bound back to unbound: when the interface disappears, the
//! descriptor stays bound to what is left of it, its memory stays valid, its syncs say `ENXIO` and its polls `POLLERR`.
//!
//! Binding and mapping take the descriptor mutably. Everything else can be done from several threads at once; of two
//! that sync the same ring, one is told `EBUSY`.
//!
//! # Where it differs from netmap
//!
//! - netmap of 2013 takes a second `NIOCREGIF` for a change of rings, without a word about the interface that it names.
//!   Here, as in its successors, it is refused.
//! - netmap lets a descriptor that has mapped one region bind a port of another, and refuses every `mmap` after that.
//!   Here the binding is refused: the program could not reach the rings.
//! - On FreeBSD netmap passes other requests on, on Linux it answers `EOPNOTSUPP` to all of them. Here they are passed on,
//!   whichever system a code is of.
//! - A mapping of netmap keeps the descriptor open. Here the borrow checker sees to it that a [`Mapping`] does not outlive
//!   the descriptor that it came from.

mod descriptor;
mod error;
mod info;
mod numbered;
mod request;

pub use descriptor::{Descriptor, Registration};
pub use error::{PortError, RegisterError, RequestError};
pub use info::PortInfo;
pub use request::Request;

#[cfg(doc)]
use crate::{Netmap, OpenError, SyncError, host::HostStack, mem::Mapping, raw::RawPort};
