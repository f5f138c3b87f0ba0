//! The tree of names.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::name::{Name, Path};
use super::object::{Node, Object};

/// The scopes that are there from the start (5.3.1).
const PREDEFINED: [[u8; 4]; 5] = [*b"_GPE", *b"_PR_", *b"_SB_", *b"_SI_", *b"_TZ_"];

/// What each name stands for.
#[derive(Debug)]
pub(super) struct Namespace {
    nodes: BTreeMap<Path, Node>,
    objects: Vec<Object>,
}

impl Namespace {
    pub(super) fn new() -> Self {
        let mut names = Self { nodes: BTreeMap::new(), objects: Vec::new() };
        names.declare(Path::root(), Object::Scope);
        PREDEFINED.into_iter().for_each(|name| names.declare(Path::root().join(name), Object::Scope));
        names.declare(Path::root().join(*b"_GL_"), Object::Lock);
        names
    }

    /// Has `path` stand for `object`, whatever it did before.
    pub(super) fn declare(&mut self, path: Path, object: Object) {
        self.objects.push(object);
        self.nodes.insert(path, Node(self.objects.len() - 1));
    }

    /// Has `path` stand for what another name stands for.
    pub(super) fn alias(&mut self, path: Path, node: Node) {
        self.nodes.insert(path, node);
    }

    /// Forgets the name; what it stood for may have others.
    pub(super) fn forget(&mut self, path: &Path) {
        self.nodes.remove(path);
    }

    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        self.nodes.get(path).copied()
    }

    /// What `name` stands for in `scope`.
    pub(super) fn find(&self, scope: &Path, name: &Name) -> Option<Node> {
        self.path(scope, name).and_then(|path| self.get(&path))
    }

    /// The path that `name` means in `scope`, if it stands for something.
    pub(super) fn path(&self, scope: &Path, name: &Name) -> Option<Path> {
        name.find_in(scope, |path| self.nodes.contains_key(path))
    }

    pub(super) fn object(&self, node: Node) -> Option<&Object> {
        self.objects.get(node.0)
    }

    pub(super) fn object_mut(&mut self, node: Node) -> Option<&mut Object> {
        self.objects.get_mut(node.0)
    }

    pub(super) fn devices(&self) -> Vec<Path> {
        let is_device = |node: &Node| matches!(self.object(*node), Some(Object::Device));
        self.nodes.iter().filter(|(_, node)| is_device(node)).map(|(path, _)| path.clone()).collect()
    }
}
