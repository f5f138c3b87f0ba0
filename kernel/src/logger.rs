//! The `log` facade over the console: `[    0.012345] LEVEL target: text`.

use core::fmt;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::clock::Stamp;
use crate::console;

struct Logger;

static LOGGER: Logger = Logger;

/// Sends log records to the console from here on; `Info` and above until the configuration says otherwise.
pub(crate) fn init() {
    log::set_max_level(LevelFilter::Info);
    // Fails only when a logger is set already, and this is called once.
    let _ = log::set_logger(&LOGGER);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Prints an answer as a log line, whatever the log level.
pub fn answer(target: &str, text: fmt::Arguments<'_>) {
    write(Level::Info, target, &text);
}

fn write(level: Level, target: &str, text: &fmt::Arguments<'_>) {
    console::line(format_args!("{} {level} {target}: {text}", Stamp::now()));
}
