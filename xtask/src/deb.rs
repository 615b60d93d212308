//! The Debian package: the program, its manual pages and its completions.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{self, root, succeeds};

/// The version that is installed: another might read the description in another way.
const CARGO_DEB: &str = "3.8.0";

/// The file of each shell's completions, as `Cargo.toml` names it.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "portmuster"), ("zsh", "_portmuster"), ("fish", "portmuster.fish")];

/// Makes the package, and prints where it is.
///
/// # Errors
/// Something can't be built, or cargo-deb can't be installed.
pub(crate) fn run() -> Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let target = root().join(target);
    let cargo_deb = cargo_deb(&target)?;
    command::run(&[], "cargo build --locked --release --package portmuster-cli")?;
    describe(&target.join("release"))?;
    let package = target.join("debian");
    let line = format!(
        "{} --locked --no-build --strip --package portmuster-cli --output {}",
        cargo_deb.display(),
        package.display()
    );
    command::run(&[], &line)?;
    // A reader that has gone away has seen what it wanted.
    let _ = writeln!(io::stdout(), "{}", package.display());
    Ok(())
}

/// The tool, which is installed beside what is built unless it is there.
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

/// Lets the program print its pages and completions into a folder.
fn describe(release: &Path) -> Result<()> {
    let (program, folder) = (release.join("portmuster"), release.join("package"));
    if folder.exists() {
        fs::remove_dir_all(&folder).context("removing the pages of an earlier package")?;
    }
    let man = folder.join("man");
    command::run(&[], &format!("{} man --dir {}", program.display(), man.display()))?;
    // As Debian has them; without the time, so that the same pages are the same files.
    command::run(&[], &format!("gzip -r9n {}", man.display()))?;
    for (shell, file) in COMPLETIONS {
        let line = format!("{} completions {shell}", program.display());
        let script = command::output(&line).with_context(|| format!("running: {line}"))?;
        fs::write(folder.join(file), script + "\n").with_context(|| format!("writing {file}"))?;
    }
    Ok(())
}
