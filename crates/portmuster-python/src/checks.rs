//! The object over which users iterate.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use portmuster::Outcome;
use pyo3::{
    exceptions::{PyRuntimeError, PyStopAsyncIteration},
    intern,
    prelude::*,
};

use crate::{
    account::PyAccount,
    arrow::ArrowStream,
    certainty::PyCertainty,
    log,
    outcome::PyOutcome,
    port_status::port_status,
    run::{ResultKind, Run, Step},
};

/// The results of a run, as they become known.
///
/// Iterate over it with ``for`` or ``async for``. Every target has one result, in any order. A
/// consumer that stops taking results stops the run, because its queues are bounded.
///
/// Use it as a context manager, or call ``close()``, to end the run early: when that returns, its
/// connections are closed and its threads have ended. This also happens when the object is deleted
/// and when the interpreter exits. Several threads may iterate over one object; each result goes to
/// one of them.
///
/// An exception of the iterable of targets, or a target that is invalid, ends the input. The results
/// of the targets before it come first; then the iteration raises the exception.
#[pyclass(frozen, weakref, generic, module = "portmuster")]
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) run: Arc<Run>,
    kind: ResultKind,
    is_logged: AtomicBool,
}

impl Checks {
    /// Takes a run whose results are of this kind.
    pub(crate) fn new(run: Arc<Run>, kind: ResultKind) -> Self {
        Self { run, kind, is_logged: AtomicBool::new(false) }
    }

    fn object<'py>(&self, py: Python<'py>, outcome: Outcome) -> PyResult<Bound<'py, PyAny>> {
        match self.kind {
            ResultKind::PortStatus => port_status(py, &outcome),
            ResultKind::Outcome => Bound::new(py, PyOutcome::from(outcome)).map(Bound::into_any),
        }
    }

    /// # Errors
    /// The exception of the user's iterable, once.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(error) = self.run.take_input_error() {
            return Err(error);
        }
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            log::ended(py, &self.run.sums().account);
        }
        Ok(())
    }
}

#[pymethods]
impl Checks {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.run.home.require()?;
        loop {
            let step = match self.run.ready() {
                Step::Pending => py.detach(|| self.run.wait()),
                step => step,
            };
            match step {
                Step::Outcome(outcome) => return self.object(py, outcome).map(Some),
                Step::Pending => py.check_signals()?,
                Step::Ended => return self.end(py).map(|()| None),
            }
        }
    }

    fn __aiter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = this.py();
        this.get().run.home.require()?;
        py.import(intern!(py, "portmuster._async"))?.call_method1(intern!(py, "Results"), (this,))
    }

    /// Return the next result without waiting, or None if none is known yet.
    ///
    /// Raises ``StopAsyncIteration`` when there are no more. ``async for`` calls it.
    fn _poll<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.run.home.require()?;
        let step = match self.run.ready() {
            Step::Pending => py.detach(|| self.run.poll()),
            step => step,
        };
        match step {
            Step::Outcome(outcome) => self.object(py, outcome).map(Some),
            Step::Pending => Ok(None),
            Step::Ended => self.end(py).and(Err(PyStopAsyncIteration::new_err(()))),
        }
    }

    /// Return the descriptor that becomes readable when ``_poll`` has more to return.
    fn _wake_descriptor(&self) -> PyResult<i32> {
        self.run.home.require()?;
        Ok(self.run.wake_descriptor()?)
    }

    fn __enter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }

    fn __aenter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = this.py();
        py.import(intern!(py, "portmuster._async"))?.call_method1(intern!(py, "enter"), (this,))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__<'py>(
        this: Bound<'py, Self>,
        _exception: &Bound<'py, pyo3::types::PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        py.import(intern!(py, "portmuster._async"))?.call_method1(intern!(py, "close"), (this,))
    }

    /// End the run and discard the results that were not taken.
    ///
    /// When it returns, all connections of the run are closed and its threads have ended. The
    /// exception is a thread that is blocked in the iterable of targets: it ends when that returns.
    /// Closing twice does nothing.
    fn close(&self, py: Python<'_>) {
        self.run.close(py);
    }

    /// The sums over the run so far; complete once the iteration has ended.
    ///
    /// They may count results that were not returned yet.
    #[getter]
    fn account(&self) -> PyAccount {
        PyAccount::from(&self.run.sums().account)
    }

    /// How certain it is that silent targets would not answer, or None.
    ///
    /// It is complete once the iteration has ended, and None unless the run estimates it: see
    /// ``max_missed`` of ``check``.
    #[getter]
    fn certainty(&self) -> Option<PyCertainty> {
        self.run.sums().certainty.map(PyCertainty)
    }

    /// Return the results that were not taken yet as a stream of Arrow record batches.
    ///
    /// The stream implements the Arrow ``PyCapsule`` interface: pyarrow, polars, pandas and duckdb read
    /// it, and no object of Python is created for each result. It can be read once.
    fn arrow(&self) -> PyResult<ArrowStream> {
        self.run.home.require()?;
        Ok(ArrowStream::new(Arc::clone(&self.run), self.kind))
    }

    fn __repr__(&self) -> String {
        let account = self.run.sums().account;
        format!("<portmuster.Checks: {} of {} targets done>", account.settled(), account.targets)
    }

    #[expect(clippy::unused_self, reason = "Python calls it on an object")]
    fn __reduce__(&self) -> PyResult<()> {
        let why = "a run can't be pickled: its threads are in this process; pickle its results";
        Err(PyRuntimeError::new_err(why))
    }
}
