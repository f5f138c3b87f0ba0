//! A module, as its source has it.

use std::collections::{BTreeMap, BTreeSet};

/// The number of a module in the list of its crate; the root is 0.
pub(super) type Id = usize;

/// What a module defines, imports and mentions.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// How messages name it: its file, and its name if it is written inside that file.
    pub(super) label: String,
    pub(super) parent: Option<Id>,
    pub(super) children: BTreeMap<String, Id>,
    /// Everything else that it defines by name.
    pub(super) items: BTreeSet<String>,
    /// The macros that it defines by `macro_rules!`.
    pub(super) macros: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Paths in its code, one string per segment.
    pub(super) paths: Vec<Vec<String>>,
    /// The same for macros that are called.
    pub(super) macro_calls: Vec<Vec<String>>,
}

/// One name, or all names of a module, that a `use` brings in.
#[derive(Debug)]
pub(super) struct Import {
    /// The name that it has here; `None` for all names.
    pub(super) name: Option<String>,
    pub(super) path: Vec<String>,
    /// Whether other modules can use it through this one.
    pub(super) is_reexport: bool,
}
