//! The console: a table of commands, and the bytes that pick one.
//!
//! ```text
//! s              a key: runs its command at once
//! :stats⏎        a command line: begins with a colon, ends with Enter
//! ```
//!
//! A key that no command has is ignored, since noise on a serial line is not a command. Within a command line, Backspace removes the
//! last character; Escape, Ctrl-C and Ctrl-U give it up. A line that cannot be run is answered with what is allowed.
//!
//! An application or a later part of the appliance adds commands with [`Console::add`].

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use nm_core::Netmap;

use crate::apps::AppEntry;
use crate::keys::{KeyHelp, Keys, list};
use crate::machine::MachineConfig;
use crate::report::{self, CounterReport, Output};

/// Longest command line, in bytes. The rest of a longer one is ignored, and the line is refused.
pub const LINE_MAX: usize = 256;

/// What a command is called, and what help says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandInfo {
    /// Its name on a command line.
    pub name: &'static str,
    /// The keys that run it, each without arguments.
    pub keys: &'static str,
    /// Its arguments, as help shows them; empty for none.
    pub arguments: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
}

/// A command as it is typed: its name, and its arguments if it has some.
struct Usage(CommandInfo);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommandInfo { name, arguments, .. } = self.0;
        let gap = if arguments.is_empty() { "" } else { " " };
        write!(f, ":{name}{gap}{arguments}")
    }
}

/// Runs a command with the arguments of its line.
pub type Handler = Box<dyn FnMut(&mut Context<'_>, &[&str]) -> Result<(), CommandError> + Send>;

/// Why a command was not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// Its arguments are not those that it takes.
    Arguments,
    /// It failed for this reason.
    Failed(String),
}

/// What a command can use.
pub struct Context<'a> {
    /// The interfaces, rings and memory.
    pub netmap: &'a Netmap,
    /// The counters' report.
    pub report: &'a CounterReport,
    /// Ends the run.
    pub stop: &'a StopRequest,
    /// All commands.
    pub commands: &'a [CommandInfo],
    /// All applications.
    pub apps: &'a [AppEntry],
    /// The console's output.
    pub out: &'a mut dyn Output,
}

/// A request to end the run. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct StopRequest(Arc<AtomicBool>);

