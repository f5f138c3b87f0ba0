//! Objective: the text of the repository names its subjects: "the driver", "the caller", "the device".
//!
//! 1. Read all files of the repository with Rust code, documentation or shell scripts.
//! 2. None of them has one of the words below.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The words, each cut in two, so that this file has none of them.
const WORDS: &[(&str, &str)] =
    &[("who", "ever"), ("some", "body"), ("no", "body"), ("any", "body"), ("wh", "om")];
/// Endings of the files that are read.
const ENDINGS: &[&str] = &["rs", "md", "sh", "toml", "ld"];
/// Files without an ending that are read.
const SCRIPTS: &[&str] = &[".ci/run", "tests/debian13"];
/// Directories that are built, or not ours.
const LEFT_OUT: &[&str] = &["target", ".git"];

#[test]
fn the_subject_is_named() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository")?;
    let mut files: Vec<_> = SCRIPTS.iter().map(|script| repository.join(script)).collect();
    find(repository, &mut files)?;
    assert!(files.len() > 300, "only {} files are found", files.len());
    let mut found = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        for (line, number) in text.lines().zip(1..) {
            found.extend(words_of(line).map(|word| format!("{}:{number}: \"{word}\"", path.display())));
        }
    }
    assert!(found.is_empty(), "name the subject instead:\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn a_word_is_found_in_any_place_and_case_and_only_whole() {
    let [(first, second), ..] = WORDS else { panic!("there are no words") };
    let word = format!("{first}{second}");
    for line in [format!("{word} calls"), format!("// ({}).", word.to_uppercase()), format!("a `{word}`")] {
        assert_eq!(words_of(&line).count(), 1, "{line}");
    }
    for line in [format!("{word}s call"), format!("{first} {second}"), format!("x_{word}")] {
        assert_eq!(words_of(&line).count(), 0, "{line}");
    }
}

/// The words of a line that are not to be there.
fn words_of(line: &str) -> impl Iterator<Item = String> {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    let is_one = |word: &String| WORDS.iter().any(|(first, second)| *word == format!("{first}{second}"));
    words.map(str::to_lowercase).filter(is_one)
}

/// Adds the files below `directory` that are read.
fn find(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !LEFT_OUT.contains(&name) {
                find(&path, files)?;
            }
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|wanted| ending == *wanted)) {
            files.push(path);
        }
    }
    Ok(())
}
