//! The steps, and which commands run which of them.

use std::{num::NonZero, thread::available_parallelism};

use anyhow::Result;

use crate::book;
use crate::command::{run, succeeds};
use crate::examples;
use crate::layers;
use crate::package;
use crate::python;
use crate::release;
use crate::setup;
use crate::step::{Status, Step};

/// The steps of `cargo xtask ci`: quick ones first, so that a mistake shows early.
pub(crate) const CI: &[Step] = &[
    PREPARE,
    FORMAT,
    LAYERS,
    LINTS,
    DOCS,
    BOOK,
    TESTS,
    DOC_TESTS,
    PYTHON,
    EXAMPLES,
    PACKAGES,
    OLDEST_RUST,
    PUBLIC_API,
    DEPENDENCIES,
    ADVISORIES,
];

/// The steps of `cargo xtask test`: all that run something of ours and look at what it does.
pub(crate) const TEST: &[Step] = &[PREPARE, TESTS, DOC_TESTS, PYTHON, EXAMPLES];

/// The step of `cargo xtask layers`.
pub(crate) const LAYERS_ONLY: &[Step] = &[LAYERS];

/// The steps of `cargo xtask python`.
pub(crate) const PYTHON_ONLY: &[Step] = &[PREPARE, PYTHON];

/// The step of `cargo xtask examples`.
pub(crate) const EXAMPLES_ONLY: &[Step] = &[EXAMPLES];

/// The step of `cargo xtask package`.
pub(crate) const PACKAGES_ONLY: &[Step] = &[PACKAGES];

/// The step of `cargo xtask book`.
pub(crate) const BOOK_ONLY: &[Step] = &[BOOK];

/// The steps of `cargo xtask setup`.
pub(crate) const SETUP: &[Step] = &[PREPARE];

const PREPARE: Step = Step { name: "setup", run: setup::run };
const FORMAT: Step = Step { name: "format", run: format };
const LAYERS: Step = Step { name: "layers", run: layers::run };
const LINTS: Step = Step { name: "lints", run: lints };
const DOCS: Step = Step { name: "docs", run: docs };
const BOOK: Step = Step { name: "book", run: book::run_step };
const TESTS: Step = Step { name: "tests", run: tests };
const DOC_TESTS: Step = Step { name: "doc tests", run: doc_tests };
const PYTHON: Step = Step { name: "Python", run: python::test };
const EXAMPLES: Step = Step { name: "examples", run: examples::run_all };
const PACKAGES: Step = Step { name: "packages", run: package::run };
const OLDEST_RUST: Step = Step { name: "oldest Rust", run: release::check_oldest_rust };
const PUBLIC_API: Step = Step { name: "public API", run: release::check_public_api };
const DEPENDENCIES: Step = Step { name: "dependencies", run: dependencies };
const ADVISORIES: Step = Step { name: "advisories", run: advisories };

fn format() -> Result<Status> {
    run(&[], "cargo fmt --all --check")?;
    Ok(Status::Passed)
}

/// The library is also checked without its optional features, as most programs use it.
fn lints() -> Result<Status> {
    run(&[], "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings")?;
    run(&[], "cargo clippy --locked --package portmuster -- -D warnings")?;
    Ok(Status::Passed)
}

/// Builds the pages of private items too: the modules' pages explain the private parts, and rustdoc
/// finds broken links only on pages that it writes.
///
/// The library is built by a second command, because the library and the program are both called
/// portmuster and would write the same pages at the same time. The library's pages remain.
fn docs() -> Result<Status> {
    for packages in ["--workspace --exclude portmuster", "--package portmuster"] {
        run(
            &[("RUSTDOCFLAGS", "-D warnings")],
            &format!(
                "cargo doc --locked {packages} --no-deps --all-features --document-private-items"
            ),
        )?;
    }
    Ok(Status::Passed)
}

/// Runs all tests even after a failure, and repeats none: a flaky test is a bug.
///
/// Many tests wait for a time limit to pass, so three times as many run at the same time as there are
/// processors.
fn tests() -> Result<Status> {
    if succeeds("cargo nextest --version") {
        let threads = 3 * available_parallelism().map_or(1, NonZero::get);
        run(
            &[],
            &format!(
                "cargo nextest run --locked --workspace --all-features --no-fail-fast --retries 0 \
                    --test-threads {threads}"
            ),
        )?;
    } else {
        eprintln!(
            "cargo-nextest is not installed; running the same tests with cargo test, which is slower"
        );
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
        return Ok(Status::Skipped(
            "cargo-deny is missing; type: cargo install --locked cargo-deny",
        ));
    }
    run(&[], "cargo deny --locked --workspace --all-features check bans licenses sources")?;
    Ok(Status::Passed)
}

/// Checks the dependencies against the database of advisories. Skipped where the database can't be
/// fetched: a build machine may have no access to the network.
fn advisories() -> Result<Status> {
    if !succeeds("cargo deny --version") {
        return Ok(Status::Skipped(
            "cargo-deny is missing; type: cargo install --locked cargo-deny",
        ));
    }
    if !succeeds("cargo deny fetch db") {
        return Ok(Status::Skipped(
            "the database of advisories can't be fetched from this machine",
        ));
    }
    run(&[], "cargo deny --locked --workspace --all-features check --disable-fetch advisories")?;
    Ok(Status::Passed)
}
