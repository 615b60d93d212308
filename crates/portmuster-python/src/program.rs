//! The program `portmuster`, which the extension module contains.

use std::ffi::OsString;

use portmuster::{Checker, Method};
use portmuster_cli::SelfCommand;
use pyo3::{intern, prelude::*};

use crate::errors::StartError;

/// Run the program with these arguments, and return its exit status.
///
/// It changes how the process handles signals, so call it in a process that has no other purpose.
#[pyfunction]
pub(crate) fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    let this = self_command(py)?;
    Ok(py.detach(|| portmuster_cli::run(arguments, Some(this))))
}

/// Lets the checker run this package's program in worker processes, if its method has any.
///
/// # Errors
/// `StartError`: the path of the interpreter is unknown.
pub(crate) fn with_workers(py: Python<'_>, checker: Checker, method: Method) -> PyResult<Checker> {
    if !method.has_processes() {
        return Ok(checker);
    }
    Ok(checker.with_workers(self_command(py)?.worker()))
}

/// Returns the command that starts the program of this package.
fn self_command(py: Python<'_>) -> PyResult<SelfCommand> {
    let module = py.import(intern!(py, "portmuster._program"))?;
    let words: Vec<OsString> = module.call_method0(intern!(py, "command"))?.extract()?;
    let mut words = words.into_iter();
    let executable = words.next().filter(|executable| !executable.is_empty()).ok_or_else(|| {
        let why = "starting worker processes: the path of the Python interpreter is unknown \
                   (sys.executable)";
        StartError::new_err(why)
    })?;
    Ok(words.fold(SelfCommand::new(executable), SelfCommand::arg))
}
