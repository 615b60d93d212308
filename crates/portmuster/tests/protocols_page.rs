//! Compares `docs/protocols.md` with the protocols that the library recognises.
//!
//! A file of its own, because the package has no docs.

use std::{collections::BTreeSet, fs};

use portmuster::known_protocols;

#[test]
fn documentation_lists_every_protocol_once() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocols.md");
    let page = fs::read_to_string(page).expect("the page on protocols exists");
    let listed: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(listed, known_protocols().collect::<Vec<_>>());
    let names: BTreeSet<_> = listed.iter().collect();
    assert_eq!(names.len(), listed.len());
}
