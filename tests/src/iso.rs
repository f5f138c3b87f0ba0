//! The image on a medium from which firmware and GRUB boot it.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::image;
use crate::options::option_value;
use crate::scratch::Scratch;

/// UEFI for virtual machines, as Debian's package `ovmf` has it.
const OVMF: &str = "/usr/share/ovmf/OVMF.fd";

/// The script makes one ISO at a time, always of the same name.
static SCRIPT: Mutex<()> = Mutex::new(());

/// What an ISO is to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A CD in a drive.
    Cd,
    /// A disk, with the same bytes.
    Disk,
}

/// What boots from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, QEMU's own.
    Bios,
    /// OVMF.
    Uefi,
}

impl Firmware {
    /// Memory in MiB with which GRUB starts. GRUB 2.12 takes 32 MiB for itself under UEFI, and OVMF leaves less than that of
    /// 64 MiB.
    pub(crate) fn least_memory_mib(self) -> u32 {
        match self {
            Firmware::Bios => 8,
            Firmware::Uefi => 128,
        }
    }
}

/// An ISO of the appliance, gone when dropped.
#[derive(Debug)]
pub struct Iso {
    folder: Scratch,
}

impl Iso {
    /// What `./qemu-run.sh build --iso -- WORDS` makes of these words: it builds the image that goes in, too.
    pub fn build(words: &[&str]) -> Result<Self> {
        let _turn = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner);
        let script = image::repository().join("qemu-run.sh");
        let output = Command::new(&script).args(["build", "--iso", "--"]).args(words).output();
        let output = output.with_context(|| format!("cannot run {}", script.display()))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "no ISO, {}:\n{complaint}", output.status);
        let said = String::from_utf8(output.stdout).context("the path is no text")?;
        let path = said.lines().last().context("the script prints no path")?;
        let iso = Self { folder: Scratch::new()? };
        fs::copy(path, iso.path()).with_context(|| format!("cannot copy {path}"))?;
        Ok(iso)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("iso")
    }

    /// QEMU's arguments for booting from it.
    pub(crate) fn arguments(&self, medium: Medium, firmware: Firmware) -> Vec<OsString> {
        let file = option_value(&self.path());
        // First in the order of boot, but for devices that a test puts in front: OVMF would look for something to boot on each
        // card's network before.
        let (access, device) = match medium {
            Medium::Cd => ("readonly=on", "ide-cd,drive=iso,bootindex=9"),
            Medium::Disk => ("snapshot=on", "ide-hd,drive=iso,bootindex=9"),
        };
        let drive = format!("if=none,id=iso,format=raw,{access},file={file}");
        let mut arguments = vec!["-drive", drive.as_str(), "-device", device];
        if firmware == Firmware::Uefi {
            arguments.extend(["-bios", OVMF]);
        }
        arguments.into_iter().map(OsString::from).collect()
    }
}
