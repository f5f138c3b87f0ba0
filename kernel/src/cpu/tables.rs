//! Global descriptor table and task state segment.
#![expect(unsafe_code, reason = "loads segment registers")]

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::stacks::ExceptionStack;

struct Segments {
    table: GlobalDescriptorTable,
    code: SegmentSelector,
    data: SegmentSelector,
    task: SegmentSelector,
}

static TASK: Once<TaskStateSegment> = Once::new();
static SEGMENTS: Once<Segments> = Once::new();

/// Loads the tables and makes the processor use them.
pub(super) fn load() {
    let task = TASK.call_once(task_state);
    let segments = SEGMENTS.call_once(|| {
        let mut table = GlobalDescriptorTable::new();
        let code = table.append(Descriptor::kernel_code_segment());
        let data = table.append(Descriptor::kernel_data_segment());
        let task = table.append(Descriptor::tss_segment(task));
        Segments { table, code, data, task }
    });
    segments.table.load();
    // SAFETY: the selectors are those of the table just loaded, a 64-bit code segment, a writable data
    // segment, and a task state segment that lives as long as the machine.
    unsafe {
        CS::set_reg(segments.code);
        SS::set_reg(segments.data);
        DS::set_reg(segments.data);
        ES::set_reg(segments.data);
        load_tss(segments.task);
    }
}

fn task_state() -> TaskStateSegment {
    let mut task = TaskStateSegment::new();
    let mut tops = [VirtAddr::zero(); 7];
    for (place, stack) in tops.iter_mut().zip(ExceptionStack::ALL) {
        *place = VirtAddr::new_truncate(stack.top());
    }
    task.interrupt_stack_table = tops;
    task
}
