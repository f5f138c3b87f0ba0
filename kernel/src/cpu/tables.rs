//! Global descriptor table and task state segment, of each processor its own: the task state is written to when it is
//! loaded, and names the stacks for exceptions.
#![expect(unsafe_code, reason = "loads segment registers")]

use alloc::boxed::Box;

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::stacks::{self, EXCEPTION_STACKS};

/// The segments of a processor.
pub(crate) struct Segments {
    table: GlobalDescriptorTable,
    code: SegmentSelector,
    data: SegmentSelector,
    task: SegmentSelector,
}

/// Those of the first, which are needed before there is a heap.
static FIRST_TASK: Once<TaskStateSegment> = Once::new();
static FIRST: Once<Segments> = Once::new();

/// Has the first processor use its segments.
pub(crate) fn load_first() {
    let task = FIRST_TASK.call_once(|| task_state(stacks::first_tops()));
    FIRST.call_once(|| Segments::new(task)).load();
}

impl Segments {
    /// Those of a further processor, with the upper ends of its stacks for exceptions. They are never freed.
    pub(crate) fn further(tops: [u64; EXCEPTION_STACKS]) -> &'static Self {
        let task = Box::leak(Box::new(task_state(tops)));
        Box::leak(Box::new(Self::new(task)))
    }

    /// The same selectors for all processors: the gates for interrupts name one.
    fn new(task: &'static TaskStateSegment) -> Self {
        let mut table = GlobalDescriptorTable::new();
        let code = table.append(Descriptor::kernel_code_segment());
        let data = table.append(Descriptor::kernel_data_segment());
        let task = table.append(Descriptor::tss_segment(task));
        Self { table, code, data, task }
    }

    /// Makes the processor use them. One does, once.
    pub(crate) fn load(&'static self) {
        self.table.load();
        // SAFETY: the selectors are those of the table just loaded, a 64-bit code segment, a writable data
        // segment, and a task state segment that lives as long as the machine.
        unsafe {
            CS::set_reg(self.code);
            SS::set_reg(self.data);
            DS::set_reg(self.data);
            ES::set_reg(self.data);
            load_tss(self.task);
        }
    }
}

fn task_state(tops: [u64; EXCEPTION_STACKS]) -> TaskStateSegment {
    let mut task = TaskStateSegment::new();
    let mut table = [VirtAddr::zero(); 7];
    for (place, top) in table.iter_mut().zip(tops) {
        *place = VirtAddr::new_truncate(top);
    }
    task.interrupt_stack_table = table;
    task
}
