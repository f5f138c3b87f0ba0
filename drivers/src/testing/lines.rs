//! The interrupt lines of a fake machine.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::Mutex;

use super::lock;
use crate::hal::{Handler, InterruptLine, LineSource, Message, SharedHandler, SharedLine};

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
    /// Lines that cards share, with the handlers of those that are connected.
    shared: Vec<(LineSource, Vec<Arc<SharedHandler>>)>,
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

    pub(super) fn add_shared(&self, source: LineSource) {
        lock(&self.0).shared.push((source, Vec::new()));
    }

    pub(super) fn share(self: &Arc<Self>, source: LineSource) -> Option<Box<dyn SharedLine>> {
        let is_there = lock(&self.0).shared.iter().any(|(found, _)| *found == source);
        is_there.then(|| Box::new(Shared { lines: self.clone(), source }) as Box<dyn SharedLine>)
    }

    pub(super) fn raise(&self, source: LineSource) -> usize {
        let handlers = lock(&self.0).shared.iter().find(|(found, _)| *found == source).cloned();
        let handlers = handlers.map_or_else(Vec::new, |(_, handlers)| handlers);
        handlers.iter().filter(|handler| handler()).count()
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

/// A line without a handler yet.
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

/// A shared line that a card does not handle yet.
struct Shared {
    lines: Arc<Lines>,
    source: LineSource,
}

impl SharedLine for Shared {
    fn connect(self: Box<Self>, handler: SharedHandler) {
        let mut state = lock(&self.lines.0);
        if let Some((_, handlers)) = state.shared.iter_mut().find(|(found, _)| *found == self.source) {
            handlers.push(Arc::new(handler));
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("free", &self.free()).finish_non_exhaustive()
    }
}
