//! The command line as a configuration.

use alloc::string::ToString;
use alloc::vec::Vec;

use millrace_boot::command_line;
use nm_apps::{APPS, Config};

use super::failure::Failure;

/// The configuration that the command line asks for.
pub(super) fn read(line: &[u8]) -> Result<Config, Failure> {
    let words = command_line::words(line).map(|word| word.map(|word| (word.key, word.value)));
    let words: Result<Vec<_>, _> = words.collect();
    let words = words.map_err(|error| Failure::CommandLine(error.to_string()))?;
    #[cfg(feature = "fault-injection")]
    inject(&words)?;
    Config::parse(&words, APPS).map_err(|error| Failure::CommandLine(error.to_string()))
}

/// Provokes the fault that a word `fault=KIND` asks for. Returns only if there is no such word.
#[cfg(feature = "fault-injection")]
fn inject(words: &[(&str, &str)]) -> Result<(), Failure> {
    let Some((_, kind)) = words.iter().find(|(key, _)| *key == "fault") else { return Ok(()) };
    millrace::faults::provoke(kind);
    let kinds = millrace::faults::KINDS.map(|(name, _)| name).join(" ");
    Err(Failure::CommandLine(alloc::format!("unknown kind in \"fault={kind}\"; allowed are {kinds}")))
}
