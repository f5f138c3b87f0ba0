//! The interrupt lines of a fake machine.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::Mutex;

use super::lock;
use crate::hal::{Handler, InterruptLine, Message};

/// What a message's address is, for a line of any number that leads to the processor of pair 0.
const ADDRESS: u64 = 0xfee0_1000;
/// From one pair's to the next one's.
const PROCESSOR: u64 = 0x1000;

/// Lines with numbers from 1 on.
#[derive(Default)]
pub(super) struct Lines(Mutex<State>);

#[derive(Default)]
struct State {
    free: Vec<u32>,
    connected: BTreeMap<u32, (u64, Arc<Handler>)>,
}

impl Lines {
    pub(super) fn set(&self, count: usize) {
        lock(&self.0).free = (1..).take(count).collect();
    }

    pub(super) fn free(&self) -> usize {
        lock(&self.0).free.len()
    }

    pub(super) fn take(self: &Arc<Self>, pair: u16) -> Option<Box<dyn InterruptLine>> {
        let number = lock(&self.0).free.pop()?;
        let address = ADDRESS + u64::from(pair) * PROCESSOR;
        Some(Box::new(Line { lines: self.clone(), number: Some(number), address }))
    }

    pub(super) fn send(&self, message: Message) -> bool {
        let connected = lock(&self.0).connected.get(&message.data).cloned();
        let handler = connected.filter(|(address, _)| message.address == *address);
        handler.as_ref().is_some_and(|(_, handler)| {
            handler();
            true
        })
    }
}

/// A line that nobody handles yet.
struct Line {
    lines: Arc<Lines>,
    /// None once it is connected.
    number: Option<u32>,
    address: u64,
}

impl InterruptLine for Line {
    fn connect(mut self: Box<Self>, handler: Handler) -> Message {
        let data = self.number.take().unwrap_or_default();
        let address = self.address;
        lock(&self.lines.0).connected.insert(data, (address, Arc::new(handler)));
        Message { address, data }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.lines.0).free.extend(self.number);
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("free", &self.free()).finish_non_exhaustive()
    }
}
