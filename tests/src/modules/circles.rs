//! Circles: modules that reach each other by arrows.

use std::collections::BTreeSet;
use std::fmt;

use super::module::{Id, Module};
use super::names::Arrows;

/// Modules each of which reaches all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle {
    /// The modules, by their files.
    pub modules: Vec<String>,
    /// The arrows between them.
    pub arrows: Vec<Arrow>,
}

/// What one module takes from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// The module that uses the names.
    pub from: String,
    /// The module that defines them.
    pub to: String,
    /// The names.
    pub names: Vec<String>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "import circle of {} modules", self.modules.len())?;
        self.arrows.iter().try_for_each(|arrow| write!(f, "\n  {arrow}"))
    }
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.to, self.names.join(", "))
    }
}

/// The circles of a crate.
pub(super) fn find(modules: &[Module], arrows: &Arrows) -> Vec<Circle> {
    let reached: Vec<_> = (0..modules.len()).map(|id| reached_from(id, arrows)).collect();
    let reaches = |from: Id, to: Id| reached.get(from).is_some_and(|reached| reached.contains(&to));
    let mut done = BTreeSet::new();
    let mut circles = Vec::new();
    for id in 0..modules.len() {
        let members: BTreeSet<Id> =
            (0..modules.len()).filter(|other| reaches(id, *other) && reaches(*other, id)).collect();
        if members.len() > 1 && done.insert(members.clone()) {
            circles.push(circle(modules, arrows, &members));
        }
    }
    circles
}

/// All modules that arrows lead to from `start`; itself only by a circle.
fn reached_from(start: Id, arrows: &Arrows) -> BTreeSet<Id> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(id) = next.pop() {
        let targets = arrows.range((id, 0)..=(id, Id::MAX)).map(|((_, to), _)| *to);
        next.extend(targets.filter(|to| reached.insert(*to)));
    }
    reached
}

fn circle(modules: &[Module], arrows: &Arrows, members: &BTreeSet<Id>) -> Circle {
    let label = |id: &Id| modules.get(*id).map(|module| module.label.clone()).unwrap_or_default();
    let inside = arrows.iter().filter(|((from, to), _)| members.contains(from) && members.contains(to));
    let arrows = inside.map(|((from, to), names)| Arrow {
        from: label(from),
        to: label(to),
        names: names.iter().cloned().collect(),
    });
    Circle { modules: members.iter().map(label).collect(), arrows: arrows.collect() }
}
