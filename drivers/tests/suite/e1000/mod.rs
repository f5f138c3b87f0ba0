//! The driver of the Intel gigabit cards, and the model of them.

pub mod bench;
mod fragments;
mod hostile;
mod interrupts;
mod loopback;
mod netmap;
mod pci;
mod rules;
mod start;
