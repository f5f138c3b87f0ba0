//! From a path in a module to the module that defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use super::module::{Id, Import, Module};

/// From a module to a module, with the names that the first takes from the second.
pub(super) type Arrows = BTreeMap<(Id, Id), BTreeSet<String>>;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(Id),
    /// An item, by the module that defines it.
    Item(Id, String),
}

/// The arrows between the modules of a crate.
pub(super) fn arrows(modules: &[Module]) -> Arrows {
    let names = Names { modules };
    let mut arrows = Arrows::new();
    for (id, module) in modules.iter().enumerate() {
        let imported = module.imports.iter().flat_map(|import| names.import_arrows(id, import));
        let mentioned = module.paths.iter().flat_map(|path| names.items(id, path));
        let called = module.macro_calls.iter().flat_map(|path| names.macro_arrows(id, path));
        for (to, name) in imported.chain(mentioned).chain(called).filter(|(to, _)| *to != id) {
            arrows.entry((id, to)).or_default().insert(name);
        }
    }
    arrows
}

struct Names<'a> {
    modules: &'a [Module],
}

/// The names that are being looked up: an import may lead back to itself.
type Pending = BTreeSet<(Id, String)>;

impl Names<'_> {
    /// What an import takes from where. A re-export of what a descendant defines is left out.
    fn import_arrows(&self, id: Id, import: &Import) -> Vec<(Id, String)> {
        let targets = self.resolve(id, &import.path, &mut Pending::new());
        let taken = targets.into_iter().filter_map(|target| match target {
            Target::Item(to, name) => Some((to, name)),
            Target::Module(to) if import.name.is_none() => Some((to, "*".to_owned())),
            Target::Module(_) => None,
        });
        taken.filter(|(to, _)| !import.is_reexport || !self.is_inside(*to, id)).collect()
    }

    fn macro_arrows(&self, id: Id, path: &[String]) -> Vec<(Id, String)> {
        let found = self.items(id, path);
        let Some(name) = path.last().filter(|_| found.is_empty()) else { return found };
        // Macros are visible by their order in the text, and at the crate's root where they are exported.
        let mut definers = self.modules.iter().enumerate().filter(|(_, module)| module.macros.contains(name));
        let is_own = path.len() == 1 || path.first().is_some_and(|first| first == "crate");
        definers.next().filter(|_| is_own).map(|(to, _)| (to, format!("{name}!"))).into_iter().collect()
    }

    /// The items that a path names, by the modules that define them.
    fn items(&self, id: Id, path: &[String]) -> Vec<(Id, String)> {
        let targets = self.resolve(id, path, &mut Pending::new());
        targets
            .into_iter()
            .filter_map(|target| match target {
                Target::Item(to, name) => Some((to, name)),
                Target::Module(_) => None,
            })
            .collect()
    }

    fn resolve(&self, id: Id, path: &[String], pending: &mut Pending) -> BTreeSet<Target> {
        let (base, rest) = self.base(id, path);
        let Some((first, rest)) = rest.split_first() else {
            return base.map(Target::Module).into_iter().collect();
        };
        let Some(base) = base else { return BTreeSet::new() };
        let mut targets = self.lookup(base, first, pending);
        for name in rest {
            let modules = targets.iter().filter_map(|target| match target {
                Target::Module(id) => Some(*id),
                Target::Item(..) => None,
            });
            let inner: BTreeSet<_> = modules.flat_map(|id| self.lookup(id, name, pending)).collect();
            if inner.is_empty() {
                // A variant or an associated item belongs to its type.
                targets.retain(|target| matches!(target, Target::Item(..)));
                break;
            }
            targets = inner;
        }
        targets
    }

    /// The module in which a path starts, and what is left of it.
    fn base<'p>(&self, id: Id, path: &'p [String]) -> (Option<Id>, &'p [String]) {
        match path.split_first() {
            Some((first, rest)) if first == "crate" => (Some(0), rest),
            Some((first, rest)) if first == "self" => (Some(id), rest),
            Some((first, _)) if first == "super" => {
                let mut base = Some(id);
                let mut rest = path;
                while let Some((_, after)) = rest.split_first().filter(|(first, _)| *first == "super") {
                    base = base.and_then(|id| self.modules.get(id)?.parent);
                    rest = after;
                }
                (base, rest)
            }
            _ => (Some(id), path),
        }
    }

    /// What `name` is in a module. A name may be several things: a module and a function, say.
    fn lookup(&self, id: Id, name: &str, pending: &mut Pending) -> BTreeSet<Target> {
        let Some(module) = self.modules.get(id) else { return BTreeSet::new() };
        if !pending.insert((id, name.to_owned())) {
            return BTreeSet::new();
        }
        let mut found: BTreeSet<_> =
            module.children.get(name).map(|child| Target::Module(*child)).into_iter().collect();
        if module.items.contains(name) {
            found.insert(Target::Item(id, name.to_owned()));
        }
        for import in module.imports.iter().filter(|import| import.name.as_deref() == Some(name)) {
            found.extend(self.resolve(id, &import.path, pending));
        }
        if found.is_empty() {
            for import in module.imports.iter().filter(|import| import.name.is_none()) {
                for target in self.resolve(id, &import.path, pending) {
                    if let Target::Module(from) = target {
                        found.extend(self.lookup(from, name, pending));
                    }
                }
            }
        }
        pending.remove(&(id, name.to_owned()));
        found
    }

    /// Whether module `inner` is a descendant of `outer`.
    fn is_inside(&self, inner: Id, outer: Id) -> bool {
        let parent = |id: &Id| self.modules.get(*id)?.parent;
        std::iter::successors(parent(&inner), parent).any(|id| id == outer)
    }
}