impl StopRequest {
    /// Asks for the end of the run.
    pub fn send(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the end of the run was asked for.
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The commands, and the line that is being typed.
pub struct Console {
    netmap: Netmap,
    report: Arc<CounterReport>,
    stop: StopRequest,
    apps: &'static [AppEntry],
    commands: Vec<CommandInfo>,
    /// One for each command.
    handlers: Vec<Handler>,
    /// The command line behind its colon, while one is being typed.
    line: Option<String>,
}

impl Console {
    /// A console with the commands that every appliance has.
    pub fn new(
        netmap: Netmap,
        report: Arc<CounterReport>,
        stop: StopRequest,
        apps: &'static [AppEntry],
    ) -> Self {
        let (commands, handlers) = (Vec::new(), Vec::new());
        let mut console = Self { netmap, report, stop, apps, commands, handlers, line: None };
        for (info, run) in COMMANDS {
            console.add(*info, Box::new(run));
        }
        console
    }

    /// Adds a command. Its name and its keys are not those of another.
    pub fn add(&mut self, info: CommandInfo, run: Handler) {
        self.commands.push(info);
        self.handlers.push(run);
    }

    /// Takes a byte that was typed, and runs the command that it completes.
    pub fn type_byte(&mut self, byte: u8, out: &mut dyn Output) {
        let Some(line) = &mut self.line else {
            match byte {
                b':' => self.line = Some(String::new()),
                _ => self.run_key(byte, out),
            }
            return;
        };
        match byte {
            b'\r' | b'\n' => {
                let line = self.line.take().unwrap_or_default();
                self.run_line(&line, out);
            }
            BACKSPACE | DELETE => drop(line.pop()),
            ESCAPE | CTRL_C | CTRL_U => self.line = None,
            // One byte more than the limit tells that the line is too long.
            b' '..=b'~' if line.len() <= LINE_MAX => line.push(byte.into()),
            _ => {}
        }
    }

    fn run_key(&mut self, byte: u8, out: &mut dyn Output) {
        let place = self.commands.iter().position(|command| command.keys.as_bytes().contains(&byte));
        if let Some(place) = place {
            self.run(place, &[], out);
        }
    }

    fn run_line(&mut self, line: &str, out: &mut dyn Output) {
        out.line(TARGET, format_args!(":{line}"));
        if line.len() > LINE_MAX {
            out.line(TARGET, format_args!("the line has more than {LINE_MAX} characters"));
            return;
        }
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { return };
        let words: Vec<_> = words.collect();
        match self.commands.iter().position(|command| command.name == name) {
            Some(place) => self.run(place, &words, out),
            None => {
                let allowed = list(&mut self.commands.iter().map(|command| command.name));
                out.line(TARGET, format_args!("unknown command \"{name}\"; allowed: {allowed}"));
            }
        }
    }

    fn run(&mut self, place: usize, arguments: &[&str], out: &mut dyn Output) {
        let Self { netmap, report, stop, apps, commands, handlers, .. } = self;
        let (Some(info), Some(run)) = (commands.get(place), handlers.get_mut(place)) else { return };
        let (info, name) = (*info, info.name);
        let mut context = Context { netmap, report, stop, commands, apps, out };
        match run(&mut context, arguments) {
            Ok(()) => {}
            Err(CommandError::Arguments) => out.line(TARGET, format_args!("usage: {}", Usage(info))),
            Err(CommandError::Failed(reason)) => out.line(TARGET, format_args!("{name}: {reason}")),
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, line, .. } = self;
        f.debug_struct("Console").field("commands", commands).field("line", line).finish_non_exhaustive()
    }
}

/// Target of the console's own lines.
const TARGET: &str = "console";

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
const ESCAPE: u8 = 0x1b;
const CTRL_C: u8 = 0x03;
const CTRL_U: u8 = 0x15;

type Run = fn(&mut Context<'_>, &[&str]) -> Result<(), CommandError>;

/// The commands that every appliance has, in the order of help.
const COMMANDS: &[(CommandInfo, Run)] = &[
    (command("help", "h?", "", "lists the commands"), help),
    (command("stats", "s", "", "prints the counters of all rings, and where the buffers are"), stats),
    (command("memory", "m", "", "prints the memory regions and their pools"), memory),
    (command("tunables", "t", "", "prints the tunables with their ranges"), tunables),
    (
        command(
            "keys",
            "",
            "[APP]",
            "prints the keys of the command line: the machine's, or those of an application",
        ),
        keys,
    ),
    (command("quit", "q", "", "stops the machine, and checks that every buffer was returned"), quit),
];

const fn command(
    name: &'static str,
    keys: &'static str,
    arguments: &'static str,
    help: &'static str,
) -> CommandInfo {
    CommandInfo { name, keys, arguments, help }
}

fn no_arguments(arguments: &[&str]) -> Result<(), CommandError> {
    if arguments.is_empty() { Ok(()) } else { Err(CommandError::Arguments) }
}

fn help(context: &mut Context<'_>, arguments: &[&str]) -> Result<(), CommandError> {
    no_arguments(arguments)?;
    context.out.line("help", format_args!("keys run a command at once; a command line is :NAME and Enter"));
    for command in context.commands {
        let CommandInfo { keys, help, .. } = command;
        context.out.line("help", format_args!("{keys:3} {}  {help}", Usage(*command)));
    }
    Ok(())
}

fn stats(context: &mut Context<'_>, arguments: &[&str]) -> Result<(), CommandError> {
    no_arguments(arguments)?;
    context.report.print(context.netmap, context.out);
    Ok(())
}

fn memory(context: &mut Context<'_>, arguments: &[&str]) -> Result<(), CommandError> {
    no_arguments(arguments)?;
    report::print_regions(context.netmap, context.out);
    Ok(())
}

fn tunables(context: &mut Context<'_>, arguments: &[&str]) -> Result<(), CommandError> {
    no_arguments(arguments)?;
    report::print_tunables(context.netmap, context.out);
    Ok(())
}

fn keys(context: &mut Context<'_>, arguments: &[&str]) -> Result<(), CommandError> {
    let keys = match arguments {
        [] => MachineConfig::describe(),
        [name] => match context.apps.iter().find(|app| app.name == *name) {
            Some(app) => app.keys(),
            None => {
                let allowed = list(&mut context.apps.iter().map(|app| app.name));
                let reason = alloc::format!("unknown application \"{name}\"; allowed: {allowed}");
                return Err(CommandError::Failed(reason));
            }
        },
        _ => return Err(CommandError::Arguments),
    };
    for KeyHelp { name, values, default, help } in keys {
        context.out.line("keys", format_args!("{name}: {values} (default: {default}): {help}"));
    }
    Ok(())
}

fn quit(context: &mut Context<'_>, arguments: &[&str]) -> Result<(), CommandError> {
    no_arguments(arguments)?;
    context.stop.send();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::format;

    use nm_core::platform::Platform;
    use nm_core::testing::HeapPlatform;
    use nm_core::tunables::Tunables;
    use proptest::prelude::*;

    use super::*;
    use crate::APPS;

    /// The lines that were printed, each behind its target.
    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Output for Lines {
        fn line(&mut self, target: &str, text: fmt::Arguments<'_>) {
            self.0.push(format!("{target}: {text}"));
        }
    }

    fn console() -> (Console, StopRequest) {
        let platform: Arc<dyn Platform> = HeapPlatform::new(16 << 20);
        let tunables = Tunables { buf_num: 128, ..Tunables::default() };
        let netmap = Netmap::new(&platform, tunables).unwrap();
        let (report, stop) = (Arc::new(CounterReport::new(&netmap)), StopRequest::default());
        (Console::new(netmap, report, stop.clone(), APPS), stop)
    }

    /// What the console answers to these bytes.
    fn answers(console: &mut Console, bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::default();
        bytes.iter().for_each(|byte| console.type_byte(*byte, &mut lines));
        lines.0
    }

    #[test]
    fn a_key_runs_its_command_at_once_and_other_keys_are_ignored() {
        let (mut console, stop) = console();
        for bytes in [&b"s"[..], b"xyz\r\ns", b"\x00\xff\x1bs"] {
            let lines = answers(&mut console, bytes);
            assert!(lines[0].starts_with("uptime: counters since boot; up "), "{lines:?}");
            assert!(lines[1].starts_with("stats: buffers "), "{lines:?}");
        }
        assert!(answers(&mut console, b"m")[0].starts_with("memory: region 1 shared "));
        assert!(answers(&mut console, b"t")[0].starts_with("tunables: netmap."));
        assert_eq!(answers(&mut console, b"h"), answers(&mut console, b"?"));
        assert!(!stop.is_sent());
        assert!(answers(&mut console, b"q").is_empty());
        assert!(stop.is_sent());
    }

    #[test]
    fn a_command_line_runs_when_it_ends() {
        let (mut console, stop) = console();
        assert!(answers(&mut console, b":quit").is_empty());
        assert!(!stop.is_sent());
        assert_eq!(answers(&mut console, b"\r"), ["console: :quit"]);
        assert!(stop.is_sent());
        let lines = answers(&mut console, b":  memory  \n");
        assert!(lines[1].starts_with("memory: region 1 shared "), "{lines:?}");
        assert_eq!(answers(&mut console, b":\r"), ["console: :"]);
    }

    #[test]
    fn a_line_can_be_corrected_and_given_up() {
        let (mut console, stop) = console();
        for bytes in
            [&b":quiz\x7ft\r"[..], b":qq\x08uit\r", b"::\x7f\x7f\x7fquit\r", b":a\x1b:quit\r", b":a\x03q"]
        {
            let (lines, is_stopped) = (answers(&mut console, bytes), stop.0.swap(false, Ordering::Relaxed));
            assert!(is_stopped && lines.len() <= 1, "{bytes:?}: {lines:?}");
        }
        assert!(answers(&mut console, b":q\x15").is_empty());
        assert!(!stop.is_sent());
    }

    #[test]
    fn a_line_that_cannot_be_run_is_answered_with_what_is_allowed() {
        let (mut console, stop) = console();
        for (line, answer) in [
            ("stop", "console: unknown command \"stop\"; allowed: help stats memory tunables keys quit"),
            ("quit now", "console: usage: :quit"),
            ("keys a b", "console: usage: :keys [APP]"),
            ("keys router", "console: keys: unknown application \"router\"; allowed: bridge"),
        ] {
            let lines = answers(&mut console, format!(":{line}\r").as_bytes());
            assert_eq!(lines, [format!("console: :{line}"), answer.into()]);
        }
        let lines = answers(&mut console, &[b":".as_slice(), &[b'q'; 2 * LINE_MAX], b"\r"].concat());
        assert_eq!(lines[1], "console: the line has more than 256 characters");
        assert!(!stop.is_sent());
    }

    #[test]
    fn help_has_a_line_for_each_command_and_key() {
        let (mut console, _) = console();
        console.add(command("fdb", "", "[PORT]", "prints the address table"), Box::new(|_, _| Ok(())));
        let lines = answers(&mut console, b"?");
        assert_eq!(lines.len(), 1 + COMMANDS.len() + 1);
        assert_eq!(lines[2], "help: s   :stats  prints the counters of all rings, and where the buffers are");
        assert_eq!(lines.last().unwrap(), "help:     :fdb [PORT]  prints the address table");
        let lines = answers(&mut console, b":keys bridge\r");
        assert!(
            lines[1].starts_with("keys: a: name of a port (default: the first card): One port "),
            "{lines:?}"
        );
        assert_eq!(answers(&mut console, b":keys\r").len(), 1 + MachineConfig::KEYS.len());
    }

    #[test]
    fn a_command_that_was_added_gets_its_arguments() {
        let (mut console, _) = console();
        let info = command("echo", "e", "WORD…", "prints its arguments");
        let run = |context: &mut Context<'_>, arguments: &[&str]| match arguments {
            [] => Err(CommandError::Failed("there is nothing to print".into())),
            _ => {
                context.out.line("echo", format_args!("{arguments:?}"));
                Ok(())
            }
        };
        console.add(info, Box::new(run));
        assert_eq!(answers(&mut console, b":echo a  b\r")[1], "echo: [\"a\", \"b\"]");
        assert_eq!(answers(&mut console, b"e"), ["console: echo: there is nothing to print"]);
    }

    #[test]
    fn no_two_commands_share_a_name_or_a_key() {
        let mut names: Vec<_> = COMMANDS.iter().map(|(info, _)| info.name).collect();
        let mut keys: Vec<_> = COMMANDS.iter().flat_map(|(info, _)| info.keys.chars()).collect();
        let counts = (names.len(), keys.len());
        names.sort_unstable();
        names.dedup();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((names.len(), keys.len()), counts);
        assert!(!keys.contains(&':'));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b':'), Just(b'\r')], 0..600)) {
            let (mut console, _) = console();
            let lines = answers(&mut console, &bytes);
            prop_assert!(lines.iter().all(|line| line.len() < 1000), "{lines:?}");
            prop_assert!(console.line.is_none_or(|line| line.len() <= LINE_MAX + 1));
        }
    }
}
