//! A machine whose memory is the heap, seen by devices at other addresses, and whose registers are those of models.
#![expect(unsafe_code, reason = "it hands out memory, and reaches it on behalf of device models")]

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::Mutex;

use nm_driver::platform::{DmaBlock, Platform};

use super::lines::Lines;
use super::lock;
use super::pci::FakePci;
use super::region::RegisterModel;
use crate::claims::Claims;
use crate::hal::{Hal, InterruptLine, LineSource, Message, SharedLine};
use crate::pci::Address;
use crate::registers::{ConfigSpace, IoRegion, MmioRegion, RegisterError, check_access};

/// Physical address of the first block. A process has nothing there, so that an address of the wrong kind faults.
const FIRST_PHYS: u64 = 0x100_0000_0000;
/// Nothing lies between two blocks for at least so many bytes: who runs off one block does not end up in the next.
const GAP: u64 = 0x1000;

/// How far one look at the clock moves it on.
const LOOK_NS: u64 = 10_000;

/// What was done wrong with the machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misuse {
    /// A block was released that is not allocated: never was, or was released before.
    ReleasedUnknown {
        /// Its physical address.
        phys: u64,
    },
    /// A block was released with an address or a length that is not the one it was allocated with.
    ReleasedAltered {
        /// Its physical address.
        phys: u64,
    },
}

/// Memory and registers of a fake machine.
#[derive(Debug)]
pub struct FakeMachine {
    state: Mutex<State>,
    looks: AtomicU64,
    lines: Arc<Lines>,
    claims: Claims,
}

#[derive(Debug)]
struct State {
    blocks: BTreeMap<u64, Block>,
    registers: BTreeMap<u64, Arc<dyn RegisterModel>>,
    ports: BTreeMap<u16, Arc<dyn RegisterModel>>,
    next_phys: u64,
    /// Bytes that can still be allocated.
    left: usize,
    misuse: Vec<Misuse>,
}

#[derive(Debug)]
struct Block {
    virt: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block is an allocation that belongs to its owner; the holder of a pointer into it answers for that.
unsafe impl Send for Block {}
// SAFETY: a shared block is only looked at.
unsafe impl Sync for Block {}

/// For tests.
impl FakeMachine {
    /// A machine with plenty of memory.
    pub fn new() -> Arc<Self> {
        Self::with_memory(usize::MAX)
    }

    /// A machine that hands out `bytes` of device memory altogether.
    pub fn with_memory(bytes: usize) -> Arc<Self> {
        let state = State {
            blocks: BTreeMap::new(),
            registers: BTreeMap::new(),
            ports: BTreeMap::new(),
            next_phys: FIRST_PHYS,
            left: bytes,
            misuse: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            looks: AtomicU64::new(0),
            lines: Arc::default(),
            claims: Claims::new(),
        })
    }

    /// What was done wrong so far.
    pub fn misuse(&self) -> Vec<Misuse> {
        lock(&self.state).misuse.clone()
    }

    /// Blocks that are allocated.
    pub fn blocks(&self) -> usize {
        lock(&self.state).blocks.len()
    }

    /// From now on the machine has `count` interrupt lines. Before, it has none.
    pub fn set_lines(&self, count: usize) {
        self.lines.set(count);
    }

    /// Free interrupt lines.
    pub fn free_lines(&self) -> usize {
        self.lines.free()
    }

    /// A card sends `message`. Returns whether a handler took it.
    pub fn send_message(&self, message: Message) -> bool {
        self.lines.send(message)
    }

    /// Has a line that cards share lead there from `source`.
    pub fn add_shared_line(&self, source: LineSource) {
        self.lines.add_shared(source);
    }

    /// The line from `source` interrupts: all cards on it are asked. Returns how many say that they did it.
    pub fn raise(&self, source: LineSource) -> usize {
        self.lines.raise(source)
    }

    /// Puts `contents` where [`Hal::map_mmio`] finds it: registers that keep what is written to them.
    pub fn add_registers(&self, phys: u64, contents: &[u8]) {
        if let Some(registers) = KeptRegisters::new(contents) {
            self.add_model(phys, Arc::new(registers));
        }
    }

