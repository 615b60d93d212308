//! The extension module of the Python package `portmuster`.
//!
//! It has the classes that hold state of Rust ([`checks::Checks`], [`outcome::PyOutcome`]), and functions
//! that the package's own modules call: `python/portmuster/_api.py` has the functions that users call.
//!
//! From a Python object to a result: a thread of Python takes the items of the user's iterable and pushes
//! each into a [`feed::Feed`], from which a thread of the library takes targets. The library's outcomes
//! return through a [`run::Run`] to the thread that iterates over the [`checks::Checks`].
//!
//! - Invariant: no thread that is attached to the interpreter waits for a lock, a queue or a thread that
//!   needs the interpreter to go on. It detaches first.
//! - Invariant: Rust has no frame below code of the user in the thread that takes the items, so the
//!   interpreter can end this thread when it exits.
//! - Invariant: nothing is written to stdout.

mod account;
mod arrow;
mod certainty;
mod checks;
mod errors;
mod feed;
mod feeder;
mod fork;
mod input;
mod interpreter;
mod item;
mod log;
mod outcome;
mod port_status;
mod program;
mod row_fields;
mod run;
mod settings;
mod start;
mod wake;

/// The extension module `portmuster._native`. It is private: import `portmuster`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::account::PyAccount;
    #[pymodule_export]
    use crate::arrow::ArrowStream;
    #[pymodule_export]
    use crate::certainty::PyCertainty;
    #[pymodule_export]
    use crate::checks::Checks;
    #[pymodule_export]
    use crate::feeder::Feeder;
    #[pymodule_export]
    use crate::fork::after_fork_in_child;
    #[pymodule_export]
    use crate::outcome::{PyOutcome, outcome_from_row};
    #[pymodule_export]
    use crate::program::run_program;
    #[pymodule_export]
    use crate::row_fields::row_schema;
    #[pymodule_export]
    use crate::run::close_all;
    #[pymodule_export]
    use crate::start::{check, check_a_port, check_ports};

    /// The version of the package.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::require_main(module.py())?;
        crate::outcome::add_fields(module)
    }
}
