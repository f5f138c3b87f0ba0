//! Counting what a guest executes, with the plugin of the lab's folder.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use millrace_tests::scratch::Scratch;
use millrace_tests::{Qemu, image};

use crate::vhost;

/// QEMU's plugin that counts instructions.
#[derive(Debug)]
pub struct Plugin {
    path: PathBuf,
}

impl Plugin {
    /// Builds it; or says what is missing.
    pub fn build() -> Result<Self, String> {
        let source = vhost::folder()?.join("src/insn.c");
        let path = image::repository().join("target/lab/insn.so");
        compile(&source, &path).map_err(|error| format!("{error:#}"))?;
        Ok(Self { path })
    }

    /// A count for one QEMU.
    pub fn count(&self) -> Result<Count> {
        Ok(Count { plugin: self.path.clone(), folder: Scratch::new()? })
    }
}

fn compile(source: &Path, plugin: &Path) -> Result<()> {
    let folder = plugin.parent().unwrap_or(plugin);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = Command::new("gcc");
    command.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o"]).arg(plugin).arg(source);
    let output = command.stdin(Stdio::null()).output().context("no C compiler: apt-get install gcc")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// How many instructions the one processor of a guest has executed. The plugin keeps the count in a file.
#[derive(Debug)]
pub struct Count {
    plugin: PathBuf,
    folder: Scratch,
}

impl Count {
    /// Has `qemu` count.
    pub fn attach(&self, qemu: Qemu) -> Qemu {
        let (plugin, file) = (self.plugin.display(), self.file());
        qemu.argument("-plugin").argument(format!("{plugin},path={}", file.display()))
    }

    /// The count now.
    pub fn now(&self) -> Result<u64> {
        let mut count = [0; 8];
        let read = File::open(self.file()).and_then(|mut file| file.read_exact(&mut count));
        read.context("the plugin has not counted")?;
        Ok(u64::from_le_bytes(count))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("count")
    }
}
