//! The namespace (5.3): objects by path.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::name::{NameSeg, NameString, NamespacePath};
use super::object::Object;
use super::value::ObjectId;

/// Predefined scopes (5.3.1).
const PREDEFINED_SCOPES: [NameSeg; 5] = [*b"_GPE", *b"_PR_", *b"_SB_", *b"_SI_", *b"_TZ_"];
/// The global lock, a predefined mutex (5.7.1).
const GLOBAL_LOCK: NameSeg = *b"_GL_";

/// All objects, and their paths. An object can have several paths (Alias) or none (deleted).
#[derive(Debug)]
pub(super) struct Namespace {
    ids: BTreeMap<NamespacePath, ObjectId>,
    objects: Vec<Object>,
}

impl Namespace {
    /// A namespace with the predefined objects.
    pub(super) fn new() -> Self {
        let mut namespace = Self { ids: BTreeMap::new(), objects: Vec::new() };
        let root = NamespacePath::root();
        PREDEFINED_SCOPES.into_iter().for_each(|name| namespace.declare(root.join(name), Object::Scope));
        namespace.declare(root.join(GLOBAL_LOCK), Object::Synchronization);
        namespace.declare(root, Object::Scope);
        namespace
    }

    /// Adds an object at `path`. An object that is there already loses this path.
    pub(super) fn declare(&mut self, path: NamespacePath, object: Object) {
        self.objects.push(object);
        self.ids.insert(path, ObjectId(self.objects.len() - 1));
    }

    /// Gives an object another path.
    pub(super) fn alias(&mut self, path: NamespacePath, object: ObjectId) {
        self.ids.insert(path, object);
    }

    /// Removes a path.
    pub(super) fn remove(&mut self, path: &NamespacePath) {
        self.ids.remove(path);
    }

    /// The object at `path`.
    pub(super) fn get(&self, path: &NamespacePath) -> Option<ObjectId> {
        self.ids.get(path).copied()
    }

    /// The object that `name` resolves to in `scope`.
    pub(super) fn find(&self, scope: &NamespacePath, name: &NameString) -> Option<ObjectId> {
        self.find_path(scope, name).and_then(|path| self.get(&path))
    }

    /// The path of the object that `name` resolves to in `scope`.
    pub(super) fn find_path(&self, scope: &NamespacePath, name: &NameString) -> Option<NamespacePath> {
        name.find_in(scope, |path| self.ids.contains_key(path))
    }

    pub(super) fn object(&self, id: ObjectId) -> Option<&Object> {
        self.objects.get(id.0)
    }

    pub(super) fn object_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        self.objects.get_mut(id.0)
    }

    /// The paths of all devices, in order of path.
    pub(super) fn devices(&self) -> Vec<NamespacePath> {
        let is_device = |id: &ObjectId| matches!(self.object(*id), Some(Object::Device));
        self.ids.iter().filter(|(_, id)| is_device(id)).map(|(path, _)| path.clone()).collect()
    }
}
