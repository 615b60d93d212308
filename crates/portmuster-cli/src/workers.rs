//! The command that starts this program again, for worker processes and for the runs of `compare`.

use std::{ffi::OsString, path::PathBuf, process::Command, sync::OnceLock};

use anyhow::{Context, anyhow};
use portmuster::{Checker, Method, StartError, workers::Program};

/// The hidden subcommand of worker processes.
const WORKER: &str = "worker";

/// What starts this program, if it is not the executable of the process.
static THIS: OnceLock<SelfCommand> = OnceLock::new();

/// A command that starts this program: an executable, and the arguments before those of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfCommand {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl SelfCommand {
    /// Names an executable that is this program.
    pub fn new(executable: impl Into<PathBuf>) -> Self {
        Self { executable: executable.into(), arguments: Vec::new() }
    }

    /// Adds an argument that precedes those of the program.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Returns the worker program of this program, for [`Checker::with_workers`].
    #[must_use]
    pub fn worker(&self) -> Program {
        let program = Program::new(&self.executable);
        self.arguments.iter().fold(program, Program::arg).arg(WORKER)
    }

    /// Returns the command, to which the arguments of the program can be added.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments);
        command
    }
}

/// Sets what starts this program. The first call determines it.
pub(crate) fn set_this_program(this: Option<SelfCommand>) {
    if let Some(this) = this {
        let _ = THIS.set(this);
    }
}

/// Returns what starts this program.
///
/// # Errors
/// The path of this program is unknown.
pub(crate) fn this_program() -> anyhow::Result<SelfCommand> {
    if let Some(this) = THIS.get() {
        return Ok(this.clone());
    }
    let executable = std::env::current_exe().context("finding the portmuster program")?;
    Ok(SelfCommand::new(executable))
}

/// Converts the error of a run that can't start to a message that names the options of this program.
pub(crate) fn explained(error: StartError) -> anyhow::Error {
    match error {
        StartError::Preloaded { library, .. } => anyhow!(
            "{library} is preloaded to redirect connections, and portmuster makes them by system calls, \
             which bypass it: use --proxy socks5://HOST:PORT to go through a proxy, or --proxy none to \
             connect directly"
        ),
        error => error.into(),
    }
}

/// Lets the checker run this program in worker processes, if its method has any.
///
/// # Errors
/// The path of this program is unknown.
pub(crate) fn with_this_program(checker: Checker, method: Method) -> anyhow::Result<Checker> {
    if !method.has_processes() {
        return Ok(checker);
    }
    Ok(checker.with_workers(this_program()?.worker()))
}
