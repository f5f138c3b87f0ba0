//! Objective: unsafe code stays in few files: at most 6 of nm-core and nm-driver together, and at most 6 of the drivers.
//!
//! 1. Find the source files that lift the lint `unsafe_code`, which the workspace denies. Files of tests and of test support do not
//!    count.
//! 2. There are no more than allowed. Each lifts the lint at its top and says why, so that reading the first lines of files is
//!    enough to find them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Groups of source directories, and how many files of each group may have unsafe code.
const LIMITS: &[(&[&str], usize)] = &[(&["nm-core/src", "nm-core/driver/src"], 6), (&["drivers/src"], 6)];

/// Directories and files of tests and of test support, without the ending.
const TESTS: &[&str] = &["testing", "tests", "loom_tests"];

#[test]
fn unsafe_code_stays_in_few_files() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the repository")?;
    for (directories, limit) in LIMITS {
        let mut found = Vec::new();
        for directory in *directories {
            find(&repository.join(directory), &mut found)?;
        }
        let names: Vec<_> = found.iter().map(|path| path.display().to_string()).collect();
        assert!(!found.is_empty(), "{directories:?}: no unsafe code is found at all");
        assert!(found.len() <= *limit, "{} files, at most {limit}:\n{}", found.len(), names.join("\n"));
    }
    Ok(())
}

/// Adds the files below `directory` that have unsafe code.
fn find(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if stem.is_some_and(|stem| TESTS.contains(&stem)) {
            continue;
        }
        if path.is_dir() {
            find(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            if lifts_the_lint(&text) {
                let head = text.lines().take_while(|line| !line.starts_with("use "));
                assert!(
                    head.clone().any(|line| line.contains("unsafe_code")),
                    "{}: not at the top",
                    path.display()
                );
                found.push(path);
            }
        }
    }
    Ok(())
}

/// Whether an attribute of this source allows or expects unsafe code.
fn lifts_the_lint(text: &str) -> bool {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
        .any(|line| line.contains("unsafe_code"))
}
