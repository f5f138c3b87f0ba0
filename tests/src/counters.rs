//! The counters that the image prints, read back: `vtnet0 rx0 packets=12 bytes=720 …`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// One report: a line a ring, then the buffers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    rows: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Counters {
    /// Reads every line of target `stats`; other lines are none of its business.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut counters = Self::default();
        for message in lines.into_iter().filter_map(stats_message) {
            counters.add_row(message);
        }
        counters
    }

    /// The counter `name` of `row`, such as `packets` of `vtnet0 rx0`.
    pub fn get(&self, row: &str, name: &str) -> Result<u64> {
        let values =
            self.rows.get(row).with_context(|| format!("no counters of {row:?} in {:?}", self.rows))?;
        values.get(name).copied().with_context(|| format!("no counter {name:?} of {row:?} in {values:?}"))
    }

    /// Its rows by name, each with its counters by name.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, u64>)> {
        self.rows.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// The sum of every counter whose name `selects`, over all rows.
    pub fn sum(&self, selects: impl Fn(&str) -> bool) -> u64 {
        let all = self.rows.values().flatten();
        all.filter(|(name, _)| selects(name)).map(|(_, value)| value).sum()
    }

    /// Frames that the image took and did not pass on, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.sum(|name| name.starts_with("drop_"))
    }

    fn add_row(&mut self, message: &str) {
        let (values, name): (Vec<&str>, Vec<&str>) =
            message.split_whitespace().partition(|w| w.contains('='));
        let row = self.rows.entry(name.join(" ")).or_default();
        for (key, value) in values.iter().filter_map(|word| word.split_once('=')) {
            if let Ok(value) = value.parse() {
                row.insert(key.to_owned(), value);
            }
        }
    }
}

/// The message of a log line whose target is `stats`: `[    0.012345] INFO  stats: message`.
pub fn stats_message(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(']')?;
    let (_level, rest) = rest.trim_start().split_once(' ')?;
    rest.trim_start().strip_prefix("stats:").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
        READY app=bridge ports=vtnet0,vtnet1 boot_us=9000\n\
        [    1.250000] INFO  stats: vtnet0 rx0 packets=10 bytes=600 drop_short=2 drop_long=1\n\
        [    1.250100] INFO  stats: vtnet1 tx0 packets=7 bytes=420 drop_invalid=0\n\
        [    1.250200] INFO  bridge: vtnet0 rx0 packets=99\n\
        [    1.250300] INFO  stats: buffers total=2048 free=2000 held=48 lost=0\n";

    #[test]
    fn a_report_is_read_by_row_and_name() {
        let counters = Counters::parse(REPORT.lines());
        assert_eq!(counters.get("vtnet0 rx0", "packets").unwrap(), 10);
        assert_eq!(counters.get("buffers", "held").unwrap(), 48);
        assert_eq!(counters.dropped(), 3);
        assert_eq!(counters.rows().count(), 3);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let counters = Counters::parse(REPORT.lines());
        assert!(counters.get("vtnet9 rx0", "packets").unwrap_err().to_string().contains("vtnet9 rx0"));
        assert!(counters.get("buffers", "found").unwrap_err().to_string().contains("found"));
    }
}
