//! The report of an exception: everything the processor knows, then the end.
#![expect(unsafe_code, reason = "takes the console from the code that faulted")]

use x86_64::registers::control::{Cr2, Cr3};

use super::meaning::{Decoded, Meaning};
use super::registers::Interrupted;
use super::vector;
use crate::console::{self, line};
use crate::processors::{self, Claim};
use crate::{ExitCode, exit};

/// Prints the state of the interrupted code and ends the machine.
pub(super) fn report(at: &Interrupted) -> ! {
    let (name, rip) = (vector::name(at.vector), at.rip);
    let cr2 = Cr2::read_raw();
    let claim = processors::claim_end();
    // SAFETY: the other processors stand still, or do not hear, and this one never goes back to what it interrupted.
    unsafe { console::seize() };
    if claim == Claim::Again {
        exit(
            ExitCode::Kernel,
            format_args!("{name} at rip {rip:#x}, cr2 {cr2:#x}, while another was reported"),
        );
    }
    let meaning = Meaning { interrupted: at, cr2 };
    line(format_args!("FAULT vector={} ({name}) error={}", at.vector, Decoded(at)));
    line(format_args!("  meaning: {meaning}"));
    line(format_args!("  processor {}", processors::number()));
    registers(at);
    let (tables, _) = Cr3::read_raw();
    line(format_args!("  cr2={cr2:016x} cr3={:016x}", tables.start_address()));
    line(format_args!("  source: addr2line -fipe target/millrace.debug {rip:#x}"));
    exit(ExitCode::Kernel, format_args!("{name} at rip {rip:#x}: {meaning}"))
}

fn registers(at: &Interrupted) {
    line(format_args!("  rip={:016x} rsp={:016x} rflags={:016x}", at.rip, at.rsp, at.rflags));
    line(format_args!("  rax={:016x} rbx={:016x} rcx={:016x} rdx={:016x}", at.rax, at.rbx, at.rcx, at.rdx));
    line(format_args!("  rsi={:016x} rdi={:016x} rbp={:016x}", at.rsi, at.rdi, at.rbp));
    line(format_args!("  r8 ={:016x} r9 ={:016x} r10={:016x} r11={:016x}", at.r8, at.r9, at.r10, at.r11));
    line(format_args!("  r12={:016x} r13={:016x} r14={:016x} r15={:016x}", at.r12, at.r13, at.r14, at.r15));
    line(format_args!("  cs={:#06x} ss={:#06x}", at.cs, at.ss));
}
