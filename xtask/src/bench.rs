//! Runs the benchmarks, together with the programs that they compare.

use std::{env, path::PathBuf};

use anyhow::{Result, bail};

use crate::{command, python, setup};

/// Runs all benchmarks and writes the page of results. Other programs are compared where they are
/// installed or can be installed.
///
/// # Errors
/// An argument is unknown, a program that the benchmarks need is missing, or a benchmark fails.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if let Some(unknown) = arguments.iter().find(|&&argument| argument != "--quick") {
        bail!("unknown argument {unknown}; the only argument of cargo xtask bench is --quick");
    }
    setup::run()?;
    if let Some(line) = setup::install_peers() {
        eprintln!(
            "some programs can't be compared, because they are missing; to install them, type: {line}"
        );
    }
    if let Err(error) = python::install_for_benchmarks() {
        eprintln!("the Python package can't be measured, because installing it failed: {error:#}");
    }
    let folder = peers_folder();
    if !setup::is_installed("rustscan") && !folder.join("bin/rustscan").exists() {
        let line = format!("cargo install --locked --quiet --root {} rustscan", folder.display());
        if let Err(error) = command::run(&[], &line) {
            eprintln!("RustScan can't be compared, because installing it failed: {error:#}");
        }
    }
    let page = "cargo run --locked --quiet --profile dist --package portmuster-bench -- page";
    command::run(&[], &[&[page], arguments].concat().join(" "))
}

/// The folder for compared programs that have no Debian package and that cargo installs. It lies in
/// the target folder, where the benchmark looks for it.
fn peers_folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    command::root().join(target).join("peers")
}
