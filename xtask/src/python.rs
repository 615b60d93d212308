//! The Python package: the virtual environment of its tests, and the tests.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::{self, root, succeeds};
use crate::step::Status;

/// What the tests need, with versions.
const REQUIREMENTS: &str = "crates/portmuster-python/tests/requirements.txt";

/// Asks whether this is a Python that the package supports.
const IS_SUPPORTED: &str =
    "python3 -c __import__('sys').exit(__import__('sys').version_info<(3,11))";

/// Creates the virtual environment of the tests, or updates it to the requirements.
///
/// # Errors
/// The environment can't be created, or a package can't be installed.
pub(crate) fn prepare() -> Result<()> {
    let wanted =
        fs::read_to_string(root().join(REQUIREMENTS)).context("reading what tests need")?;
    let installed = folder().join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let environment = folder().join("venv");
    command::run(&[], &format!("python3 -m venv --clear {}", environment.display()))
        .context("creating the virtual environment of the Python tests")?;
    command::run(&[], &format!("{} install --quiet -r {REQUIREMENTS}", tool("pip")))
        .context("installing what the Python tests need")?;
    // Last, so that an installation that was cut off is repeated.
    fs::write(installed, wanted).context("recording what was installed")
}

/// Installs the package as a user would, and runs its tests.
///
/// # Errors
/// The package can't be built, or a test fails.
pub(crate) fn test() -> Result<Status> {
    if !is_supported() {
        return Ok(Status::Skipped("the package needs Python 3.11 or newer; python3 is older"));
    }
    prepare()?;
    // The tools of the environment build it, so nothing is fetched. The profile of the other tests
    // reuses what they have compiled.
    let profile = "--config-settings=build-args=--profile=dev";
    let path = env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", folder().join("venv/bin").display());
    command::run(
        &[("PATH", &path)],
        &format!("{} install --quiet --no-build-isolation --no-deps {profile} .", tool("pip")),
    )?;
    command::run(&[], &format!("{} -m pytest crates/portmuster-python/tests", tool("python")))?;
    Ok(Status::Passed)
}

/// Installs the package as a release has it, in an environment for the benchmarks.
///
/// # Errors
/// The package can't be built or installed.
pub(crate) fn install_for_benchmarks() -> Result<()> {
    let environment = folder().join("bench");
    command::run(&[], &format!("python3 -m venv --clear {}", environment.display()))?;
    let pip = environment.join("bin/pip");
    command::run(&[], &format!("{} install --quiet pyarrow .", pip.display()))
}

/// Whether `python3` is a Python that the package supports.
pub(crate) fn is_supported() -> bool {
    succeeds(IS_SUPPORTED)
}

/// The folder of the environment and of what was installed in it.
fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target).join("python")
}

/// The path of a program in the environment.
fn tool(name: &str) -> String {
    folder().join("venv/bin").join(name).display().to_string()
}
