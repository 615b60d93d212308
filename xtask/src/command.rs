//! Starts other programs at the root of the repository.
//!
//! A command is written as the line that a person would type. The source, the process and the error
//! message then show the same line.
//!
//! Invariant: every program started here has an empty stdin, on any machine.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Environment variables for one command, added to those of this process.
pub(crate) type Environment<'a> = &'a [(&'a str, &'a str)];

/// Runs a command line that shares this process's stdout and stderr.
///
/// # Errors
/// The program can't be started, or its exit status is not 0.
pub(crate) fn run(environment: Environment<'_>, line: &str) -> Result<()> {
    let status = prepare(environment, line)
        .status()
        .with_context(|| format!("starting: {line}; is it installed, and in PATH?"))?;
    ensure!(status.success(), "{status}: {}", as_typed(environment, line));
    Ok(())
}

/// Runs a command line in another folder and returns its exit status and everything it printed.
/// The status is -1 when a signal ended the program.
///
/// # Errors
/// The program can't be started.
pub(crate) fn run_in(
    folder: &Path,
    environment: Environment<'_>,
    line: &str,
) -> Result<(i32, String)> {
    let output = prepare(environment, line)
        .current_dir(folder)
        .output()
        .with_context(|| format!("starting: {line}; is it installed, and in PATH?"))?;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&printed).into_owned()))
}

/// Whether a command line can be started and exits with status 0. Its output is discarded.
pub(crate) fn succeeds(line: &str) -> bool {
    prepare(&[], line)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a command line prints on stdout, trimmed; `None` if it fails.
pub(crate) fn output(line: &str) -> Option<String> {
    let output = prepare(&[], line).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Splits the line at spaces, so no argument can contain a space.
fn prepare(environment: Environment<'_>, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(program(words.next().unwrap_or_default()));
    command.args(words).envs(environment.iter().copied()).current_dir(root()).stdin(Stdio::null());
    command
}

/// For `cargo`, the executable that started this process: the user may have chosen it by path or by
/// toolchain.
fn program(name: &str) -> OsString {
    match name {
        "cargo" => env::var_os("CARGO").unwrap_or_else(|| name.into()),
        _ => name.into(),
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

/// The command as the user could type it into a shell.
fn as_typed(environment: Environment<'_>, line: &str) -> String {
    let variables = environment.iter().map(|(name, value)| format!("{name}='{value}' "));
    variables.collect::<String>() + line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_command_is_shown_as_it_would_be_typed() {
        let line = "cargo doc --no-deps";
        assert_eq!(as_typed(&[], line), line);
        assert_eq!(
            as_typed(&[("RUSTDOCFLAGS", "-D warnings")], line),
            "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps"
        );
    }

    #[test]
    fn error_contains_the_command_and_its_status() {
        let error = run(&[], "false").expect_err("false fails");
        assert_eq!(error.to_string(), "exit status: 1: false");
    }

    #[test]
    fn error_names_a_missing_program() {
        let error = run(&[], "no-such-program-at-all").expect_err("it does not exist");
        assert!(error.to_string().contains("no-such-program-at-all"), "{error}");
    }
}
