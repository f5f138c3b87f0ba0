//! Objective: `qemu-run.sh` says at once what is missing on the machine for a verb, with one command that installs it, and
//! downloads nothing before rustup works.
//!
//! 1. Run it where it finds nothing but the tools of every Debian, an apt-get that only notes how it was called, and what the
//!    case provides (compiler, rustup, QEMU…), as root and as an ordinary user.
//! 2. It ends with status 2, and names every missing tool of the verb and every package, in one command.
//! 3. The notes have what was installed: nothing without rustup or as an ordinary user, else all packages in one call, and
//!    the kernel's toolchain after them.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use millrace_tests::image;
use millrace_tests::scratch::Scratch;

/// What the script uses of any system.
const BASE: [&str; 11] =
    ["bash", "cat", "dirname", "env", "grep", "mkdir", "mktemp", "mv", "sed", "sh", "setpriv"];
/// A program that notes its name and arguments, and succeeds.
const NOTES: &str = r#"echo "${0##*/} $*" >>"${0%/*}/notes""#;
/// A C compiler whose library has the files for linking.
const COMPILER: &str = "echo /dev/null";
/// A rustup without the kernel's toolchain, which it cannot install.
const RUSTUP: &str = r#"[ "$1" != run ] && echo "rustup $*" >>"${0%/*}/notes"; exit 1"#;

/// A system with few tools.
struct System {
    folder: Scratch,
}

impl System {
    /// It has the tools of every Debian, of these `programs` each by name and content, and this user.
    fn new(user: u32, programs: &[(&str, &str)]) -> Result<Self> {
        let system = Self { folder: Scratch::new()? };
        for name in BASE {
            symlink(find(name)?, system.folder.path().join(name))?;
        }
        system.add("id", &format!("echo {user}"))?;
        system.add("apt-get", NOTES)?;
        programs.iter().try_for_each(|(name, content)| system.add(name, content))?;
        Ok(system)
    }

    fn add(&self, name: &str, content: &str) -> Result<()> {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{content}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// What the script says when it ends with status 2.
    fn refuses(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(image::repository().join("qemu-run.sh"));
        let output = command.args(arguments).env("PATH", self.folder.path()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2), "{arguments:?}: {}\n{said}", output.status);
        ensure!(!said.contains("acceleration:"), "{said}");
        Ok(said)
    }

    /// What was noted, a line for each call.
    fn notes(&self) -> String {
        fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default()
    }
}

/// Where a program is.
fn find(name: &str) -> Result<std::path::PathBuf> {
    let path = env::var_os("PATH").context("no PATH")?;
    let mut places = env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file()).with_context(|| format!("no {name}"))
}

/// Whether this machine is a Debian with a package of rustup (13 and later; testing has no number).
fn has_rustup_package() -> bool {
    let release = fs::read_to_string(Path::new("/etc/os-release")).unwrap_or_default();
    let value = |key| {
        let line = release.lines().find_map(|line: &str| line.strip_prefix(key))?;
        Some(line.trim_matches('"').to_owned())
    };
    value("ID=").is_some_and(|id| id == "debian")
        && value("VERSION_ID=").is_none_or(|number| number.parse::<u32>().is_ok_and(|number| number >= 13))
}

/// The packages of the one installing command in `said`.
fn packages(said: &str) -> Result<Vec<&str>> {
    let command = "apt-get update && apt-get install -y --no-install-recommends ";
    let mut commands = said.lines().filter_map(|line| line.trim().strip_prefix(command));
    let packages = commands.next().with_context(|| format!("no command in {said}"))?;
    ensure!(commands.next().is_none(), "more than one command in {said}");
    Ok(packages.split(' ').collect())
}

#[test]
fn without_rustup_all_is_named_and_nothing_downloaded() -> Result<()> {
    for user in [0, 1000] {
        let system = System::new(user, &[])?;
        let said = system.refuses(&["run"])?;
        assert!(said.contains("missing: rustup"), "{said}");
        let mut expected = vec!["gcc", "libc6-dev", "binutils", "qemu-system-x86"];
        if has_rustup_package() {
            expected.splice(0..0, ["rustup", "ca-certificates"]);
            assert!(said.contains("  rustup default stable\n"), "{said}");
        } else {
            assert!(said.contains("https://rustup.rs"), "{said}");
        }
        assert_eq!(packages(&said)?, expected);
        assert_eq!(system.notes(), "");
    }
    Ok(())
}

#[test]
fn a_rustup_without_toolchain_is_told_how_to_get_one() -> Result<()> {
    let programs = [("rustup", RUSTUP), ("cargo", "exit 1"), ("cc", COMPILER), ("objcopy", "")];
    let system = System::new(0, &programs)?;
    let said = system.refuses(&["build"])?;
    assert!(said.contains("no toolchain") && said.contains("\n  rustup default stable\n"), "{said}");
    let system = System::new(0, &programs[..2])?;
    assert_eq!(packages(&system.refuses(&["build"])?)?, ["gcc", "libc6-dev", "binutils"]);
    assert_eq!(system.notes(), "");
    Ok(())
}

#[test]
fn an_ordinary_user_gets_one_command_for_the_whole_verb() -> Result<()> {
    let system = System::new(1000, &[("rustup", RUSTUP), ("cargo", "")])?;
    let said = system.refuses(&["test"])?;
    let packages = packages(&said)?;
    for package in
        ["gcc", "libc6-dev", "binutils", "qemu-system-x86", "grub-common", "xorriso", "mtools", "dpdk-dev"]
    {
        assert!(packages.contains(&package), "no {package} in {said}");
    }
    // Only root makes network namespaces.
    assert!(!packages.contains(&"iproute2"), "{said}");
    for tool in ["cc", "Scrt1.o", "objcopy", "qemu-system-x86_64", "grub-mkrescue", "dpdk-testpmd"] {
        assert!(said.contains(&format!(" {tool}")), "no {tool} in {said}");
    }
    let said = system.refuses(&["run", "--iso"])?;
    assert!(said.contains("grub-mkrescue") && !said.contains("dpdk"), "{said}");
    assert_eq!(system.notes(), "");
    Ok(())
}

#[test]
fn a_compiler_without_the_files_for_linking_is_noticed() -> Result<()> {
    let programs = [("rustup", RUSTUP), ("cargo", ""), ("cc", "echo Scrt1.o"), ("objcopy", "")];
    let said = System::new(1000, &programs)?.refuses(&["build"])?;
    assert_eq!(packages(&said)?, ["libc6-dev"]);
    Ok(())
}

#[test]
fn root_installs_all_packages_at_once_and_then_the_toolchain() -> Result<()> {
    let system = System::new(0, &[("rustup", RUSTUP), ("cargo", "")])?;
    let said = system.refuses(&[])?;
    assert!(
        said.contains("cannot install the kernel's toolchain. Run:\n  rustup toolchain install "),
        "{said}"
    );
    let notes = system.notes();
    let notes: Vec<&str> = notes.lines().collect();
    assert_eq!(
        notes[..2],
        [
            "apt-get update",
            "apt-get install -y --no-install-recommends gcc libc6-dev binutils qemu-system-x86"
        ]
    );
    assert!(notes[2].starts_with("rustup toolchain install nightly-"), "{notes:?}");
    assert_eq!(notes.len(), 3);
    Ok(())
}
