//! The Millrace appliance: a bootable image that forwards packets as its command line says.
//!
//! The library makes the machine ready. The appliance, on top of it, reads the command line, finds NICs and runs the
//! application.
#![no_std]
#![no_main]

extern crate alloc;

mod appliance;
mod entry;
