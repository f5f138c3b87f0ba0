//! Which way everything goes: for each thing that happens, the functions that it passes through, in order.
//!
//! An arrow is a call, or what comes next. A trait's function stands for those that implement it. Where a way goes
//! through functions that only their own module can name, the module is named in their place, and tells the rest.
//!
//! # Frames
//!
//! **From a card to the application:** [`RxRing::rxsync`] → [`RingCell::sync`] → [`RingLock::enter`] →
//! [`RingBackend::sync`] of [`CardRx`] → [`Kring::prologue`] → [`RxQueue::sync`] → [`RxBurst::receive_run`], or
//! [`RxBurst::fragment`] → [`RxBurst::post_run`] → [`Kring::finalize`] → [`Ring::slots`] → [`Slot::frame`] →
//! [`Ring::advance`].
//!
//! **From the application to a card:** [`Ring::slots`] → [`Slot::copy_from`] or [`Slot::swap`] → [`Ring::advance`] →
//! [`TxRing::txsync`] → [`RingCell::sync`] → [`RingLock::enter`] → [`RingBackend::sync`] of [`CardTx`] →
//! [`Kring::prologue`] → [`TxQueue::sync`] → [`TxBurst::complete_run`], or [`TxBurst::complete`] →
//! [`TxBurst::submit_run`], or [`TxBurst::next_frame`] → [`Kring::finalize`].
//!
//! **From one card to another:** [`RxRing::rxsync`] → [`RxRing::forward_to`], or [`RxRing::copy_to`] → [`TxRing::txsync`].
//!
//! **From the stack to a host ring:** [`HostInterface::transmit`] → [`HostSide::transmit`] → [`HostSide::admit`] →
//! `host::queue` → [`Signal::notify`]; then [`RxRing::rxsync`] → [`RingCell::sync`] → [`HostRx::run`] →
//! `backend::frames` → [`HostSide::pop`] → [`RingMemory::write_frame`] → [`HostSide::settle`].
//!
//! **From a host ring to the stack:** [`TxRing::txsync`] → [`RingCell::sync`] → [`RingBackend::sync`] of [`HostTx`] →
//! `backend::frames` → [`TxBurst::next_frame`] → [`HostSide::deliver`] → [`HostStack::deliver`].
//!
//! **Transparent, up:** [`Slot::set_forward`] → [`Ring::advance`] → [`RxRing::rxsync`] → [`RingBackend::sync`]
//! of [`CardRx`] → `backend::host` → [`HostSide::forwarding`] → [`HostSide::deliver`] → [`HostStack::deliver`].
//!
//! **Transparent, down:** [`Slot::set_forward`] → [`Ring::advance`] → [`Port::forward`], or a poll →
//! [`forward::rxsync`] → [`RingCell::forward`] → [`HostRx::release_down`] → `host::forward` → [`Kring::submit`] →
//! [`RingCell::flush`] → [`RingBackend::sync`] of [`CardTx`].
//!
//! **Generic adapter, out:** [`RingBackend::sync`] of [`GenericTx`] → `backend::frames` → [`TxBurst::next_frame`] →
//! [`FrameDevice::transmit`] → [`TxBurst::complete_oldest`].
//!
//! **Generic adapter, in:** [`RingBackend::sync`] of [`GenericRx`] → `backend::frames` → [`FrameDevice::receive`] →
//! [`RingMemory::write_frame`].
//!
//! **A raw port:** [`Descriptor::txsync`], or [`RawPort::txsync`] → [`RingCell::sync`], and on as for a safe port;
//! [`Descriptor::rxsync`], or [`RawPort::rxsync`] → [`forward::rxsync`] → [`RingCell::sync`] →
//! [`BoundRing::stamp_now`].
//!
//! # Waiting
//!
//! **Poll:** [`Port::poll`], [`poll_any`] → `poll::pass` → [`RingCell::sync_if_due`], or [`RingCell::flush`] for
//! transmit rings that are not asked for → [`forward::rxsync`] → [`BoundRing::stamp`].
//!
//! **Nothing is ready:** `poll::pass` → [`Waiters::register`] → [`RingCell::arm`] → [`RxQueue::arm`],
//! [`TxQueue::arm`] → the pass again → `poll::blocking` → [`Sleeper::sleep`] → [`Hub::run_pending`] → … →
//! [`Waiters::cancel`] → [`RingCell::disarm`].
//!
//! **From an interrupt to the waiters:** [`Events::rx_interrupt`] → [`InterruptSink::interrupt`] of [`Signals`] → [`Signal::raise`] →
//! [`Hub::note_pending`]; then, outside of the handler, [`Netmap::run_pending`] → [`Hub::run_pending`] →
//! [`PendingSource::serve`] of [`Signals`] → [`Signal::take`] → `events::mitigation` → [`Waiters::wake`] → [`Waker::wake`].
//!
//! **From a device without rings to the waiters:** [`FrameDevice::watch`] → [`Watchers`] → [`Events::rx_waker`],
//! [`Events::tx_waker`] → [`InterruptSink::interrupt`] → [`Hub::run_pending`], and on as for an interrupt.
//!
//! # Interfaces and ports
//!
//! **Attach:** [`Netmap::attach_as`] → [`Attachment::check`] → [`Netmap::make`] → [`HostSide::new`] →
//! [`Adapter::new`] → [`Signals::new`] → [`Backend::connect`] → [`Nic::connect`] → [`Interface::new`] → [`Interfaces::add`].
//!
//! **Open:** [`Netmap::open`] → [`Netmap::bind`] → [`PortName::parse`] → [`Interfaces::find`] → [`Interface::bind`] →
//! [`AdapterMode::choose`] → [`Bound::new`] → [`Adapter::acquire`]. For the first port → [`Adapter::begin`] →
//! [`PortMemory::new`] → [`Backend::start`] → [`Nic::start`] → [`Session::fill`] → [`RingBackend::begin`] of each ring. For all →
//! [`HostSide::note_bound`] → `adapter::session` resets rings that had other users → [`Port::new`].
//!
//! **Open a raw port:** [`Descriptor::register`], or [`Netmap::open_raw`] → [`Netmap::bind`], and on as above →
//! [`BoundRing::distrust`] → [`Session::header`] → [`PortHeader::map`].
//!
//! **Close:** [`BoundRing`] is dropped → [`Adapter::release`] → [`HostSide::note_bound`]. With the last →
//! [`Adapter::close`] → [`HostSide::end`] → [`Backend::stop`] → [`Nic::stop`] → [`RingBackend::end`] of each ring →
//! [`PortMemory`] is dropped.
//!
//! **Reset:** [`Netmap::reset`] → [`Interface::reset`] → [`Adapter::reset`] → [`Session::stop`] → [`RingCell::stop`]
//! → [`RingLock::stop`] → [`Adapter::restart`] → [`Backend::stop`] → [`RingBackend::end`] → [`Backend::start`] →
//! [`Session::restart`] → [`RingCell::stop_for`] → [`RingBackend::begin`] → [`RingCell::resume`] → [`Signals::wake_all`].
//!
//! **Detach:** [`Netmap::detach`] → [`Interfaces::remove`] → [`Interface::disappear`] → [`Adapter::disappear`] →
//! [`HostSide::disappear`] → [`Session::stop`] → [`RingCell::stop`] → [`RingLock::stop`] → [`Backend::stop`] →
//! [`RingBackend::end`] → [`Signals::wake_all`].
//!
//! **Claim:** [`Netmap::claim`] → [`Interfaces::named`] → [`Interface::claim`]; [`Claim::open`] →
//! [`Interface::bind`], and on as for an open; [`Claim`] is dropped → [`Interface::give_back`].
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "half of the way is inside; the links are there with --document-private-items, and checked always"
)]

