//! Messages about a run, through the module `logging` under the name `portmuster`.
//!
//! If the program has not imported `logging`, it has no handlers, and nothing is written.

use portmuster::{Account, Outcomes, PortState};
use pyo3::{intern, prelude::*, types::PyDict};

/// The name of the logger.
const LOGGER: &str = "portmuster";

/// The levels of `logging`, as names of the logger's methods.
#[derive(Debug, Clone, Copy)]
enum Level {
    Debug,
    Warning,
}

/// Logs that a run was started, and whether this machine limits it. `is_asked`: the user has set how many
/// connections may be open.
pub(crate) fn started(py: Python<'_>, outcomes: &Outcomes, is_asked: bool) {
    let Some(in_flight) = outcomes.in_flight() else { return };
    let (given, asked) = (in_flight.given, in_flight.asked);
    match in_flight.limited_by {
        Some(limit) => {
            let level = if is_asked { Level::Warning } else { Level::Debug };
            log(py, level, &format!("in flight: {given} of {asked}; {limit}"));
        }
        None => log(py, Level::Debug, &format!("in flight: {given}")),
    }
}

/// Logs the sums of a run that has ended.
pub(crate) fn ended(py: Python<'_>, account: &Account) {
    let unchecked = account.state(PortState::Unchecked);
    if unchecked > 0 {
        let faults = account.faults;
        let message = format!(
            "{unchecked} targets could not be checked from this machine ({faults} faults of the system)"
        );
        log(py, Level::Warning, &message);
    }
    let (settled, targets) = (account.settled(), account.targets);
    let seconds = account.elapsed.as_secs_f64();
    log(py, Level::Debug, &format!("{settled} of {targets} targets done in {seconds:.3} s"));
}

/// A failure to log must not end the run, so it is reported as one of a destructor would be.
fn log(py: Python<'_>, level: Level, message: &str) {
    if let Err(error) = try_log(py, level, message) {
        error.write_unraisable(py, None);
    }
}

fn try_log(py: Python<'_>, level: Level, message: &str) -> PyResult<()> {
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Some(logging) = modules.cast_into::<PyDict>()?.get_item(intern!(py, "logging"))? else {
        return Ok(());
    };
    let logger = logging.call_method1(intern!(py, "getLogger"), (LOGGER,))?;
    let method = match level {
        Level::Debug => intern!(py, "debug"),
        Level::Warning => intern!(py, "warning"),
    };
    logger.call_method1(method, (intern!(py, "%s"), message))?;
    Ok(())
}
