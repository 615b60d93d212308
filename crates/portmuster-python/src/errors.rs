//! The exceptions, and the library's errors as exceptions.

use std::error::Error;

use portmuster::{ConfigError, StartError as LibraryStartError};
use pyo3::{PyErr, import_exception};

import_exception!(portmuster._errors, ForkedError);
import_exception!(portmuster._errors, SettingError);
import_exception!(portmuster._errors, StartError);
import_exception!(portmuster._errors, TargetError);

/// Returns the exception for a target that can't be read, with its index among the targets.
pub(crate) fn bad_target(index: u64, why: impl std::fmt::Display) -> PyErr {
    TargetError::new_err((format!("target {index}: {why}"), index))
}

/// Returns the exception for an input without usable targets, or a list that can't be read.
pub(crate) fn bad_input(why: impl std::fmt::Display) -> PyErr {
    TargetError::new_err(why.to_string())
}

/// Returns the exception for settings that are invalid together.
pub(crate) fn bad_config(error: ConfigError) -> PyErr {
    SettingError::new_err(error.to_string())
}

/// Returns the exception for a run that could not be started.
pub(crate) fn not_started(error: &LibraryStartError) -> PyErr {
    StartError::new_err(format!("starting the run: {}", with_causes(error)))
}

/// Returns the message of an error and those of its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
}
