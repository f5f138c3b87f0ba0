//! Adapters: what ports are opened on.
//!
//! A name leads to an [`Interface`], which has one or two [`Adapter`]s. An adapter has the krings, the users, the memory and
//! the host rings of its ports, and a life cycle (see [`life`]). What is behind its rings is a [back end](crate::backend): a
//! card, a device that passes frames one at a time, nothing.
//!
//! | module | what it has |
//! |---|---|
//! | `users` | which rings there are, and which port has which |
//! | `slots`, `mtu`, `config`, `counters` | sizes of rings and frames, what the back end says of itself, counters |
//! | `common`, `info` | what an interface has and tells, whichever adapter it has |
//! | `request` | what a port asks for |
//! | `layout` | how large rings become, and what a back end is started with |
//! | `session` | the rings of an open adapter and their memory |
//! | [`life`] | the adapter: open, reset, release, disappear |
//! | [`bound`] | the rings of a port |
//! | `interface`, `list` | names and owners |

pub(crate) mod bound;
mod common;
mod config;
mod counters;
mod info;
mod interface;
mod layout;
pub(crate) mod life;
mod list;
mod mtu;
mod request;
pub(crate) mod session;
mod slots;
mod users;

pub(crate) use bound::{Bound, BoundRing};
pub(crate) use common::Common;
pub(crate) use config::has_rings;
pub use info::InterfaceInfo;
pub(crate) use interface::{AdapterSlot, Interface, Opener};
pub(crate) use life::Adapter;
pub(crate) use list::Interfaces;
pub(crate) use request::Wanted;
pub(crate) use slots::Slots;
pub(crate) use users::Rings;
pub use users::Sharing;
