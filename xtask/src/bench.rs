//! The benchmarks, beside the programs that they compare.

use std::{env, path::PathBuf};

use anyhow::{Result, bail};

use crate::{command, setup};

/// Writes the page of all benchmarks, with what of others is installed or can be.
///
/// # Errors
/// What the benchmarks themselves need is missing, or one of them fails.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    if let Some(unknown) = arguments.iter().find(|&&argument| argument != "--quick") {
        bail!("cargo xtask bench does not know {unknown}; all it takes is --quick");
    }
    setup::run()?;
    if let Some(line) = setup::peers() {
        eprintln!("some are absent from the page; to have them: {line}");
    }
    let folder = peers();
    if !setup::is_installed("rustscan") && !folder.join("bin/rustscan").exists() {
        let line = format!("cargo install --locked --quiet --root {} rustscan", folder.display());
        if let Err(error) = command::run(&[], &line) {
            eprintln!("RustScan is absent from the page: {error:#}");
        }
    }
    let page = "cargo run --locked --quiet --release --package portmuster-bench -- page";
    command::run(&[], &[&[page], arguments].concat().join(" "))
}

/// Where cargo puts what is compared and no package has: beside the folders of profiles, where the
/// benchmark looks for it.
fn peers() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    command::root().join(target).join("peers")
}
