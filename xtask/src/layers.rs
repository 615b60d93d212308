//! Checks how the sources of every crate fit together: `cargo xtask layers`.
//!
//! The rules, each in a module of its own:
//! - no import circles between files ([`circles`]);
//! - no import from a layer above one's own, by the list in `xtask/layers.txt` ([`order`]);
//! - no function of more than 70 lines and no file of more than 800 ([`sizes`]);
//! - no two visible types of one name in a crate ([`names`]).
//!
//! `syn` parses the sources, so that comments, strings and formatting can't mislead a rule. Code
//! that only tests compile counts for the length of files and for nothing else.

mod circles;
mod imports;
mod modules;
mod names;
mod order;
mod sizes;
mod sources;

use std::io::{self, Write};

use anyhow::{Result, bail};

use crate::command::root;
use crate::step::Status;
use modules::Modules;
use sources::Sources;

/// The folders of the crates, from the root of the repository.
const CRATES: [&str; 7] = [
    "crates/portmuster",
    "crates/portmuster-cli",
    "crates/portmuster-lab",
    "crates/portmuster-python",
    "crates/portmuster-report",
    "bench",
    "xtask",
];

/// The layers of each crate.
const LAYERS: &str = include_str!("../layers.txt");

/// Checks every crate and prints what breaks a rule, with what to do about it.
///
/// # Errors
/// A rule is broken, or a source or the list of layers can't be read.
pub(crate) fn run() -> Result<Status> {
    let mut findings = Vec::new();
    for folder in CRATES {
        let sources = Sources::read(root(), folder)?;
        findings.extend(check(&sources, LAYERS)?);
    }
    for finding in &findings {
        // A reader that closes the pipe early has seen enough; the exit status still reports.
        let _ = writeln!(io::stdout(), "{finding}");
    }
    match findings.len() {
        0 => Ok(Status::Passed),
        count => bail!("checking the layers of the sources: {count} findings, listed above"),
    }
}

/// What breaks a rule in one crate, each finding with what to do about it.
fn check(sources: &Sources, layers: &str) -> Result<Vec<String>> {
    let modules = Modules::parse(sources)?;
    let imports = imports::between_files(&modules);
    let layers = order::parse(layers, &sources.folder)?;
    Ok([
        circles::check(&modules, &imports),
        order::check(&modules, &imports, &layers),
        sizes::check_functions(&modules),
        sizes::check_files(sources),
        names::check(&modules),
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a crate `x` that has these files, with layers `a`, `b`, `c` from the bottom.
    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        check(&Sources::of("x", files), "[x]\na\nb\nc\n").expect("the sources parse")
    }

    #[test]
    fn crate_whose_imports_point_down_has_no_findings() {
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod c; pub use b::B;"),
            ("src/a.rs", "pub struct A;"),
            ("src/b.rs", "use crate::a::A; pub struct B(A);"),
            ("src/c.rs", "pub fn c() -> crate::B { todo!() }"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_rule_reports() {
        let long = format!("use crate::b::B; pub struct B; fn f() {{{}}}", "\n".repeat(801));
        let found = findings(&[
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", &long),
            ("src/b.rs", "use crate::a::A; pub struct B;"),
            ("src/c.rs", ""),
        ]);
        let starts: Vec<_> =
            found.iter().map(|finding| finding.split(':').next().unwrap_or_default()).collect();
        assert_eq!(
            starts,
            [
                "import circle of 2 files",
                "upward import",
                "long function",
                "long file",
                "same name"
            ]
        );
    }
}
