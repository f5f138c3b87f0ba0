//! The costs as a table of Markdown, as the bench prints it and the README shows it.

use std::fmt;

use anyhow::{Context, Result, ensure};

use super::fit::Cost;

/// The first line, which says what the columns are.
const HEAD: &str = "| 60-byte frames, guest instructions | a packet | a loop that finds nothing | each packet in batches of 1 | of 4 | of 32 |";
const RULE: &str = "|---|---|---|---|---|---|";
/// Figures of a row.
const FIGURES: usize = 5;

/// A row for each subject, with its name and figures, of two significant digits: about as much as two runs agree on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: Vec<(String, [u64; FIGURES])>,
}

impl Table {
    /// Adds a row.
    pub fn push(&mut self, name: &str, cost: &Cost) {
        let figures = [
            cost.packet,
            cost.idle,
            cost.in_batches_of(1.0),
            cost.in_batches_of(4.0),
            cost.in_batches_of(32.0),
        ];
        self.rows.push((name.to_owned(), figures.map(two_digits)));
    }

    /// The names of the rows.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(name, _)| name.as_str())
    }

    /// The one table of this kind in `text`.
    ///
    /// # Errors
    /// There is none, there are several, or a row has other columns.
    pub fn find(text: &str) -> Result<Self> {
        let heads = text.lines().filter(|line| *line == HEAD).count();
        ensure!(heads == 1, "{heads} tables begin with {HEAD:?}");
        let mut lines = text.lines().skip_while(|line| *line != HEAD).skip(1);
        ensure!(lines.next() == Some(RULE), "no {RULE:?} below the table's head");
        let rows = lines.take_while(|line| line.starts_with('|'));
        Ok(Self { rows: rows.map(row).collect::<Result<_>>()? })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\n{RULE}")?;
        for (name, figures) in &self.rows {
            write!(f, "| {name} |")?;
            figures.iter().try_for_each(|figure| write!(f, " {figure} |"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

fn row(line: &str) -> Result<(String, [u64; FIGURES])> {
    let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |"));
    let mut cells = cells.context("no cells").with_context(|| line.to_owned())?.split(" | ");
    let name = cells.next().unwrap_or_default().to_owned();
    let figures: Vec<u64> =
        cells.map(str::parse).collect::<Result<_, _>>().with_context(|| line.to_owned())?;
    let figures = figures.try_into();
    Ok((name, figures.ok().with_context(|| format!("other columns than the head: {line}"))?))
}

/// Rounded to two significant digits, or to a whole number below 10.
fn two_digits(figure: f64) -> u64 {
    let mut unit = 1.0;
    while figure / unit >= 99.5 {
        unit *= 10.0;
    }
    ((figure / unit).round() * unit) as u64
}

#[cfg(test)]
mod tests {
    use super::super::measure::SUBJECTS;
    use super::*;
    use crate::image;

    fn table() -> Table {
        let mut table = Table::default();
        table.push("a", &Cost { packet: 71.4, batch: 1064.0, idle: 293.7 });
        table.push("b", &Cost { packet: 99.5, batch: 1049.9, idle: 8.6 });
        table
    }

    #[test]
    fn a_table_is_found_as_it_was_printed() {
        let table = table();
        let text = format!("# Figures\n\n{table}\nAnd more.\n");
        assert!(
            text.contains("| a | 71 | 290 | 1100 | 340 | 100 |\n| b | 100 | 9 | 1100 | 360 | 130 |\n"),
            "{text}"
        );
        assert_eq!(Table::find(&text).unwrap(), table);
    }

    #[test]
    fn no_table_two_tables_and_a_damaged_row_are_errors() {
        let text = table().to_string();
        for wrong in [
            "",
            &text.replace("a packet", "a frame"),
            &format!("{text}\n{text}"),
            &text.replace(" 290 |", ""),
        ] {
            Table::find(wrong).unwrap_err();
        }
        Table::find(&text.replace("290", "about 290")).unwrap_err();
    }

    #[test]
    fn the_readme_shows_the_rows_that_the_bench_prints() {
        let readme = std::fs::read_to_string(image::repository().join("README.md")).unwrap();
        let table = Table::find(&readme).unwrap();
        assert!(table.names().eq(SUBJECTS.iter().map(|subject| subject.name)), "{table}");
    }
}
