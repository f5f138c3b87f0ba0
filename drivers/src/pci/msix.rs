//! Interrupts by message (section 6.8.2): a table in the function's memory says, for each of its interrupts, what is
//! written where.
//!
//! ```text
//! source (a queue) ──► entry of the table ──► message ──► line of the machine ──► handlers of its sources
//! ```
//!
//! Sources come in pairs, as queues do: `2n` and `2n + 1` are those of pair `n`, and lead to its processor.
//!
//! A source has an entry and a line of its own where there are enough of both. Where there are not, sources share: number
//! `n` has entry `n` modulo their count, and the line's handler is that of all its sources, one after the other.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use log::warn;

use super::capability::MSI_X_ENABLE;
use super::{BarError, Bars, Capability, CapabilityId, ConfigSpace, Function};
use crate::hal::{Hal, Handler, InterruptLine, Message};
use crate::registers::{IoRegion, RegisterError};

/// In the message control register: no entry sends, whatever it says itself.
const ALL_MASKED: u32 = 1 << (16 + 14);
/// The most entries that a table can have.
const ENTRIES_MAX: u32 = 2048;
/// In an entry's vector control register: it is not masked.
const SENDS: u32 = 0;
/// Bytes of an entry, and where its registers are in it.
const ENTRY_BYTES: usize = 16;
const ADDRESS: usize = 0;
const DATA: usize = 8;
const CONTROL: usize = 12;

/// The messages of a function.
pub struct Msix {
    config: Arc<dyn ConfigSpace>,
    function: Function,
    capability: Capability,
    table: Arc<dyn IoRegion>,
    /// As many as the table has entries, or fewer; until they are connected.
    lines: Vec<Box<dyn InterruptLine>>,
    /// Entries that send, from the first on.
    entries: u16,
    /// Sources that have a handler, from the first on.
    sources: u16,
}

/// Why a function's messages cannot be used.
enum MsixError {
    /// The table lies in a BAR that cannot be used.
    Bar {
        /// Number of the BAR.
        bar: u8,
        /// What is wrong with it.
        error: BarError,
    },
    /// The table reaches beyond the end of its BAR.
    BeyondBar {
        /// Number of the BAR.
        bar: u8,
    },
    /// The table cannot be mapped.
    Register(RegisterError),
}

impl Msix {
    /// The messages of `function`, for `sources` interrupts at most; `None` when it has none that can be used, or the
    /// machine has no line for them. None is sent before [`connect`](Self::connect).
    pub fn find(
        hal: &dyn Hal,
        config: &Arc<dyn ConfigSpace>,
        function: &Function,
        sources: u16,
    ) -> Option<Self> {
        let capability =
            function.capabilities(config.as_ref()).find(|found| found.id == CapabilityId::MSI_X)?;
        let entries = (capability.read32(config.as_ref(), 0)? >> 16 & (ENTRIES_MAX - 1)) as usize + 1;
        let place = capability.read32(config.as_ref(), 4)?;
        let sources = (0..sources).take(entries);
        let lines: Vec<_> = sources.map_while(|source| hal.interrupt_line(source / 2)).collect();
        if lines.is_empty() {
            return None;
        }
        let table = map_table(hal, &function.bars(config.as_ref()), place, entries * ENTRY_BYTES);
        let table = table.inspect_err(|error| without(function, error)).ok()?;
        Some(Self {
            config: config.clone(),
            function: *function,
            capability,
            table,
            lines,
            entries: 0,
            sources: 0,
        })
    }

    /// Has interrupts of source number `n` handled by the `n`-th of `handlers`, from now on. Called once.
    pub fn connect(&mut self, handlers: Vec<Handler>) {
        let lines = core::mem::take(&mut self.lines);
        let count = lines.len().min(handlers.len());
        self.sources = u16::try_from(handlers.len()).unwrap_or(u16::MAX);
        let mut shares: Vec<Vec<Handler>> = (0..count).map(|_| Vec::new()).collect();
        for (source, handler) in handlers.into_iter().enumerate() {
            if let Some(share) = source.checked_rem(count).and_then(|at| shares.get_mut(at)) {
                share.push(handler);
            }
        }
        for (line, share) in lines.into_iter().zip(shares) {
            let message = line.connect(Box::new(move || share.iter().for_each(|handler| handler())));
            if let Err(error) = self.set_entry(self.entries, message) {
                without(&self.function, &error.into());
                break;
            }
            self.entries += 1;
        }
        self.enable();
    }

    /// The entry of the table that is source `source`'s. `None` for one without a handler.
    pub fn entry(&self, source: u16) -> Option<u16> {
        source.checked_rem(self.entries).filter(|_| source < self.sources)
    }

    /// Says what an entry sends, and lets it.
    fn set_entry(&self, entry: u16, message: Message) -> Result<(), RegisterError> {
        let at = usize::from(entry) * ENTRY_BYTES;
        self.table.check(at + CONTROL, 4)?;
        self.table.write64(at + ADDRESS, message.address);
        self.table.write32(at + DATA, message.data);
        self.table.write32(at + CONTROL, SENDS);
        Ok(())
    }

    /// Sends messages from now on, in place of INTx.
    fn enable(&self) {
        let config = self.config.as_ref();
        if let Some(control) = self.capability.read32(config, 0) {
            self.capability.write32(config, 0, control & !ALL_MASKED | MSI_X_ENABLE);
        }
    }
}

fn without(function: &Function, error: &MsixError) {
    warn!("{function}: no interrupts: {error}");
}

/// The table of `bytes` whose offset and BAR the register `place` says.
fn map_table(hal: &dyn Hal, bars: &Bars, place: u32, bytes: usize) -> Result<Arc<dyn IoRegion>, MsixError> {
    let (bar, offset) = ((place & 7) as u8, u64::from(place & !7));
    let range = bars.memory(bar).map_err(|error| MsixError::Bar { bar, error })?;
    if offset + bytes as u64 > range.bytes {
        return Err(MsixError::BeyondBar { bar });
    }
    Ok(hal.map(range.address + offset, bytes)?)
}

impl From<RegisterError> for MsixError {
    fn from(error: RegisterError) -> Self {
        Self::Register(error)
    }
}

impl fmt::Display for MsixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bar { bar, error } => write!(f, "the interrupt table lies in BAR {bar}: {error}"),
            Self::BeyondBar { bar } => write!(f, "the interrupt table reaches beyond the end of BAR {bar}"),
            Self::Register(error) => write!(f, "the interrupt table: {error}"),
        }
    }
}

impl fmt::Debug for Msix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Msix")
            .field("function", &self.function)
            .field("lines", &self.lines.len())
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}
