//! The order of the layers: which top-level modules may import which.
//!
//! A list names the top-level modules of each crate from the bottom to the top. A module may import
//! from its own line and from those below. Child modules belong to the layer of their top-level
//! parent; the root of a crate is above all.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::circles::arrow;
use super::imports::Imports;
use super::modules::Modules;

/// The number of each top-level module's layer, from 0 at the bottom.
pub(super) type Layers = BTreeMap<String, usize>;

/// Reads the layers of the crate in `folder` from a list.
///
/// The list has a line `[folder]` for each crate, then a line for each layer, with the names of the
/// modules between spaces. `#` starts a comment.
///
/// # Errors
/// The list has no such crate, or names a module twice.
pub(super) fn parse(list: &str, folder: &str) -> Result<Layers> {
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut lines = lines.filter(|line| !line.is_empty());
    let heading = format!("[{folder}]");
    ensure!(
        lines.any(|line| line == heading),
        "reading xtask/layers.txt: no line {heading}; add one, with the crate's modules below it"
    );
    let mut layers = Layers::new();
    for (layer, line) in lines.take_while(|line| !line.starts_with('[')).enumerate() {
        for name in line.split_whitespace() {
            let previous = layers.insert(name.to_owned(), layer);
            ensure!(previous.is_none(), "reading xtask/layers.txt: {name} twice in {heading}");
        }
    }
    Ok(layers)
}

/// A finding for each import from a higher layer, and for each difference between the list and the
/// crate.
pub(super) fn check(modules: &Modules, imports: &Imports<'_>, layers: &Layers) -> Vec<String> {
    let mut findings = compare_with_list(modules, layers);
    let tops: BTreeMap<_, _> = modules
        .all
        .iter()
        .map(|module| (module.file.as_str(), module.path.first().map(String::as_str)))
        .collect();
    let layer = |file| match tops[file] {
        Some(name) => layers.get(name).copied(),
        None => Some(usize::MAX),
    };
    for (&(from, to), names) in imports {
        if layer(from).zip(layer(to)).is_some_and(|(from, to)| from < to) {
            findings.push(format!(
                "upward import: {} is below {} in xtask/layers.txt; move the names down, or pass \
                 them in\n  {}",
                tops[from].unwrap_or("the root"),
                tops[to].unwrap_or("the root"),
                arrow(&modules.folder, from, to, names)
            ));
        }
    }
    findings
}

/// A finding for each top-level module that the list lacks, and for each that the crate lacks.
fn compare_with_list(modules: &Modules, layers: &Layers) -> Vec<String> {
    let of_crate: BTreeSet<_> =
        modules.all.iter().filter_map(|module| module.path.first()).collect();
    let listed: BTreeSet<_> = layers.keys().collect();
    let folder = &modules.folder;
    let unlisted = of_crate.difference(&listed).map(|name| {
        format!("unlisted module: {folder} has {name}; add it to its layer in xtask/layers.txt")
    });
    let unknown = listed.difference(&of_crate).map(|name| {
        format!("unknown module: {folder} has no {name}; remove it from xtask/layers.txt")
    });
    unlisted.chain(unknown).collect()
}

#[cfg(test)]
mod tests {
    use super::super::imports;
    use super::super::sources::Sources;
    use super::*;

    const LIST: &str = "# from the bottom\n[y]\nc\n\n[x]\na\nb c # peers\n\n[z]\na\n";

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let modules = Modules::parse(&Sources::of("x", files)).expect("the sources parse");
        let layers = parse(LIST, "x").expect("the list has the crate");
        check(&modules, &imports::between_files(&modules), &layers)
    }

    #[test]
    fn import_from_a_higher_layer_is_found() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod c; pub struct Root;"),
            ("src/a.rs", "mod deep;"),
            ("src/a/deep.rs", "use crate::b::B;"),
            ("src/b.rs", "pub struct B; use crate::{c::C, a};"),
            ("src/c.rs", "pub struct C; use crate::Root;"),
        ]);
        assert_eq!(
            found,
            [
                "upward import: a is below b in xtask/layers.txt; move the names down, or pass \
                 them in\n  x/src/a/deep.rs -> b.rs: B",
                "upward import: c is below the root in xtask/layers.txt; move the names down, or \
                 pass them in\n  x/src/c.rs -> lib.rs: Root",
            ]
        );
    }

    #[test]
    fn re_export_by_the_root_is_no_upward_import() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod c; pub use a::A;"),
            ("src/a.rs", "pub struct A;"),
            ("src/b.rs", "use crate::A;"),
            ("src/c.rs", ""),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn list_that_differs_from_the_crate_is_found() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod new;"),
            ("src/a.rs", ""),
            ("src/b.rs", ""),
            ("src/new.rs", ""),
        ]);
        assert_eq!(
            found,
            [
                "unlisted module: x has new; add it to its layer in xtask/layers.txt",
                "unknown module: x has no c; remove it from xtask/layers.txt",
            ]
        );
    }

    #[test]
    fn crate_without_a_list_is_an_error() {
        let error = parse(LIST, "w").expect_err("it is not listed");
        assert!(error.to_string().contains("no line [w]"), "{error}");
    }

    #[test]
    fn module_that_is_listed_twice_is_an_error() {
        let error = parse("[x]\na\nb a\n", "x").expect_err("a is listed twice");
        assert!(error.to_string().contains("a twice in [x]"), "{error}");
    }
}
