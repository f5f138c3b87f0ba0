//! The functions of the image, by address.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Functions with their addresses, in ascending order.
#[derive(Debug)]
pub struct Symbols {
    functions: Vec<(u64, String)>,
}

impl Symbols {
    /// Those of an ELF file, by binutils' `nm`.
    pub fn read(elf: &Path) -> Result<Self> {
        let mut command = Command::new("nm");
        command.args(["--demangle", "--defined-only", "--numeric-sort"]).arg(elf).stdin(Stdio::null());
        let output = command.output().context("no nm: apt-get install binutils")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nm {}: {}", elf.display(), errors.trim());
        Ok(Self::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// From lines `ADDRESS TYPE NAME`, sorted.
    fn parse(text: &str) -> Self {
        let function = |line: &str| {
            let (address, rest) = line.split_once(' ')?;
            let (kind, name) = rest.split_once(' ')?;
            let address = u64::from_str_radix(address, 16).ok()?;
            matches!(kind, "t" | "T" | "w" | "W").then(|| (address, name.to_owned()))
        };
        Self { functions: text.lines().filter_map(function).collect() }
    }

    /// The address of the one function whose name contains all of `parts`.
    pub fn address(&self, parts: &[&str]) -> Result<u64> {
        let is_it = |name: &str| parts.iter().all(|part| name.contains(part));
        let found: Vec<u64> =
            self.functions.iter().filter(|(_, name)| is_it(name)).map(|(at, _)| *at).collect();
        match found.as_slice() {
            [address] => Ok(*address),
            _ => anyhow::bail!("{} functions have {parts:?} in their name", found.len()),
        }
    }

    /// The function that `address` is in.
    pub fn name(&self, address: u64) -> &str {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        let function = after.checked_sub(1).and_then(|index| self.functions.get(index));
        function.map_or("?", |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0000000000001000 t <a::Bridge as b::Application>::step\n\
                        0000000000001000 r a_constant\n\
                        0000000000001800 T <a::Other as b::Application>::step\n\
                        0000000000002000 t last\n";

    #[test]
    fn a_function_is_found_by_parts_of_its_name() {
        let symbols = Symbols::parse(TEXT);
        assert_eq!(symbols.address(&["Bridge", "Application>::step"]).unwrap(), 0x1000);
        assert!(symbols.address(&["Application>::step"]).unwrap_err().to_string().starts_with("2 functions"));
        symbols.address(&["a_constant"]).unwrap_err();
    }

    #[test]
    fn an_address_is_in_the_last_function_before_it() {
        let symbols = Symbols::parse(TEXT);
        assert_eq!(symbols.name(0x17ff), "<a::Bridge as b::Application>::step");
        assert_eq!(symbols.name(0x1800), "<a::Other as b::Application>::step");
        assert_eq!(symbols.name(0x9000), "last");
        assert_eq!(symbols.name(0xfff), "?");
    }
}
