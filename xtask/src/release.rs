//! Checks of what a release promises: the oldest Rust that builds it, and a compatible API.

use anyhow::Result;

use crate::command::{self, run, succeeds};
use crate::step::Status;

/// The `rust-version` of the packages, such as 1.91.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Builds the packages with the oldest toolchain that they support, if rustup has it.
///
/// # Errors
/// They do not build.
pub(crate) fn check_oldest_rust() -> Result<Status> {
    let toolchains = command::output("rustup toolchain list").unwrap_or_default();
    let Some(toolchain) = toolchain(&toolchains, OLDEST_RUST) else {
        return Ok(Status::Skipped(concat!(
            "the oldest supported toolchain is missing; type: rustup toolchain install ",
            env!("CARGO_PKG_RUST_VERSION")
        )));
    };
    let line = format!("rustup run {toolchain} cargo check --locked --workspace --all-features");
    run(&[], &line)?;
    Ok(Status::Passed)
}

/// Finds the toolchain of a version, such as `1.91.1-x86_64-unknown-linux-gnu` for 1.91.
fn toolchain<'a>(installed: &'a str, version: &str) -> Option<&'a str> {
    let names = installed.lines().filter_map(|line| line.split_whitespace().next());
    names.into_iter().find(|name| {
        name.strip_prefix(version)
            .is_some_and(|rest| rest.starts_with(['-', '.']) || rest.is_empty())
    })
}

/// Compares the API of the library with that of the latest release. A release is a tag such as v0.2.0.
///
/// # Errors
/// The API has changed in a way that the version does not announce.
pub(crate) fn check_public_api() -> Result<Status> {
    if !succeeds("cargo semver-checks --version") {
        return Ok(Status::Skipped(
            "cargo-semver-checks is missing; type: cargo install --locked cargo-semver-checks",
        ));
    }
    let Some(release) = command::output("git describe --tags --abbrev=0 --match v[0-9]*") else {
        return Ok(Status::Skipped("no release to compare with has a tag"));
    };
    run(
        &[],
        &format!(
            "cargo semver-checks --package portmuster --baseline-rev {release} \
             --only-explicit-features --features host-keys,sqlite,stream"
        ),
    )?;
    Ok(Status::Passed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn citation_names_the_version_of_the_packages() {
        let citation = fs::read_to_string(command::root().join("CITATION.cff"));
        let version = concat!("\nversion: ", env!("CARGO_PKG_VERSION"), "\n");
        assert!(citation.expect("the file exists").contains(version));
    }

    #[test]
    fn toolchain_is_found_by_its_version() {
        let installed = "stable-x86_64-unknown-linux-gnu (active, default)\n\
                         1.9.0-x86_64-unknown-linux-gnu\n\
                         1.91.1-x86_64-unknown-linux-gnu\n";
        assert_eq!(toolchain(installed, "1.91"), Some("1.91.1-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain(installed, "1.9"), Some("1.9.0-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain("1.91-x86_64-unknown-linux-gnu", "1.91").map(str::len), Some(29));
        assert_eq!(toolchain(installed, "1.90"), None);
    }
}