    /// Puts the registers of a device model where [`Hal::map_mmio`] finds them.
    pub fn add_model(&self, phys: u64, model: Arc<dyn RegisterModel>) {
        lock(&self.state).registers.insert(phys, model);
    }

    /// Puts the registers of a device model where [`Hal::io_ports`] finds them, at their first port.
    pub fn add_ports(&self, first: u16, model: Arc<dyn RegisterModel>) {
        lock(&self.state).ports.insert(first, model);
    }

    /// The registers that were put at `phys`, as they are now.
    pub fn registers(&self, phys: u64) -> Vec<u8> {
        let Some(model) = lock(&self.state).registers.get(&phys).cloned() else { return Vec::new() };
        (0..model.bytes()).map(|offset| model.read(offset, 1) as u8).collect()
    }
}

/// For device models: memory by physical address. Nothing is read or written unless all of it lies in one block.
impl FakeMachine {
    /// Whether these bytes lie in one allocated block.
    pub fn has(&self, phys: u64, bytes: usize) -> bool {
        lock(&self.state).find(phys, bytes).is_some()
    }

    /// Reads `bytes` bytes.
    pub fn read(&self, phys: u64, bytes: usize) -> Option<Vec<u8>> {
        let at = lock(&self.state).find(phys, bytes)?;
        let mut copy = vec![0; bytes];
        // SAFETY: `find` checked the range, and the copy is as long.
        unsafe { at.as_ptr().copy_to_nonoverlapping(copy.as_mut_ptr(), bytes) };
        Some(copy)
    }

    /// Reads an array.
    pub fn read_array<const N: usize>(&self, phys: u64) -> Option<[u8; N]> {
        self.read(phys, N)?.try_into().ok()
    }

    /// Writes bytes.
    pub fn write(&self, phys: u64, bytes: &[u8]) -> Option<()> {
        let at = lock(&self.state).find(phys, bytes.len())?;
        // SAFETY: `find` checked the range.
        unsafe { at.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(())
    }

    /// Reads two bytes as one, before everything that is read after it.
    pub fn load16(&self, phys: u64) -> Option<u16> {
        let at = lock(&self.state).find(phys, 2)?;
        // SAFETY: `find` checked the range; callers pass even addresses, and both address spaces agree in alignment.
        Some(u16::from_le(unsafe { AtomicU16::from_ptr(at.as_ptr().cast()) }.load(Ordering::Acquire)))
    }

    /// Writes two bytes as one, after everything that was written before it.
    pub fn store16(&self, phys: u64, value: u16) -> Option<()> {
        let at = lock(&self.state).find(phys, 2)?;
        // SAFETY: as in `load16`.
        unsafe { AtomicU16::from_ptr(at.as_ptr().cast()) }.store(value.to_le(), Ordering::Release);
        Some(())
    }
}

impl State {
    /// The bytes from `phys` on, if one block holds all of them.
    fn find(&self, phys: u64, bytes: usize) -> Option<NonNull<u8>> {
        let (&start, block) = self.blocks.range(..=phys).next_back()?;
        let offset = usize::try_from(phys - start).ok()?;
        let end = offset.checked_add(bytes)?;
        // SAFETY: the offset lies within the block.
        (end <= block.layout.size()).then(|| unsafe { block.virt.add(offset) })
    }
}

/// Registers that keep what is written to them, in memory as those of a device are.
#[derive(Debug)]
struct KeptRegisters {
    region: Arc<MmioRegion>,
    _block: Block,
}

impl KeptRegisters {
    fn new(contents: &[u8]) -> Option<Self> {
        let block = Block::allocate(contents.len(), 4096)?;
        // SAFETY: the block is as long as `contents`, new, used through the region only, and freed after the region: it is
        // declared behind it.
        let region = unsafe {
            block.virt.as_ptr().copy_from_nonoverlapping(contents.as_ptr(), contents.len());
            MmioRegion::new(block.virt, contents.len())
        };
        Some(Self { region: Arc::new(region), _block: block })
    }
}

impl RegisterModel for KeptRegisters {
    fn bytes(&self) -> usize {
        self.region.bytes()
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        self.region.read(offset, width)
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        self.region.write(offset, width, value);
    }
}

/// The registers of a device model as a driver reaches them.
#[derive(Debug)]
pub(super) struct ModelRegion {
    model: Arc<dyn RegisterModel>,
    /// Where the region starts in the model's registers, and where those are.
    first: usize,
    address: usize,
    bytes: usize,
}

impl ModelRegion {
    /// All registers of a model.
    pub(super) fn new(model: Arc<dyn RegisterModel>) -> Self {
        let bytes = model.bytes();
        Self { model, first: 0, address: 0, bytes }
    }
}

// SAFETY: a model is safe code. The memory that it plays a device's accesses to belongs to a `FakeMachine`, which checks
// them; what they do to a driver that lets go of memory too early is for the tests to see.
unsafe impl IoRegion for ModelRegion {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn check(&self, offset: usize, width: usize) -> Result<(), RegisterError> {
        check_access(self.bytes, self.address, offset, width)
    }

