//! Builds the Debian package: the program, its manual pages and its shell completions.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{self, root, succeeds};

/// The version of cargo-deb to install; another version might interpret the package metadata
/// differently.
const CARGO_DEB: &str = "3.8.0";

/// Each shell and the name of its completion file, as in the `Cargo.toml` of `portmuster-cli`.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "portmuster"), ("zsh", "_portmuster"), ("fish", "portmuster.fish")];

/// Builds the package and prints the folder that it is in.
///
/// # Errors
/// The build fails, or cargo-deb can't be installed.
pub(crate) fn run() -> Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = root().join(target);
    let cargo_deb = cargo_deb(&target)?;
    command::run(&[], "cargo build --locked --profile dist --package portmuster-cli")?;
    write_pages(&target.join("dist"))?;
    let package = target.join("debian");
    let line = format!(
        "{} --locked --profile dist --no-build --strip --package portmuster-cli --output {}",
        cargo_deb.display(),
        package.display()
    );
    command::run(&[], &line)?;
    // A reader that closes the pipe early does not want the path.
    let _ = writeln!(io::stdout(), "{}", package.display());
    Ok(())
}

/// The path of cargo-deb, which is installed below the target folder if it is missing.
fn cargo_deb(target: &Path) -> Result<PathBuf> {
    let tools = target.join("tools");
    let tool = tools.join("bin/cargo-deb");
    if !succeeds(&format!("{} --version", tool.display())) {
        let line = format!(
            "cargo install --locked --root {} cargo-deb --version {CARGO_DEB}",
            tools.display()
        );
        command::run(&[], &line).context("installing cargo-deb")?;
    }
    Ok(tool)
}

/// Runs the program to write its manual pages and completions into the folder `package`.
fn write_pages(built: &Path) -> Result<()> {
    let (program, folder) = (built.join("portmuster"), built.join("package"));
    if folder.exists() {
        fs::remove_dir_all(&folder).context("removing the pages of an earlier package")?;
    }
    let man = folder.join("man");
    command::run(&[], &format!("{} man --dir {}", program.display(), man.display()))?;
    // Debian compresses manual pages; without a time stamp, equal pages give equal files.
    command::run(&[], &format!("gzip -r9n {}", man.display()))?;
    for (shell, file) in COMPLETIONS {
        let line = format!("{} completions {shell}", program.display());
        let script = command::output(&line).with_context(|| format!("running: {line}"))?;
        fs::write(folder.join(file), script + "\n").with_context(|| format!("writing {file}"))?;
    }
    Ok(())
}
