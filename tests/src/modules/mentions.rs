//! What an item adds to its module: the names that it defines, its imports, and the paths in its code.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, Block, ExprClosure, ExprForLoop, ExprIf, ExprWhile, ForeignItem, ImplItem, ImplItemFn,
    Item, ItemFn, ItemUse, Local, Macro, PatIdent, Path, Stmt, TraitItemFn, UseTree, Visibility,
};

use super::module::{Import, Module};
use super::{attributes, tokens};

/// Adds `item`, which is not a module, to `module`.
pub(super) fn add(module: &mut Module, item: &Item) {
    define(module, item);
    Mentions { module, scopes: Vec::new() }.visit_item(item);
}

fn define(module: &mut Module, item: &Item) {
    let name = match item {
        Item::Macro(item) => {
            match &item.ident {
                Some(name) => _ = module.macros.insert(name.to_string()),
                None => module.items.extend(tokens::defined(item.mac.tokens.clone())),
            }
            return;
        }
        Item::ForeignMod(block) => {
            module.items.extend(block.items.iter().filter_map(|item| match item {
                ForeignItem::Fn(item) => Some(item.sig.ident.to_string()),
                ForeignItem::Static(item) => Some(item.ident.to_string()),
                ForeignItem::Type(item) => Some(item.ident.to_string()),
                _ => None,
            }));
            return;
        }
        item => name(item),
    };
    module.items.extend(name);
}

/// The name that an item defines, unless it is a macro or a block.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Collects what is mentioned. Local names hide those of the module.
struct Mentions<'a> {
    module: &'a mut Module,
    scopes: Vec<BTreeSet<String>>,
}

impl Mentions<'_> {
    fn mention(&mut self, path: Vec<String>) {
        let is_local = |name: &String| self.scopes.iter().any(|scope| scope.contains(name));
        match path.as_slice() {
            [name] if is_local(name) => {}
            _ => self.module.paths.push(path),
        }
    }

    /// Visits in a scope of its own.
    fn scoped(&mut self, names: BTreeSet<String>, visit: impl FnOnce(&mut Self)) {
        self.scopes.push(names);
        visit(self);
        self.scopes.pop();
    }
}

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes::is_test_only(attributes::of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !attributes::is_test_only(attributes::of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        // `use ::name` is always another crate.
        if item.leading_colon.is_none() {
            import(self.module, &item.tree, &[], is_reexport);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.mention(segments(path));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.module.macro_calls.push(segments(&call.path));
        let is_definition = call.path.is_ident("macro_rules");
        for path in tokens::paths(call.tokens.clone()) {
            // The other paths in the body of a definition are relative to where it is called.
            if !is_definition || path.first().is_some_and(|first| first == "crate") {
                self.mention(path);
            }
        }
    }

    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let name = pattern.ident.to_string();
        // A constant or a variant, by Rust's naming convention.
        if name.starts_with(|first: char| first.is_uppercase()) {
            self.mention(vec![name]);
        } else if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }

    /// The value comes first: it does not see the names that it is bound to.
    fn visit_local(&mut self, local: &'ast Local) {
        if let Some(init) = &local.init {
            self.visit_expr(&init.expr);
            init.diverge.iter().for_each(|(_, otherwise)| self.visit_expr(otherwise));
        }
        self.visit_pat(&local.pat);
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let items = block.stmts.iter().filter_map(|statement| match statement {
            Stmt::Item(item) => name(item),
            _ => None,
        });
        self.scoped(items.collect(), |this| visit::visit_block(this, block));
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.scoped(BTreeSet::new(), |this| visit::visit_item_fn(this, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.scoped(BTreeSet::new(), |this| visit::visit_impl_item_fn(this, function));
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        self.scoped(BTreeSet::new(), |this| visit::visit_trait_item_fn(this, function));
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        self.scoped(BTreeSet::new(), |this| visit::visit_expr_closure(this, closure));
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.scoped(BTreeSet::new(), |this| visit::visit_arm(this, arm));
    }

    fn visit_expr_if(&mut self, expression: &'ast ExprIf) {
        self.scoped(BTreeSet::new(), |this| visit::visit_expr_if(this, expression));
    }

    fn visit_expr_while(&mut self, expression: &'ast ExprWhile) {
        self.scoped(BTreeSet::new(), |this| visit::visit_expr_while(this, expression));
    }

    fn visit_expr_for_loop(&mut self, expression: &'ast ExprForLoop) {
        self.visit_expr(&expression.expr);
        self.scoped(BTreeSet::new(), |this| {
            this.visit_pat(&expression.pat);
            this.visit_block(&expression.body);
        });
    }
}

fn segments(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn import(module: &mut Module, tree: &UseTree, before: &[String], is_reexport: bool) {
    let path = |last: &syn::Ident| [before, &[last.to_string()]].concat();
    let mut add = |name, path| module.imports.push(Import { name, path, is_reexport });
    match tree {
        UseTree::Path(tree) => import(module, &tree.tree, &path(&tree.ident), is_reexport),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| import(module, tree, before, is_reexport))
        }
        UseTree::Glob(_) => add(None, before.to_vec()),
        UseTree::Name(tree) if tree.ident == "self" => add(before.last().cloned(), before.to_vec()),
        UseTree::Name(tree) => add(Some(tree.ident.to_string()), path(&tree.ident)),
        UseTree::Rename(tree) if tree.ident == "self" => add(Some(tree.rename.to_string()), before.to_vec()),
        UseTree::Rename(tree) => add(Some(tree.rename.to_string()), path(&tree.ident)),
    }
}
