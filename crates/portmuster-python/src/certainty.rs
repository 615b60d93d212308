//! How certain it is that silent targets would not answer, for Python.

use portmuster::outcome::Certainty;
use pyo3::prelude::*;

/// What asking a random sample of the silent targets once more has shown.
///
/// The bound holds with a probability of 95 %, for the network as it was during the run. It says
/// nothing about targets that a firewall always hides.
#[pyclass(frozen, eq, module = "portmuster", name = "Certainty")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PyCertainty(pub(crate) Certainty);

#[pymethods]
impl PyCertainty {
    /// How many targets did not answer at all.
    #[getter]
    fn silent(&self) -> u64 {
        self.0.silent.targets
    }

    /// How many of these were drawn at random and asked once more.
    #[getter]
    fn asked_again(&self) -> u64 {
        self.0.silent.asked_again
    }

    /// How many answered only then.
    #[getter]
    fn answered(&self) -> u64 {
        self.0.silent.answered
    }

    /// How many silent targets at most would answer one more attempt, or None if no bound can be stated.
    #[getter]
    fn missed_max(&self) -> Option<u64> {
        self.0.missed_max()
    }

    /// The bound as a share of the silent targets, from 0 to 1, or None if no bound can be stated.
    #[getter]
    fn missed_share(&self) -> Option<f64> {
        self.0.missed_share()
    }

    /// Whether targets that had answered have fallen silent: something has begun to block this machine.
    #[getter]
    fn is_blocked(&self) -> bool {
        self.0.is_blocked()
    }

    /// Return whether the bounds, also that on targets which ICMP messages refused, are at most this
    /// share, from 0 to 1.
    fn is_within(&self, share: f64) -> bool {
        self.0.is_within(share)
    }

    fn __repr__(&self) -> String {
        let bound = self.missed_max().map_or_else(|| "None".to_owned(), |bound| bound.to_string());
        format!(
            "Certainty(silent={}, asked_again={}, answered={}, missed_max={bound})",
            self.silent(),
            self.asked_again(),
            self.answered()
        )
    }
}
