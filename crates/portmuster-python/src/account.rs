//! The sums over a run, for Python.

use std::collections::BTreeMap;

use portmuster::{Account, PortState, Service, outcome::Weakness};
use pyo3::{prelude::*, types::PyDict};
use pythonize::pythonize;
use serde::Serialize;

/// The sums over a run.
///
/// ``targets`` is the sum of ``open``, ``closed``, ``filtered``, ``unresolved``, ``unchecked``,
/// ``excluded`` and ``left``, unless checks are still running.
#[pyclass(frozen, get_all, eq, module = "portmuster", name = "Account")]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PyAccount {
    /// How many targets the run has taken so far.
    targets: u64,
    /// How many have accepted a connection.
    open: u64,
    /// How many have refused it.
    closed: u64,
    /// How many stayed silent, or were refused by something in between.
    filtered: u64,
    /// How many have a name that has no address.
    unresolved: u64,
    /// How many could not be checked from this machine.
    unchecked: u64,
    /// How many are excluded, and were not connected to.
    excluded: u64,
    /// How many were taken and have no outcome. After the end: those of a run that was closed.
    left: u64,
    /// The number of open ports by service; only those that were found.
    services: BTreeMap<&'static str, u64>,
    /// The number of open ports by weakness of their ssh server; only those that were found.
    findings: BTreeMap<&'static str, u64>,
    /// How many open ports only a retry has found. Many mean that the rate is too high.
    found_on_retry: u64,
    /// The number of connection requests (SYN packets) to endpoints that have answered one.
    syns: u64,
    /// How many of these were lost on the way, in either direction, or answered late.
    syns_lost: u64,
    /// How often this machine lacked a resource. Such attempts are repeated.
    faults: u64,
    /// The duration of the run so far, in seconds.
    elapsed: f64,
}

impl From<&Account> for PyAccount {
    fn from(account: &Account) -> Self {
        let found = |count: &(&str, u64)| count.1 > 0;
        Self {
            targets: account.targets,
            open: account.state(PortState::Open),
            closed: account.state(PortState::Closed),
            filtered: account.state(PortState::Filtered),
            unresolved: account.state(PortState::Unresolved),
            unchecked: account.state(PortState::Unchecked),
            excluded: account.excluded,
            left: account.left(),
            services: Service::ALL
                .map(|it| (it.name(), account.service(it)))
                .into_iter()
                .filter(found)
                .collect(),
            findings: Weakness::ALL
                .map(|it| (it.name(), account.findings(it)))
                .into_iter()
                .filter(found)
                .collect(),
            found_on_retry: account.found_on_retry,
            syns: account.syns,
            syns_lost: account.syns_lost,
            faults: account.faults,
            elapsed: account.elapsed.as_secs_f64(),
        }
    }
}

#[pymethods]
impl PyAccount {
    /// Return the sums as a dictionary.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(pythonize(py, self)?.cast_into()?)
    }

    fn __repr__(&self) -> String {
        let Self { targets, open, closed, filtered, unresolved, unchecked, excluded, left, .. } =
            self;
        format!(
            "Account(targets={targets}, open={open}, closed={closed}, filtered={filtered}, \
             unresolved={unresolved}, unchecked={unchecked}, excluded={excluded}, left={left})"
        )
    }
}
