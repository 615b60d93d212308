//! Compares `docs/protocols.md` with the protocols that the library recognises.
//!
//! A file of its own, because the package has no docs.

use std::{collections::BTreeSet, fs};

use portmuster::{known_protocols, protocol_meaning};

#[test]
fn documentation_lists_every_protocol_once() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocols.md");
    let page = fs::read_to_string(page).expect("the page on protocols exists");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let listed = rows.map(|row| row.split_once("` | ").expect("it has two columns"));
    let listed: Vec<_> = listed.map(|(name, meaning)| (name, meaning.replace('`', ""))).collect();
    let meaning = |name| protocol_meaning(name).expect("it has a meaning").to_owned();
    let known: Vec<_> = known_protocols().map(|name| (name, meaning(name))).collect();
    assert_eq!(listed, known);
    let names: BTreeSet<_> = listed.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), listed.len());
}
