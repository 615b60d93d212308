//! Worker processes, which run this program again.

use anyhow::Context;
use portmuster::{Checker, Method, workers::Program};

/// The hidden subcommand of worker processes.
const WORKER: &str = "worker";

/// Lets the checker run this program in worker processes, if its method has any.
///
/// # Errors
/// The path of this program is unknown.
pub(crate) fn with_this_program(checker: Checker, method: Method) -> anyhow::Result<Checker> {
    if !method.has_processes() {
        return Ok(checker);
    }
    let this = Program::this().context("finding the portmuster program")?;
    Ok(checker.with_workers(this.arg(WORKER)))
}
