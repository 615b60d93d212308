//! The worker processes of this program: the program itself, started again.

use anyhow::Context;
use portmuster::{Checker, Method, workers::Program};

/// The subcommand that makes a process a worker.
const WORKER: &str = "worker";

/// Names this program as what the checker's worker processes are, where the method has any.
///
/// # Errors
/// The system does not say where this program is.
pub(crate) fn named(checker: Checker, method: Method) -> anyhow::Result<Checker> {
    if !method.has_processes() {
        return Ok(checker);
    }
    let this = Program::this().context("this system does not say where portmuster itself is")?;
    Ok(checker.with_workers(this.arg(WORKER)))
}
