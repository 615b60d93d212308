//! Import circles: files that import each other, at once or through others.

use std::collections::BTreeSet;

use super::imports::Imports;
use super::modules::Modules;

/// A finding for each circle, with all the imports that tie it.
pub(super) fn check(modules: &Modules, imports: &Imports<'_>) -> Vec<String> {
    circles(imports).iter().map(|circle| describe(&modules.folder, circle, imports)).collect()
}

fn describe(folder: &str, circle: &BTreeSet<&str>, imports: &Imports<'_>) -> String {
    let ties = imports
        .iter()
        .filter(|((from, to), _)| circle.contains(from) && circle.contains(to))
        .map(|(&(from, to), names)| format!("\n  {}", arrow(folder, from, to, names)));
    format!(
        "import circle of {} files: move what both sides need into a file below them{}",
        circle.len(),
        ties.collect::<String>()
    )
}

/// One import, as findings show it: `crates/x/src/a.rs -> b.rs: name, name`.
pub(super) fn arrow(folder: &str, from: &str, to: &str, names: &BTreeSet<String>) -> String {
    let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("{folder}/{from} -> {}: {names}", to.strip_prefix("src/").unwrap_or(to))
}

/// The sets of two or more files of which each reaches every other through imports.
fn circles<'a>(imports: &Imports<'a>) -> Vec<BTreeSet<&'a str>> {
    let files: BTreeSet<_> = imports.keys().map(|&(from, _)| from).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for &file in &files {
        if circles.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let reached = reachable(imports, file);
        if reached.contains(file) {
            let returns = |&other: &&str| reachable(imports, other).contains(file);
            circles.push(reached.into_iter().filter(returns).collect());
        }
    }
    circles
}

/// The files that `start` imports, and that those import, and so on.
fn reachable<'a>(imports: &Imports<'a>, start: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        let next = imports.keys().filter(|&&(from, _)| from == file).map(|&(_, to)| to);
        open.extend(next.filter(|&to| reached.insert(to)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::imports;
    use super::super::sources::Sources;
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let modules = Modules::parse(&Sources::of("x", files)).expect("the sources parse");
        check(&modules, &imports::between_files(&modules))
    }

    #[test]
    fn circle_through_three_files_is_found_with_its_names() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod c; mod d; use a::A;"),
            ("src/a.rs", "use crate::b::{B, f}; pub struct A;"),
            ("src/b.rs", "use crate::c::C; pub struct B; pub fn f() {}"),
            ("src/c.rs", "pub struct C(crate::a::A); use crate::d::D;"),
            ("src/d.rs", "pub struct D;"),
        ]);
        assert_eq!(
            found,
            ["import circle of 3 files: move what both sides need into a file below them\n  \
              x/src/a.rs -> b.rs: B, f\n  \
              x/src/b.rs -> c.rs: C\n  \
              x/src/c.rs -> a.rs: A"]
        );
    }

    #[test]
    fn parent_and_child_that_import_each_other_are_a_circle() {
        let found = findings(&[
            ("src/lib.rs", "mod a;"),
            ("src/a.rs", "mod b; use b::B; pub struct A;"),
            ("src/a/b.rs", "use super::A; pub struct B;"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("x/src/a/b.rs -> a.rs: A"), "{found:?}");
    }

    #[test]
    fn files_that_import_one_way_are_no_circle() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "pub struct A;"),
            ("src/b.rs", "use crate::a::A; pub struct B;"),
            ("src/c.rs", "use crate::{a::A, b::B};"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }
}
