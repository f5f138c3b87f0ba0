//! The lint for acyclic modules: finds import circles between the modules of a crate by reading its sources.
//!
//! ```text
//! source    files ──syn──► modules: names defined, imports, paths in code
//! names     a path in a module ──► the module that defines what it names
//! circles   arrows between modules ──► groups of modules that reach each other
//! ```
//!
//! A module is a file, or a module written inside a file. Each is counted by itself, nested or not. The rules:
//!
//! - A name that is imported or written as a path is an arrow to the module that *defines* it. Re-exports in between do not
//!   count.
//! - `mod x;` is no arrow, nor is a re-export (`pub use`, `pub(crate) use`) of what a descendant defines. A parent that uses
//!   names of a child in code or imports them privately has an arrow to it.
//! - A child that uses a name defined in its parent has an arrow to it.
//! - Code for tests (`#[cfg(test)]`), attributes and comments do not count.
//!
//! Methods called on a value name no module, and are not seen. Arguments of macros are searched for paths as text.

mod attributes;
mod circles;
mod mentions;
mod module;
mod names;
mod source;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use circles::{Arrow, Circle};

/// The import circles of a package: those of its library, its main program and its programs in `src/bin`. `package` is its
/// directory under `root`. Files are named relative to `root`.
///
/// # Errors
/// A source file cannot be read or parsed, a module has no file, or the package has no sources.
pub fn find_circles(root: &Path, package: &str) -> Result<Vec<Circle>> {
    let targets = targets(&root.join(package).join("src"))?;
    ensure!(!targets.is_empty(), "{package}: no crate in {}", root.join(package).display());
    let mut found = Vec::new();
    for target in targets {
        let modules = source::read_crate(root, &target)?;
        found.extend(circles::find(&modules, &names::arrows(&modules)));
    }
    Ok(found)
}

/// The root files of a package's crates, by Cargo's default layout.
fn targets(src: &Path) -> Result<Vec<PathBuf>> {
    let mut targets = vec![src.join("lib.rs"), src.join("main.rs")];
    let programs = src.join("bin");
    if programs.is_dir() {
        for entry in fs::read_dir(&programs).with_context(|| format!("reading {}", programs.display()))? {
            let path = entry?.path();
            targets.push(if path.is_dir() { path.join("main.rs") } else { path });
        }
    }
    targets.retain(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "rs"));
    targets.sort();
    Ok(targets)
}
