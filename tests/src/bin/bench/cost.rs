//! Guest instructions for a packet, a batch and a loop that finds nothing: the table that the README shows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use millrace_tests::cost::{Measured, SUBJECTS, Subject, Table, measure};

/// How long each phase lasts.
const PHASE: Duration = Duration::from_secs(2);
/// Blocks that add fewer instructions than this to every quantity are left out of the details.
const LEAST: f64 = 0.05;

/// Prints the table, and writes to `detail` where the instructions go.
pub fn bench(detail: Option<&Path>) -> Result<()> {
    let mut table = Table::default();
    let mut file = match detail {
        Some(path) => Some(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?)),
        None => None,
    };
    for subject in &SUBJECTS {
        let measured = measure(subject, PHASE)?;
        table.push(subject.name, &measured.cost);
        if let Some(file) = &mut file {
            write_blocks(file, subject, &measured)?;
            file.flush()?;
        }
    }
    println!("{table}");
    Ok(())
}

/// A line for each block: its address and length, how often it runs for a packet, a batch, a loop that finds nothing and another
/// transmit sync, and its function. The blocks with the most instructions for a packet come first.
fn write_blocks(file: &mut impl Write, subject: &Subject, measured: &Measured) -> Result<()> {
    writeln!(file, "# {}\n# address instructions packet batch idle flush function", subject.name)?;
    let mut blocks = measured.fit.blocks.clone();
    blocks.retain(|(block, times)| times.iter().any(|times| times * block.instructions as f64 >= LEAST));
    blocks.sort_by(|(a, [a_packet, ..]), (b, [b_packet, ..])| {
        (b_packet * b.instructions as f64).total_cmp(&(a_packet * a.instructions as f64))
    });
    for (block, [packet, batch, idle, flush]) in blocks {
        let name = measured.symbols.name(block.address);
        let (address, instructions) = (block.address, block.instructions);
        writeln!(file, "{address:x} {instructions} {packet:.3} {batch:.3} {idle:.3} {flush:.3} {name}")?;
    }
    Ok(())
}
