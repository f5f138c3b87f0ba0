//! Reads a crate: its modules, and what each defines, imports and mentions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::{Item, ItemMod};

use super::module::{Id, Module};
use super::{attributes, mentions};

/// Reads the crate whose root is `file`. Its files are named relative to `base`.
pub(super) fn read_crate(base: &Path, file: &Path) -> Result<Vec<Module>> {
    let mut reader = Reader { base, modules: Vec::new() };
    let directory = file.parent().unwrap_or(Path::new(""));
    reader.file(file, directory, None)?;
    Ok(reader.modules)
}

struct Reader<'a> {
    base: &'a Path,
    modules: Vec<Module>,
}

/// Where the text of a module is.
struct Place<'a> {
    file: &'a Path,
    /// Where the files of its children are.
    directory: PathBuf,
}

impl Reader<'_> {
    fn file(&mut self, file: &Path, directory: &Path, parent: Option<Id>) -> Result<Id> {
        let shown = file.strip_prefix(self.base).unwrap_or(file).display().to_string();
        let text = fs::read_to_string(file).with_context(|| format!("reading {shown}"))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parsing {shown}"))?;
        let place = Place { file, directory: directory.to_owned() };
        self.module(shown, &place, parent, &parsed.items)
    }

    fn module(&mut self, label: String, place: &Place<'_>, parent: Option<Id>, items: &[Item]) -> Result<Id> {
        let id = self.modules.len();
        self.modules.push(Module { label: label.clone(), parent, ..Module::default() });
        let mut module = Module { label, parent, ..Module::default() };
        for item in items.iter().filter(|item| !attributes::is_test_only(attributes::of_item(item))) {
            match item {
                Item::Mod(child) => {
                    let number = self.child(&module.label, child, place, id)?;
                    module.children.insert(child.ident.to_string(), number);
                }
                item => mentions::add(&mut module, item),
            }
        }
        if let Some(slot) = self.modules.get_mut(id) {
            *slot = module;
        }
        Ok(id)
    }

    fn child(&mut self, label: &str, child: &ItemMod, place: &Place<'_>, parent: Id) -> Result<Id> {
        let name = child.ident.to_string();
        let directory = place.directory.join(&name);
        if let Some((_, items)) = &child.content {
            let inside = Place { file: place.file, directory };
            return self.module(format!("{label} (mod {name})"), &inside, Some(parent), items);
        }
        if let Some(path) = attributes::path(&child.attrs) {
            let file = place.file.with_file_name("").join(path);
            let directory = file.with_file_name("");
            return self.file(&file, &directory, Some(parent));
        }
        let candidates = [directory.with_extension("rs"), directory.join("mod.rs")];
        match candidates.iter().find(|file| file.is_file()) {
            Some(file) => self.file(file, &directory, Some(parent)),
            None => bail!("{label}: mod {name} has no file"),
        }
    }
}
