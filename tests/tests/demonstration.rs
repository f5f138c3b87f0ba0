//! Objective: the demonstration works on a machine where nothing was prepared, and leaves nothing behind.
//!
//! 1. Run it as `./qemu-run.sh` does: it ends with status 0 and has shown a lease, the router's address, pings, the download
//!    and its hash.
//! 2. Run it again, and send it SIGINT, as Ctrl-C does, or SIGTERM once QEMU runs: that signal ends it, and its temporary
//!    folders are gone.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use millrace_tests::{image, scratch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn demonstration() -> Result<Command> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.env("MILLRACE_ELF", image::appliance()?);
    Ok(command)
}

#[test]
fn succeeds_and_shows_what_crossed() -> Result<()> {
    let output = demonstration()?.output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{shown}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    for part in
        ["lease of 10.0.2.15/24", "10.0.2.2 is at", "10 of 10 answered", "128 MiB from", "as it was sent"]
    {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
    Ok(())
}

#[test]
fn interrupted_it_leaves_no_folder() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child =
            with_default_signals(&demonstration()?).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let shown = BufReader::new(child.stdout.take().context("no output")?);
        let mut lines = shown.lines();
        let is_running = lines.by_ref().any(|line| line.is_ok_and(|line| line.contains("READY")));
        ensure!(is_running, "the demonstration ended early");
        assert_ne!(folders_of(child.id())?, 0);
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        assert_eq!(child.wait()?.signal(), Some(signal as i32));
        assert_eq!(folders_of(child.id())?, 0, "after {signal}");
    }
    Ok(())
}

/// The same command with no signal ignored. A shell has its background jobs ignore SIGINT, and all their descendants inherit that.
fn with_default_signals(command: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal").arg(command.get_program()).args(command.get_args());
    env.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    env
}

/// How many temporary folders of that process exist.
fn folders_of(process: u32) -> Result<usize> {
    let prefix = scratch::prefix(process);
    let entries = fs::read_dir(env::temp_dir())?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count())
}
