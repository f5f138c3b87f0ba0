//! A network namespace with one TAP device: a host of its own, removed when dropped.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::console::{Console, Mark};
use crate::guest::PATIENCE;

/// Fails with a clear word unless run by root.
pub fn need_root() -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "this needs root, for network namespaces and TAP devices: run it as root, or all the others with \
         `./qemu-run.sh test`"
    );
    Ok(())
}

/// A network namespace, and the TAP device that is meant for it. Both have the same name, unique on this
/// machine.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes both; the device is not in the namespace yet, since QEMU finds it by name only outside.
    pub fn new() -> Result<Self> {
        Self::with_tap(&[])
    }

    /// The same with a device that can have several queues, to and from which the host steers by flow.
    pub fn with_queues() -> Result<Self> {
        Self::with_tap(&["multi_queue"])
    }

    fn with_tap(flags: &[&str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("mr{:x}n{number}", std::process::id()) };
        ip(&["netns", "add", &namespace.name])?;
        ip(&[&["tuntap", "add", "dev", &namespace.name, "mode", "tap"], flags].concat())?;
        Ok(namespace)
    }

    /// The name of the device, and of the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The properties of QEMU's `tap` netdev. Without its header for offloads, frames are what they are on a
    /// wire.
    pub fn backend(&self) -> String {
        format!("ifname={},script=no,downscript=no,vnet_hdr=off", self.name)
    }

    /// Moves the device, which QEMU has open by now, into the namespace, and gives it `address`.
    pub fn take_tap(&self, address: &str) -> Result<()> {
        let name = self.name.as_str();
        ip(&["link", "set", name, "netns", name])?;
        ip(&["-netns", name, "address", "add", &format!("{address}/24"), "dev", name])?;
        ip(&["-netns", name, "link", "set", name, "up"])
    }

    /// Runs a program inside to its end; what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        run(self.command(program).args(arguments))
    }

    /// Starts a server inside, and waits until it prints a line with `sign`. It ends when dropped.
    pub fn serve_once(&self, program: &str, arguments: &[&str], sign: &str) -> Result<Server> {
        let mut command = self.command(program);
        let child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {program}"))?;
        let output = child.stdout.take().context("the server has no output")?;
        let server = Server { child, console: Console::read_from(output) };
        server.console.wait_for(Mark::default(), PATIENCE, sign, |line| line.contains(sign))?;
        Ok(server)
    }

    /// `timeout` keeps the promise that everything ends; it passes signals on.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "timeout", "60", program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Where the device is depends on how far things got, and with its namespace it goes away by itself.
        let _ = ip(&["netns", "delete", &self.name]);
        let _ = ip(&["link", "delete", &self.name]);
    }
}

/// A program that serves in a namespace.
#[derive(Debug)]
pub struct Server {
    child: Child,
    console: Console,
}

impl Server {
    /// Waits until it has ended by itself.
    pub fn finish(self) -> Result<()> {
        self.console.wait_closed("the program", PATIENCE)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `timeout` passes this one on, as it could not a SIGKILL. Both fail only when it has ended already.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments)).map(drop)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{printed}{errors}", output.status);
    Ok(printed)
}
