//! Counting what a guest executes: QEMU's plugin, `plugin.c`, and the counts that it keeps in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{fs, io::Write as _};

use anyhow::{Context, Result, ensure};

use crate::Qemu;
use crate::options::option_value;
use crate::scratch::Scratch;

const SOURCE: &str = include_str!("plugin.c");
/// Entries of the file, the same as in `plugin.c`, of three 64-bit words each: address, instructions, executions.
const BLOCKS: usize = 1 << 16;
const WORD: usize = 8;
const ENTRY: usize = 3 * WORD;

/// A translation block: instructions that QEMU translates together, and that run one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    /// The guest's virtual address of the first instruction.
    pub address: u64,
    /// How many there are. Blocks of different lengths may start at one address.
    pub instructions: u64,
}

/// How often each block was executed since the guest's start.
pub type Executed = BTreeMap<Block, u64>;

/// The plugin, built for one QEMU.
#[derive(Debug)]
pub struct Plugin {
    folder: Scratch,
}

impl Plugin {
    /// Builds it with the C compiler that Rust links with.
    pub fn build() -> Result<Self> {
        let plugin = Self { folder: Scratch::new()? };
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-x", "c", "-", "-o"]);
        compiler.arg(plugin.library()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = compiler.spawn().context("no C compiler: apt-get install gcc libc6-dev")?;
        running.stdin.take().context("cc has no input")?.write_all(SOURCE.as_bytes())?;
        let output = running.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(plugin)
    }

    /// Has `qemu`, of one processor, count.
    pub fn attach(&self, qemu: Qemu) -> Qemu {
        let [library, counts] = [self.library(), self.counts()].map(|path| option_value(&path));
        qemu.argument("-plugin").argument(format!("{library},path={counts}"))
    }

    /// The counts as they stand.
    pub fn executed(&self) -> Result<Executed> {
        let bytes = fs::read(self.counts()).context("the plugin has not counted")?;
        ensure!(bytes.len() == BLOCKS * ENTRY, "the plugin's file has {} bytes", bytes.len());
        Ok(bytes.chunks_exact(ENTRY).filter_map(read_entry).collect())
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("plugin.so")
    }

    fn counts(&self) -> PathBuf {
        self.folder.path().join("counts")
    }
}

/// The block of an entry and its executions, unless it is free.
fn read_entry(entry: &[u8]) -> Option<(Block, u64)> {
    let mut words = entry.chunks_exact(WORD).map(|word| word.try_into().map(u64::from_le_bytes));
    let mut next = || words.next()?.ok();
    let (address, instructions, executed) = (next()?, next()?, next()?);
    (instructions > 0).then_some((Block { address, instructions }, executed))
}
