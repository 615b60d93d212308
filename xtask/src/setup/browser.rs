//! Installs what the tests of the report page drive Chromium with, in `target/tools/browser`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{self, root};

/// The folder with the names and checksums of the packages.
const WANTED: &str = "xtask/browser";

/// The folder of the packages.
const INSTALLED: &str = "target/tools/browser";

/// The files that say what is wanted. The installed ones are copies.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Installs the packages, unless those of the lock file are there. The browser itself is a package of
/// Debian.
///
/// # Errors
/// A package can't be fetched, or is not the one of the lock file.
pub(super) fn install_driver() -> Result<()> {
    let (wanted, installed) = (root().join(WANTED), root().join(INSTALLED));
    if is_installed(&wanted, &installed) {
        return Ok(());
    }
    fs::create_dir_all(&installed)?;
    for file in FILES {
        fs::copy(wanted.join(file), installed.join(file))?;
    }
    let line = format!("npm ci --ignore-scripts --no-audit --no-fund --prefix {INSTALLED}");
    command::run(&[], &line)
        .inspect_err(|_| {
            // An unfinished installation must not look like a finished one.
            let _ = fs::remove_dir_all(&installed);
        })
        .context("installing the driver of the browser")
}

fn is_installed(wanted: &Path, installed: &Path) -> bool {
    let is_copy = |file: &str| {
        let wanted = fs::read(wanted.join(file)).ok();
        wanted.is_some() && wanted == fs::read(installed.join(file)).ok()
    };
    FILES.into_iter().all(is_copy) && installed.join("node_modules/.package-lock.json").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_pinned_with_their_checksums() {
        let lock = fs::read_to_string(root().join(WANTED).join(FILES[1])).expect("it exists");
        for package in ["axe-core", "playwright-core"] {
            assert!(lock.contains(&format!("\"node_modules/{package}\"")), "{package}");
        }
        assert_eq!(lock.matches("\"integrity\": \"sha512-").count(), 2);
    }
}
