//! The machine as the core and the drivers see it.
#![expect(unsafe_code, reason = "implements traits that promise what memory is like")]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ptr::NonNull;

use millrace_boot::AddrRange;
use millrace_drivers::claims::Claims;
use millrace_drivers::hal::{Hal, InterruptLine, LineSource, SharedLine};
use millrace_drivers::registers::{IoRegion, MmioRegion};
use nm_core::platform::{DmaBlock, Platform, Sleeper};

use crate::ports::PortRegion;
use crate::{clock, interrupts, memory};

/// Largest alignment that is promised for device memory, in bytes.
const MAX_ALIGN: usize = 4096;

/// This machine: memory from its frame allocator, registers through its device window, interrupts once they are taken.
#[derive(Debug)]
pub struct Hardware {
    claims: Claims,
}

impl Hardware {
    /// Access to this machine, once [`memory`] is set up. Made once: it has the claims.
    pub(crate) fn new() -> Self {
        Self { claims: Claims::new() }
    }
}

// SAFETY: the frame allocator hands out runs of pages of RAM without another owner, aligned as asked;
// RAM is mapped writable at its own address, where devices see it too; it is memory of the machine, so its
// bytes have some value.
unsafe impl Platform for Hardware {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        if bytes == 0 || !align.is_power_of_two() || align > MAX_ALIGN {
            return None;
        }
        let run = memory::allocate_frames(bytes as u64, align as u64)?;
        let virt = NonNull::new(run.start() as *mut u8)?;
        Some(DmaBlock { virt, phys: run.start(), bytes })
    }

    fn now_ns(&self) -> u64 {
        clock::uptime_us().saturating_mul(1000)
    }

    fn sleeper(&self) -> Option<&dyn Sleeper> {
        interrupts::sleeper()
    }

    unsafe fn release_dma(&self, block: DmaBlock) {
        let run = AddrRange::sized(block.phys, block.bytes as u64).and_then(|span| span.pages_touched());
        match run.map(memory::free_frames) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                log::error!(target: "memory", "{} bytes at {:#x}: {error}", block.bytes, block.phys)
            }
            None => {
                log::error!(target: "memory", "{} bytes at {:#x}: not a valid block", block.bytes, block.phys)
            }
        }
    }
}

// SAFETY: regions are those of the registers at these addresses. There is one `Hardware`, which has the claims.
unsafe impl Hal for Hardware {
    fn map_mmio(&self, phys: u64, bytes: usize) -> Option<Arc<dyn IoRegion>> {
        let base = memory::map_device(phys, bytes)?;
        // SAFETY: the window maps the whole range, which is no RAM, uncached, and never takes it away.
        Some(Arc::new(unsafe { MmioRegion::new(base, bytes) }))
    }

    fn io_ports(&self, first: u16, ports: u16) -> Option<Arc<dyn IoRegion>> {
        Some(Arc::new(PortRegion::of_card(first, ports)?))
    }

    fn claims(&self) -> &Claims {
        &self.claims
    }

    fn interrupt_line(&self, pair: u16) -> Option<Box<dyn InterruptLine>> {
        interrupts::line(pair)
    }

    fn shared_line(&self, source: LineSource) -> Option<Box<dyn SharedLine>> {
        interrupts::shared_line(source)
    }
}
