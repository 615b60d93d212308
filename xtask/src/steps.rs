//! What there is to do, and which commands do what of it.

use anyhow::Result;

use crate::command::{run, succeeds};
use crate::layers;
use crate::setup;
use crate::step::{Status, Step};

/// The steps of `cargo xtask ci`: quick ones first, so that a slip shows early.
pub(crate) const CI: &[Step] =
    &[PREPARE, FORMAT, LAYERS, LINTS, DOCS, TESTS, DOC_TESTS, DEPENDENCIES, ADVISORIES];

/// The steps of `cargo xtask test`.
pub(crate) const TEST: &[Step] = &[PREPARE, TESTS, DOC_TESTS];

/// The step of `cargo xtask layers`.
pub(crate) const LAYERS_ONLY: &[Step] = &[LAYERS];

/// The steps of `cargo xtask setup`.
pub(crate) const SETUP: &[Step] = &[PREPARE];

const PREPARE: Step = Step { name: "setup", run: setup::run };
const FORMAT: Step = Step { name: "format", run: format };
const LAYERS: Step = Step { name: "layers", run: layers::run };
const LINTS: Step = Step { name: "lints", run: lints };
const DOCS: Step = Step { name: "docs", run: docs };
const TESTS: Step = Step { name: "tests", run: tests };
const DOC_TESTS: Step = Step { name: "doc tests", run: doc_tests };
const DEPENDENCIES: Step = Step { name: "dependencies", run: dependencies };
const ADVISORIES: Step = Step { name: "advisories", run: advisories };

fn format() -> Result<Status> {
    run(&[], "cargo fmt --all --check")?;
    Ok(Status::Passed)
}

fn lints() -> Result<Status> {
    run(&[], "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings")?;
    Ok(Status::Passed)
}

/// Private items too: the modules' pages explain the private parts, and rustdoc looks for broken
/// links only where it writes a page.
///
/// The library in a part of its own: it and the program are both called portmuster, and would write
/// the same pages at once. Its pages are the ones that stay.
fn docs() -> Result<Status> {
    for part in ["--workspace --exclude portmuster", "--package portmuster"] {
        run(
            &[("RUSTDOCFLAGS", "-D warnings")],
            &format!("cargo doc --locked {part} --no-deps --all-features --document-private-items"),
        )?;
    }
    Ok(Status::Passed)
}

/// All failures in one go, and none of them tried again: a test that fails now and then is a bug.
fn tests() -> Result<Status> {
    if succeeds("cargo nextest --version") {
        run(
            &[],
            "cargo nextest run --locked --workspace --all-features --no-fail-fast --retries 0",
        )?;
    } else {
        eprintln!("cargo-nextest is not installed; cargo test runs the same tests, more slowly");
        run(&[], "cargo test --locked --workspace --all-features --tests --no-fail-fast")?;
    }
    Ok(Status::Passed)
}

fn doc_tests() -> Result<Status> {
    run(&[], "cargo test --locked --workspace --all-features --doc --no-fail-fast")?;
    Ok(Status::Passed)
}

fn dependencies() -> Result<Status> {
    if !succeeds("cargo deny --version") {
        return Ok(Status::Skipped("to have it: cargo install --locked cargo-deny"));
    }
    run(&[], "cargo deny --locked --workspace --all-features check bans licenses sources")?;
    Ok(Status::Passed)
}

/// The database has to be fetched, and a build machine may have no way there.
fn advisories() -> Result<Status> {
    if !succeeds("cargo deny --version") {
        return Ok(Status::Skipped("to have it: cargo install --locked cargo-deny"));
    }
    if !succeeds("cargo deny fetch db") {
        return Ok(Status::Skipped("the database of advisories can't be fetched from here"));
    }
    run(&[], "cargo deny --locked --workspace --all-features check --disable-fetch advisories")?;
    Ok(Status::Passed)
}
