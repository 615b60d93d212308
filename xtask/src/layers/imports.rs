//! The imports between the files of a crate.
//!
//! `use` declarations and paths in the code count alike. A path leads to the file of the deepest
//! module that it names. Where that module only re-exports the item, the path leads on to the file
//! that defines it, so that only the module with the `pub use` imports the file below. A module that
//! is imported as a prefix, as in `use crate::clock;` and `clock::Clock`, counts by the paths that
//! start with it. `mod x;` alone is no import.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Module, Modules, Segments};

/// The most `use` declarations that a path is followed through. A path that needs more seems to lead
/// to itself, as `use tempfile::tempfile` does, and belongs to another crate.
const RE_EXPORTS_MAX: usize = 8;

/// The names that one file imports from another, by the two files.
pub(super) type Imports<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<String>>;

/// What a path leads to: an item, or a module itself.
struct Item {
    /// The module that defines the item, as an index into [`Modules::all`].
    module: usize,
    /// `None` for the module itself.
    name: Option<String>,
}

/// All imports between different files of a crate.
pub(super) fn between_files(modules: &Modules) -> Imports<'_> {
    let mut imports = Imports::new();
    for (index, module) in modules.all.iter().enumerate() {
        let mut add = |path: &Segments, prefix: Option<&str>, is_glob: bool| {
            let Some(item) = resolve(modules, index, path, 0) else { return };
            let target = &modules.all[item.module];
            if target.file == module.file || item.name.is_none() && is_prefix(module, prefix) {
                return;
            }
            let name = if is_glob { Some("*") } else { item.name.as_deref() };
            let name = name.or(target.path.last().map(String::as_str)).unwrap_or("crate");
            let names = imports.entry((module.file.as_str(), target.file.as_str()));
            names.or_default().insert(name.to_owned());
        };
        for (name, path) in &module.bindings {
            add(path, Some(name), false);
        }
        for path in &module.paths {
            add(path, None, false);
        }
        for path in &module.globs {
            add(path, None, true);
        }
    }
    imports
}

/// Whether paths in the code of a module start with an imported name.
fn is_prefix(module: &Module, name: Option<&str>) -> bool {
    name.is_some_and(|name| {
        module.paths.iter().any(|path| path.first().is_some_and(|first| first == name))
    })
}

/// Follows a path that is written in the module `from`; `None` for a path into another crate.
fn resolve(modules: &Modules, from: usize, path: &[String], re_exports: usize) -> Option<Item> {
    if re_exports > RE_EXPORTS_MAX {
        return None;
    }
    let (mut index, mut rest) = start(modules, from, path)?;
    while let Some((name, after)) = rest.split_first() {
        let module = &modules.all[index];
        if name == "super" {
            index = module.parent?;
        } else if let Some(&child) = module.children.get(name) {
            index = child;
        } else if module.items.contains(name) {
            return Some(Item { module: index, name: Some(name.clone()) });
        } else if let Some(bound) = module.binding(name) {
            return resolve(modules, index, &[bound, after].concat(), re_exports + 1);
        } else {
            let item = find_in_globs(modules, index, rest, re_exports);
            return item.or_else(|| Some(Item { module: index, name: Some(name.clone()) }));
        }
        rest = after;
    }
    Some(Item { module: index, name: None })
}

/// The module where a path starts, and the segments that follow; `None` for another crate.
fn start<'p>(modules: &Modules, from: usize, path: &'p [String]) -> Option<(usize, &'p [String])> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some((modules.root(from), rest)),
        "self" => Some((from, rest)),
        "super" => Some((modules.all[from].parent?, rest)),
        name => modules.all[from].binds(name).then_some((from, path)),
    }
}

/// Follows the path `rest` in the modules that the module `index` re-exports with `*`; `None` where
/// none of them binds the first segment.
fn find_in_globs(
    modules: &Modules,
    index: usize,
    rest: &[String],
    re_exports: usize,
) -> Option<Item> {
    let name = rest.first()?;
    let mut globs = modules.all[index].globs.iter();
    let target = globs.find_map(|glob| {
        let target = resolve(modules, index, glob, re_exports + 1)?.module;
        modules.all[target].binds(name).then_some(target)
    })?;
    resolve(modules, target, rest, re_exports + 1)
}

#[cfg(test)]
mod tests {
    use super::super::sources::Sources;
    use super::*;

    /// The imports of a crate with these files below `src`, as `from -> to: names`.
    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> =
            files.iter().map(|&(path, text)| (format!("src/{path}"), text)).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let modules = Modules::parse(&Sources::of("x", &files)).expect("the sources parse");
        let line = |((from, to), names): ((&str, &str), BTreeSet<String>)| {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            format!("{} -> {}: {names}", &from[4..], &to[4..])
        };
        between_files(&modules).into_iter().map(line).collect()
    }

    #[test]
    fn use_declarations_lead_to_the_deepest_file() {
        let found = imports(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "mod deep; pub struct A;"),
            ("a/deep.rs", "pub struct Deep; pub enum Kind { One }"),
            ("b.rs", "use crate::{a::{self, A, deep::{Deep, Kind::One}}, a as other};"),
        ]);
        assert_eq!(found, ["b.rs -> a.rs: A, a", "b.rs -> a/deep.rs: Deep, Kind"]);
    }

    #[test]
    fn paths_in_code_macros_and_attributes_are_imports() {
        let found = imports(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            (
                "a.rs",
                "pub struct A; pub fn f() {} pub fn parse() {} pub mod inner { pub fn g() {} }",
            ),
            (
                "b.rs",
                "use crate::a; fn b(_: a::A) { assert!(x == crate::a::f()); super::a::inner::g() }",
            ),
            ("c.rs", "struct C { #[arg(value_parser = crate::a::parse)] field: u8 }"),
        ]);
        assert_eq!(found, ["b.rs -> a.rs: A, f, g", "c.rs -> a.rs: parse"]);
    }

    #[test]
    fn re_exports_lead_to_the_file_that_defines_the_item() {
        let found = imports(&[
            ("lib.rs", "mod a; pub use a::*;"),
            ("a.rs", "mod one; mod two; pub use one::One;"),
            ("a/one.rs", "pub struct One;"),
            ("a/two.rs", "use super::One; fn two() -> crate::One { One }"),
        ]);
        assert_eq!(
            found,
            ["a.rs -> a/one.rs: One", "a/two.rs -> a/one.rs: One", "lib.rs -> a.rs: *"]
        );
    }

    #[test]
    fn tests_other_crates_and_visibilities_are_no_imports() {
        let found = imports(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub struct A;"),
            (
                "b.rs",
                "use std::fmt; use tempfile::tempfile; mod c; \
                 #[cfg(test)] use crate::a::A; \
                 #[cfg(all(test, unix))] mod tests { use crate::a::A; } \
                 #[test] fn t() { crate::a::A; } \
                 fn f() -> fmt::Result { tempfile() } \
                 impl B { #[cfg(test)] fn g() { crate::a::A; } }",
            ),
            ("b/c.rs", "pub(super) struct C; pub(in crate::b) struct D;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn child_that_uses_an_item_of_its_parent_imports_the_parent() {
        let found = imports(&[
            ("main.rs", "mod a;"),
            ("a.rs", "mod b; pub struct A; fn f() { b::g() }"),
            ("a/b.rs", "use super::A; pub fn g() -> super::super::a::A { A }"),
        ]);
        assert_eq!(found, ["a.rs -> a/b.rs: g", "a/b.rs -> a.rs: A"]);
    }
}
