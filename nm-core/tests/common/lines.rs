//! What is logged, kept so that each test finds the lines about its own interface.

use std::sync::{Mutex, Once};

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Lines(Mutex<Vec<(Level, String)>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push((record.level(), record.args().to_string()));
    }

    fn flush(&self) {}
}

/// From now on lines are kept.
pub fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
}

/// The lines about an interface, or one of its rings, since the last call.
pub fn about(name: &str) -> Vec<(Level, String)> {
    let is_about = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', ' ']));
    let mut lines = LINES.0.lock().unwrap();
    let (about, others) = lines.drain(..).partition(|(_, line)| is_about(line));
    *lines = others;
    about
}