#[cfg(doc)]
use {
    crate::adapter::{Adapter, Bound, BoundRing, Interface, Interfaces, session::Session},
    crate::backend::{
        Backend, RingBackend,
        card::{rx::CardRx, tx::CardTx},
        generic::{rx::GenericRx, tx::GenericTx},
        host::{HostRx, HostTx},
    },
    crate::ctl::Descriptor,
    crate::events::{
        Events,
        hub::{Hub, PendingSource},
        signals::{Signal, Signals},
        waiters::Waiters,
    },
    crate::generic::{FrameDevice, Watchers},
    crate::host::{HostInterface, HostSide, HostStack, forward},
    crate::kring::Kring,
    crate::mem::{PortHeader, PortMemory},
    crate::name::PortName,
    crate::nic::{Nic, RxQueue, TxQueue},
    crate::platform::Sleeper,
    crate::poll::poll_any,
    crate::raw::RawPort,
    crate::ring::{Ring, Slot, cell::RingCell, memory::RingMemory},
    crate::ring_lock::RingLock,
    crate::tunables::AdapterMode,
    crate::{Attachment, Claim, Netmap, Port, RxRing, TxRing},
    core::task::Waker,
    nm_driver::burst::{RxBurst, TxBurst},
    nm_driver::events::InterruptSink,
};
