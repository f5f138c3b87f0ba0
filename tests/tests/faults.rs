//! Objective: a fault of the kernel ends in a dump that can be read, and QEMU's status 37.
//!
//! For each kind of fault:
//! 1. Boot the test build with `fault=KIND` on the command line; it provokes that fault.
//! 2. The console shows the exception's vector and name, its error code and what that means, and the
//!    registers.
//! 3. QEMU ends with status 37, after an `EXIT code=0x12` line.

use anyhow::{Context, Result};
use millrace_tests::console::Mark;
use millrace_tests::guest::STATUS_FAULT;
use millrace_tests::{Appliance, Machine, Qemu, image, on_pc_and_q35};

on_pc_and_q35!(
    invalid_opcode,
    general_protection,
    null_page,
    page_not_present,
    write_to_code,
    execution_of_data,
    division_by_zero,
    double_fault,
    stack_overflow_hits_the_guard_page,
    panic,
    stack_overflow_of_another_processor,
    the_page_that_processors_start_in_is_not_mapped_afterwards,
);

/// What every dump of an exception shows besides.
const REGISTERS: [&str; 8] = ["rip=", "rsp=", "rflags=", "rax=", "rbp=", "r15=", "cr2=", "cr3="];

fn invalid_opcode(machine: Machine) -> Result<()> {
    dumps(machine, "ud", &["FAULT vector=6 ", "opcode"])
}

fn general_protection(machine: Machine) -> Result<()> {
    dumps(machine, "gp", &["FAULT vector=13 ", "protection", "error=0x0"])
}

fn null_page(machine: Machine) -> Result<()> {
    dumps(machine, "null", &["FAULT vector=14 (page fault) ", "null pointer"])
}

/// This one has put known values into the registers.
fn page_not_present(machine: Machine) -> Result<()> {
    let registers = [
        "rbx=0000000000001111",
        "rbp=0000000000002222",
        "rax=0000000000003333",
        "rdi=0000700000001000",
        "r10=000000000000aaaa",
        "r15=000000000000ffff",
        "cr2=0000700000001000",
    ];
    let words = ["FAULT vector=14 (page fault) error=0x2", "write", "not mapped"];
    dumps(machine, "page", &[&registers[..], &words[..]].concat())
}

fn write_to_code(machine: Machine) -> Result<()> {
    dumps(machine, "write-code", &["FAULT vector=14 (page fault) error=0x3", "write", "read-only"])
}

fn execution_of_data(machine: Machine) -> Result<()> {
    dumps(machine, "exec-data", &["FAULT vector=14 (page fault) ", "instruction fetch", "cannot be executed"])
}

fn division_by_zero(machine: Machine) -> Result<()> {
    dumps(machine, "divide", &["FAULT vector=0 ", "divi"])
}

fn double_fault(machine: Machine) -> Result<()> {
    dumps(machine, "double", &["FAULT vector=8 ", "double fault"])
}

fn stack_overflow_hits_the_guard_page(machine: Machine) -> Result<()> {
    dumps(
        machine,
        "stack",
        &["FAULT vector=14 (page fault) ", "stack overflow", "guard page under the boot stack"],
    )
}

/// While the first one works.
fn stack_overflow_of_another_processor(machine: Machine) -> Result<()> {
    let mut appliance = Appliance::boot_test_build_with(machine, |qemu| qemu.processors(2))?;
    appliance.guest.type_in("f")?;
    let console = appliance.guest.wait_status(STATUS_FAULT)?;
    let parts =
        ["FAULT vector=14 (page fault) ", "guard page under the stack of a further processor", "processor 1"];
    check_dump(&console, &parts)
}

fn the_page_that_processors_start_in_is_not_mapped_afterwards(machine: Machine) -> Result<()> {
    // Where nothing was started in it, it is memory like any other.
    let mut alone = Appliance::boot_test_build(machine)?;
    alone.guest.type_in("l")?;
    alone.guest.wait_for(Mark::default(), "the page that processors start in is mapped")?;
    alone.stop()?;
    let mut appliance = Appliance::boot_test_build_with(machine, |qemu| qemu.processors(2))?;
    appliance.guest.type_in("l")?;
    let console = appliance.guest.wait_status(STATUS_FAULT)?;
    check_dump(&console, &["FAULT vector=14 (page fault) ", "nothing is mapped at 0x"])
}

fn panic(machine: Machine) -> Result<()> {
    let console = faults(machine, "panic")?;
    assert!(console.contains("panic at kernel/src/faults.rs:"), "no place of the panic in:\n{console}");
    Ok(())
}

/// The dump has all `parts`, and the registers.
fn dumps(machine: Machine, kind: &str, parts: &[&str]) -> Result<()> {
    check_dump(&faults(machine, kind)?, parts)
}

fn check_dump(console: &str, parts: &[&str]) -> Result<()> {
    let dump = console.split_once("\nFAULT ").map(|(_, dump)| format!("FAULT {dump}"));
    let dump = dump.with_context(|| format!("no dump in:\n{console}"))?;
    for part in parts.iter().chain(&REGISTERS) {
        assert!(dump.contains(part), "no {part:?} in the dump:\n{dump}");
    }
    Ok(())
}

fn faults(machine: Machine, kind: &str) -> Result<String> {
    let words = format!("app=bridge fault={kind}");
    let mut guest = Qemu::new(machine, image::fault_injection()?).command_line(words).start()?;
    let console = guest.wait_status(STATUS_FAULT)?;
    guest.wait_for(Mark::default(), "EXIT code=0x12 reason=")?;
    Ok(console)
}
