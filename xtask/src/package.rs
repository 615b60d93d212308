//! Packages the crates as a registry would get them, and uses the packages as a stranger would.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{self, root, run_in};
use crate::step::Status;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The published crates, each after those that it depends on.
const PACKAGES: [&str; 4] = ["portmuster-lab", "portmuster", "portmuster-report", "portmuster-cli"];

/// Creates the packages, unpacks them into a workspace of their own, and there runs the doc tests of
/// the library, builds the program, and runs `xtask/dependent`, which depends on the library.
///
/// # Errors
/// A package is incomplete.
pub(crate) fn run() -> Result<Status> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = root().join(target);
    let packages = PACKAGES.map(|package| format!(" --package {package}")).concat();
    // The builds below verify the packages, with the versions of the lock file.
    command::run(&[], &format!("cargo package --locked --allow-dirty --no-verify{packages}"))?;
    let workspace = target.join("package/workspace");
    unpack(&target.join("package"), &workspace)?;
    // Shared with other builds, so that the dependencies are not compiled again.
    let build = target.to_string_lossy().into_owned();
    for line in [
        "cargo test --doc --all-features --package portmuster",
        "cargo build --package portmuster-cli",
        "cargo run --quiet --package dependent -- rows.jsonl",
    ] {
        eprintln!("in the packages: {line}");
        let environment = [("CARGO_TARGET_DIR", build.as_str())];
        let (status, output) = run_in(&workspace, &environment, line)?;
        eprint!("{output}");
        anyhow::ensure!(status == 0, "exit status {status}: {line}, in {}", workspace.display());
    }
    Ok(Status::Passed)
}

/// Unpacks the packages into a new workspace, in which they replace those of the registry.
fn unpack(packages: &Path, workspace: &Path) -> Result<()> {
    if workspace.exists() {
        fs::remove_dir_all(workspace).context("removing the packages of an earlier run")?;
    }
    let dependent = workspace.join("dependent");
    fs::create_dir_all(dependent.join("src"))?;
    for package in PACKAGES {
        let archive = packages.join(format!("{package}-{VERSION}.crate"));
        // Files in packages are as old as 2006. With the time of now, cargo compiles them again.
        let line = format!("tar -xmzf {} -C {}", archive.display(), workspace.display());
        command::run(&[], &line)?;
    }
    let sources = root().join("xtask/dependent");
    let manifest_of_dependent = fs::read_to_string(sources.join("Cargo.toml.in"))?;
    fs::write(
        dependent.join("Cargo.toml"),
        manifest_of_dependent.replace("\"VERSION\"", &format!("\"{VERSION}\"")),
    )?;
    fs::copy(sources.join("main.rs"), dependent.join("src/main.rs"))?;
    // The versions of dependencies that the tests of the repository have tested.
    fs::copy(root().join("Cargo.lock"), workspace.join("Cargo.lock"))?;
    fs::write(workspace.join("Cargo.toml"), manifest()).context("writing the workspace's manifest")
}

/// The manifest of the workspace of packages.
fn manifest() -> String {
    let members = PACKAGES.map(|package| format!("\"{package}-{VERSION}\", ")).concat();
    let replace = |package| format!("{package} = {{ path = \"{package}-{VERSION}\" }}\n");
    let patches = PACKAGES.map(replace).concat();
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}\"dependent\"]\n\n\
         [patch.crates-io]\n{patches}\n\
         # As in the repository, so that SQLite is not compiled again.\n\
         [profile.dev.package.libsqlite3-sys]\nopt-level = 2\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_replaces_each_package_of_the_registry() {
        let manifest = manifest();
        for package in PACKAGES {
            let patch = format!("\n{package} = {{ path = \"{package}-{VERSION}\" }}\n");
            assert!(manifest.contains(&patch), "{manifest}");
        }
    }
}
