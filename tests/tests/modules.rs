//! Objective: no crate has a circle of imports between its modules.
//!
//! 1. Read the sources of each package below: its library, its main program and its programs in `src/bin`.
//! 2. Find the circles by the rules of [`millrace_tests::modules`]. There is none.
//!
//! The other tests check the lint itself on small crates: that it finds each kind of circle, and nothing in what only looks
//! like one.

use std::fs;
use std::path::Path;

use anyhow::Result;
use millrace_tests::modules::{Circle, find_circles};

/// The packages that are checked, by their directories in the repository.
const PACKAGES: &[&str] =
    &["boot", "boot/acpi", "kernel/apps", "kernel", "tests", "nm-core/driver", "nm-core", "drivers"];

#[test]
fn no_package_has_an_import_circle() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut found = Vec::new();
    for package in PACKAGES {
        found.extend(find_circles(repository, package)?.iter().map(Circle::to_string));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// The circles of a library with these files in `src`.
fn circles(files: &[(&str, &str)]) -> Result<Vec<Circle>> {
    let root = tempfile::tempdir()?;
    for (name, text) in files {
        let path = root.path().join("a/src").join(name);
        fs::create_dir_all(path.with_file_name(""))?;
        fs::write(path, text)?;
    }
    find_circles(root.path(), "a")
}

/// The same, each circle as its arrows.
fn arrows(files: &[(&str, &str)]) -> Result<Vec<Vec<String>>> {
    let shown =
        |circle: Circle| circle.arrows.iter().map(|arrow| arrow.to_string().replace("a/src/", "")).collect();
    Ok(circles(files)?.into_iter().map(shown).collect())
}

/// Whether a library whose modules `x` and `y` have these texts has the circle between the two, and no other.
fn is_circle(x: &str, y: &str) -> Result<bool> {
    let found = circles(&[("lib.rs", "mod x;\nmod y;"), ("x.rs", x), ("y.rs", y)])?;
    let found: Vec<_> = found.into_iter().map(|circle| circle.modules).collect();
    assert!(found.is_empty() || found == [["a/src/x.rs", "a/src/y.rs"]], "{found:?}");
    Ok(!found.is_empty())
}

/// In the tests below `y` uses `x` in this way.
const Y: &str = "use crate::x::X;\npub struct Y(X);";

#[test]
fn a_circle_of_imports_is_named_with_its_arrows_and_names() -> Result<()> {
    let found = arrows(&[
        ("lib.rs", "pub mod x;\npub mod y;\npub mod z;\nuse x::X;\npub fn f(_: X) {}"),
        ("x.rs", "use crate::z::{Z, g as other};\npub struct X(Z);\npub fn f() { other() }"),
        ("y.rs", "use super::x;\npub struct Y(x::X);\npub const ONE: u8 = 1;"),
        ("z.rs", "use crate::y::*;\npub struct Z;\npub fn g() { let _ = ONE; }"),
    ])?;
    assert_eq!(found, [["x.rs -> z.rs: Z, g", "y.rs -> x.rs: X", "z.rs -> y.rs: *, ONE"]]);
    Ok(())
}

#[test]
fn an_order_of_modules_is_no_circle() -> Result<()> {
    let found = arrows(&[
        ("lib.rs", "mod x;\nmod y;\nuse std::fmt;\npub use y::Y;\npub fn f() -> Y { y::new(x::X) }"),
        ("x.rs", "use std::fmt::Debug;\npub struct X;\npub fn show(_: &dyn Debug) {}"),
        ("y.rs", "use crate::x::{self, X};\npub struct Y(X);\npub fn new(x: X) -> Y { x::show(&1); Y(x) }"),
    ])?;
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

#[test]
fn two_circles_are_told_apart() -> Result<()> {
    let found = arrows(&[
        ("lib.rs", "mod p;\nmod q;\nmod x;\nmod y;"),
        ("p.rs", "use crate::q::Q;\npub struct P(Q, crate::x::X);"),
        ("q.rs", "pub struct Q(Box<super::p::P>);"),
        ("x.rs", "pub struct X(Box<super::y::Y>);"),
        ("y.rs", Y),
    ])?;
    assert_eq!(found, [["p.rs -> q.rs: Q", "q.rs -> p.rs: P"], ["x.rs -> y.rs: Y", "y.rs -> x.rs: X"]]);
    Ok(())
}

#[test]
fn paths_in_code_count_wherever_they_are() -> Result<()> {
    for x in [
        "pub struct X; fn f() { crate::y::g() }",
        "pub struct X; fn f() { super::y::g() }",
        "pub struct X; fn f(_: &crate::y::Y) {}",
        "pub struct X; impl From<crate::y::Y> for X { fn from(_: crate::y::Y) -> X { X } }",
        "pub struct X; impl crate::y::Trait for X {}",
        "pub struct X; fn f(v: u8) -> bool { match v { crate::y::ONE => true, _ => false } }",
        "pub struct X; fn f() { let y = crate::y::Kind::First; drop(y) }",
        "pub struct X; fn f() { println!(\"{}\", 1 + crate::y::ONE) }",
        "pub struct X; fn f() { assert!(matches!(1, crate::y::ONE), \"{:?}\", [(crate::y::ONE)]); }",
        "pub struct X; use crate::y; fn f() { println!(\"{}\", y::ONE) }",
        "pub struct X; fn f() { use crate::y; y::g() }",
        "pub struct X; fn f() { use super::y::g as h; h() }",
        "pub struct X; pub use crate::y::Y;",
        "pub struct X; pub(crate) use super::y::*;",
        "pub struct X; use crate::y::Trait as _;",
        "pub struct X; macro_rules! m { () => { $crate::y::g() } }",
        "pub struct X; fn f() { crate::y::exported!() }",
        "pub struct X; use crate::y; fn f<T: y::Trait>(_: T) {}",
    ] {
        let y = format!(
            "{Y} pub fn g() {{}} pub trait Trait {{}} pub const ONE: u8 = 1; pub enum Kind {{ First }}\n\
             #[macro_export] macro_rules! exported {{ () => {{}} }}"
        );
        assert!(is_circle(x, &y)?, "{x}");
    }
    Ok(())
}

#[test]
fn what_names_no_module_is_no_arrow() -> Result<()> {
    for x in [
        "//! [`Y`](crate::y::Y)\npub struct X;",
        "/// See [`crate::y::Y`].\npub struct X;",
        "pub struct X; fn f() -> &'static str { \"crate::y::Y\" }",
        "pub struct X; #[cfg(test)] mod tests { use super::*; use crate::y::Y; }",
        "pub struct X; #[cfg(test)] mod tests { mod a { use super::b::B; struct A; } mod b { use super::a::A; struct B; } }",
        "pub struct X; #[cfg(test)] use crate::y::Y;",
        "pub struct X; #[cfg(all(test, unix))] fn f(_: crate::y::Y) {}",
        "pub struct X; #[test] fn f() { crate::y::g() }",
        "pub struct X; impl X { #[cfg(test)] fn f(_: crate::y::Y) {} }",
        "use crate::y; pub struct X;",
        "pub struct X; pub(in crate::x) fn f() {}",
        "pub struct X; use std::y::Y as Other; fn f(_: Other) {}",
        "pub struct X; fn f(v: &X) { v.g() }",
    ] {
        assert!(!is_circle(x, &format!("{Y} pub fn g() {{}}"))?, "{x}");
    }
    assert!(is_circle("pub struct X; #[cfg(any(test, feature = \"testing\"))] fn f(_: crate::y::Y) {}", Y)?);
    assert!(is_circle("pub struct X; #[cfg(not(test))] fn f(_: crate::y::Y) {}", Y)?);
    Ok(())
}

#[test]
fn a_name_made_by_a_macro_belongs_to_the_module_that_calls_it() -> Result<()> {
    let y = format!("{Y} bitflags::bitflags! {{ pub struct Flags: u8 {{ const A = 1; }} }}");
    assert!(is_circle("pub struct X; fn f(_: crate::y::Flags) {}", &y)?);
    Ok(())
}

#[test]
fn a_local_name_hides_that_of_the_module() -> Result<()> {
    let files = |lib: &'static str| [("lib.rs", lib), ("y.rs", "pub fn size() {} pub fn f() { crate::g() }")];
    for lib in [
        "mod y; pub use y::size; pub fn g(size: u8) { drop(size) }",
        "mod y; pub use y::size; pub fn g() { let size = 1; drop(size) }",
        "mod y; pub use y::size; pub fn g() { for size in 0..1 { drop(size) } }",
        "mod y; pub use y::size; pub fn g() { if let Some(size) = Some(1) { println!(\"{}\", size) } }",
        "mod y; pub use y::size; pub fn g() { drop(|size: u8| size + 1) }",
    ] {
        assert!(arrows(&files(lib))?.is_empty(), "{lib}");
    }
    for lib in [
        "mod y; pub use y::size; pub fn g() { let size = size(); drop(size) }",
        "mod y; pub use y::size; pub fn g() { { let size = 1; drop(size) } size() }",
    ] {
        assert_eq!(arrows(&files(lib))?, [["lib.rs -> y.rs: size", "y.rs -> lib.rs: g"]], "{lib}");
    }
    Ok(())
}

#[test]
fn an_attribute_names_no_module() -> Result<()> {
    let lib = "mod y; pub use y::size; #[size] pub fn g() {}";
    assert!(arrows(&[("lib.rs", lib), ("y.rs", "pub fn size() {} pub fn f() { crate::g() }")])?.is_empty());
    Ok(())
}

/// A parent with this text, and a child that uses a name that the parent defines.
fn family(parent: &str) -> Result<Vec<Vec<String>>> {
    arrows(&[
        ("lib.rs", "mod parent;\nmod other;"),
        ("parent/mod.rs", &format!("mod child;\npub struct P;\n{parent}")),
        ("parent/child.rs", "use super::P;\npub struct C(P);\npub fn f() {}"),
        ("other.rs", "pub struct O(crate::parent::C);"),
    ])
}

#[test]
fn a_parent_that_declares_or_reexports_a_child_does_not_depend_on_it() -> Result<()> {
    for parent in ["", "pub use child::C;", "pub(crate) use child::{C, f as g};", "pub use self::child::*;"] {
        assert!(family(parent)?.is_empty(), "{parent}");
    }
    Ok(())
}

#[test]
fn a_parent_that_uses_a_child_depends_on_it() -> Result<()> {
    let circle = |names: &str| {
        [[format!("parent/mod.rs -> parent/child.rs: {names}"), "parent/child.rs -> parent/mod.rs: P".into()]]
    };
    assert_eq!(family("fn g() { child::f() }")?, circle("f"));
    assert_eq!(family("use child::C; fn g(_: C) {}")?, circle("C"));
    assert_eq!(family("pub use child::C; pub fn g(_: &C) {}")?, circle("C"));
    assert_eq!(family("pub use child::*; pub fn g(_: &C) {}")?, circle("C"));
    Ok(())
}

#[test]
fn a_reexported_name_belongs_to_the_module_that_defines_it() -> Result<()> {
    // `low` takes `B` through its parent, from a sibling; the parent itself uses `low`.
    let through_parent = |b: &'static str| {
        arrows(&[
            ("lib.rs", "mod parent;"),
            ("parent.rs", "mod b; mod low; pub use b::B; pub fn f() { low::g() }"),
            ("parent/low.rs", "use super::B; pub fn g() { let _ = B; }"),
            ("parent/b.rs", b),
        ])
    };
    assert!(through_parent("pub struct B;")?.is_empty());
    assert_eq!(
        through_parent("pub struct B; fn f() { crate::parent::low::g() }")?,
        [["parent/b.rs -> parent/low.rs: g", "parent/low.rs -> parent/b.rs: B"]]
    );
    Ok(())
}

#[test]
fn nested_modules_are_modules_of_their_own() -> Result<()> {
    // No two of the directories' own files lead to each other.
    let found = arrows(&[
        ("lib.rs", "mod p;\nmod q;"),
        ("p/mod.rs", "mod one;\nmod two;"),
        ("p/one.rs", "pub struct One(Box<crate::q::deep::Deep>);"),
        ("p/two.rs", "pub struct Two;"),
        ("q.rs", "pub(crate) mod deep;"),
        ("q/deep.rs", "pub struct Deep(Box<crate::p::one::One>, crate::p::two::Two);"),
    ])?;
    assert_eq!(found, [["p/one.rs -> q/deep.rs: Deep", "q/deep.rs -> p/one.rs: One"]]);
    Ok(())
}

#[test]
fn a_module_inside_a_file_is_one_of_its_own() -> Result<()> {
    let inside = |outside: &str| {
        let lib =
            format!("mod inner {{ pub struct I; impl super::T for I {{}} }}\npub trait T {{}}\n{outside}");
        arrows(&[("lib.rs", lib.as_str())])
    };
    assert!(inside("pub use inner::I;")?.is_empty());
    assert_eq!(
        inside("pub fn f(_: inner::I) {}")?,
        [["lib.rs -> lib.rs (mod inner): I", "lib.rs (mod inner) -> lib.rs: T"]]
    );
    Ok(())
}

#[test]
fn each_program_of_a_package_is_read() -> Result<()> {
    let main = "mod part;\npub const ONE: u8 = 1;\nfn main() { part::f() }";
    let part = "pub fn f() { drop(crate::ONE) }";
    for directory in ["", "bin/tool/"] {
        let files = [format!("{directory}main.rs"), format!("{directory}part.rs")];
        let found = arrows(&[("lib.rs", ""), (&files[0], main), (&files[1], part)])?;
        assert_eq!(found.len(), 1, "{directory}: {found:?}");
    }
    Ok(())
}

#[test]
fn sources_that_cannot_be_read_are_an_error() -> Result<()> {
    for (files, message) in [
        (&[("lib.rs", "mod missing;")][..], "mod missing has no file"),
        (&[("lib.rs", "fn {")][..], "parsing a/src/lib.rs"),
        (&[("other.rs", "")][..], "no crate"),
    ] {
        let error = circles(files).unwrap_err();
        assert!(format!("{error:#}").contains(message), "{error:#}");
    }
    Ok(())
}