    fn read(&self, offset: usize, width: usize) -> u32 {
        self.check(offset, width).map_or(!0, |()| self.model.read(self.first + offset, width))
    }

    fn write(&self, offset: usize, width: usize, value: u32) {
        if self.check(offset, width).is_ok() {
            self.model.write(self.first + offset, width, value);
        }
    }
}

// SAFETY: blocks come zeroed and aligned from the heap, one block per call; physical addresses are multiples of 4096.
unsafe impl Platform for FakeMachine {
    fn allocate_dma(&self, bytes: usize, align: usize) -> Option<DmaBlock> {
        let mut state = lock(&self.state);
        let left = state.left.checked_sub(bytes)?;
        let block = Block::allocate(bytes, align)?;
        let (virt, phys) = (block.virt, state.next_phys);
        state.left = left;
        state.next_phys = (phys + bytes as u64).next_multiple_of(GAP) + GAP;
        state.blocks.insert(phys, block);
        Some(DmaBlock { virt, phys, bytes })
    }

    /// Time passes by being looked at: waits end in tests as soon as they would, and no sooner.
    fn now_ns(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) * LOOK_NS
    }

    unsafe fn release_dma(&self, released: DmaBlock) {
        let DmaBlock { virt, phys, bytes } = released;
        let mut state = lock(&self.state);
        match state.blocks.remove(&phys) {
            None => state.misuse.push(Misuse::ReleasedUnknown { phys }),
            Some(block) => {
                if block.virt != virt || block.layout.size() != bytes {
                    state.misuse.push(Misuse::ReleasedAltered { phys });
                }
                state.left = state.left.saturating_add(block.layout.size());
            }
        }
    }
}

// SAFETY: regions are those of the model that was put at the address. A machine has one set of claims.
unsafe impl Hal for FakeMachine {
    fn map_mmio(&self, phys: u64, bytes: usize) -> Option<Arc<dyn IoRegion>> {
        let state = lock(&self.state);
        let (&start, model) = state.registers.range(..=phys).next_back()?;
        let (first, address) = (usize::try_from(phys - start).ok()?, usize::try_from(phys).ok()?);
        let is_inside = first.checked_add(bytes)? <= model.bytes();
        is_inside.then(|| Arc::new(ModelRegion { model: model.clone(), first, address, bytes }) as _)
    }

    fn io_ports(&self, first: u16, ports: u16) -> Option<Arc<dyn IoRegion>> {
        let model = lock(&self.state).ports.get(&first)?.clone();
        let is_whole = model.bytes() == usize::from(ports);
        is_whole.then(|| Arc::new(ModelRegion::new(model)) as _)
    }

    fn claims(&self) -> &Claims {
        &self.claims
    }

    fn interrupt_line(&self, pair: u16) -> Option<Box<dyn InterruptLine>> {
        self.lines.take(pair)
    }

    fn shared_line(&self, source: LineSource) -> Option<Box<dyn SharedLine>> {
        self.lines.share(source)
    }
}

// SAFETY: as for `ModelRegion`.
unsafe impl ConfigSpace for FakePci {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        self.read(at, offset)
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        self.write(at, offset, value);
    }
}

impl Block {
    fn allocate(bytes: usize, align: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, align).ok().filter(|layout| layout.size() > 0)?;
        // SAFETY: the layout is not empty.
        let virt = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { virt, layout })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed here alone.
        unsafe { dealloc(self.virt.as_ptr(), self.layout) }
    }
}
