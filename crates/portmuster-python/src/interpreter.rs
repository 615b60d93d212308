//! The interpreter that imports the module.

use pyo3::{exceptions::PyImportError, ffi, prelude::*};

/// The number of the main interpreter of a process.
const MAIN: i64 = 0;

/// Refuses to be imported by a subinterpreter: a thread that attaches again attaches to the main one.
///
/// # Errors
/// `ImportError`: this is a subinterpreter.
pub(crate) fn require_main(_py: Python<'_>) -> PyResult<()> {
    #[expect(unsafe_code, reason = "no safe function returns the number of the interpreter")]
    // SAFETY: this thread is attached, so it has an interpreter.
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if number == MAIN {
        return Ok(());
    }
    let why = "importing portmuster in a subinterpreter: its threads belong to the main interpreter; import \
               it there, or start another process";
    Err(PyImportError::new_err(why))
}
