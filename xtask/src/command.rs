//! Other programs, started at the root of the repository.
//!
//! A command is written as the line that a person would type, so that what is in the source, what
//! is run and what a failure prints are the same.
//!
//! Invariant: no program started here reads stdin, on any machine.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Variables set for one command, on top of this process's own.
pub(crate) type Environment<'a> = &'a [(&'a str, &'a str)];

/// Runs a command line; its output goes where ours goes.
///
/// # Errors
/// When the program can't be started, or ends with another status than 0.
pub(crate) fn run(environment: Environment<'_>, line: &str) -> Result<()> {
    let status = prepare(environment, line)
        .status()
        .with_context(|| format!("starting: {line}; is it installed, and in PATH?"))?;
    ensure!(status.success(), "{status}: {}", as_typed(environment, line));
    Ok(())
}

/// Runs a command line in another folder: its exit status, -1 when a signal ended it, and all that
/// it printed.
///
/// # Errors
/// When the program can't be started.
pub(crate) fn ended_in(
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

/// Whether a command line can be started and ends with status 0. Its output is dropped.
pub(crate) fn succeeds(line: &str) -> bool {
    prepare(&[], line)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a command line prints on stdout; `None` when it fails.
pub(crate) fn output(line: &str) -> Option<String> {
    let output = prepare(&[], line).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Splits at spaces: no command here has an argument with a space in it.
fn prepare(environment: Environment<'_>, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(program(words.next().unwrap_or_default()));
    command.args(words).envs(environment.iter().copied()).current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that started us is the one to use: it may have been named by its path or toolchain.
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

/// The line that does the same when typed into a shell.
fn as_typed(environment: Environment<'_>, line: &str) -> String {
    let variables = environment.iter().map(|(name, value)| format!("{name}='{value}' "));
    variables.collect::<String>() + line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_shown_as_it_would_be_typed() {
        let line = "cargo doc --no-deps";
        assert_eq!(as_typed(&[], line), line);
        assert_eq!(
            as_typed(&[("RUSTDOCFLAGS", "-D warnings")], line),
            "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps"
        );
    }

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let error = run(&[], "false").expect_err("false fails");
        assert_eq!(error.to_string(), "exit status: 1: false");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&[], "no-such-program-at-all").expect_err("it does not exist");
        assert!(error.to_string().contains("no-such-program-at-all"), "{error}");
    }
}
