//! The outcome of a target, for Python: an object with the fields of a row as attributes.
//!
//! Most objects are only asked for a few attributes, so the values are made when they are first needed.

use std::{
    ffi::{CStr, CString},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use portmuster::{Host, Outcome, Service, sink::Row};
use pyo3::{
    IntoPyObjectExt,
    exceptions::PyValueError,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyCFunction, PyDict, PyTuple},
};
use pythonize::{PythonizeTypes, PythonizeUnnamedMappingAdapter, pythonize, pythonize_custom};
use serde_json::Value;

use crate::{port_status::with_address, row_fields::ROW_FIELDS};

/// The outcome of one target: the fields of a row of ``portmuster check -o jsonl`` as attributes.
///
/// An attribute that does not apply is None. Lists are tuples. ``as_dict()`` returns the row itself.
/// Outcomes are equal if their rows are, and they can be pickled.
#[pyclass(frozen, module = "portmuster", name = "Outcome")]
pub(crate) struct PyOutcome {
    source: RowSource,
    /// The values of the row, once an attribute was read that is not at hand.
    row: PyOnceLock<Py<PyDict>>,
}

/// What the row is made from.
#[derive(Debug)]
enum RowSource {
    Outcome(Outcome),
    /// A row that was pickled.
    Json(Value),
}

/// Attributes are immutable, so lists become tuples.
struct Attributes;

impl PythonizeTypes for Attributes {
    type Map = PyDict;
    type NamedMap = PythonizeUnnamedMappingAdapter<PyDict>;
    type List = PyTuple;
}

impl fmt::Debug for PyOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(formatter)
    }
}

impl From<Outcome> for PyOutcome {
    fn from(outcome: Outcome) -> Self {
        Self { source: RowSource::Outcome(outcome), row: PyOnceLock::new() }
    }
}

impl PyOutcome {
    /// Returns the value of a field; `None` of Python if the row does not have it.
    fn field<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if let RowSource::Outcome(outcome) = &self.source
            && let Some(value) = at_hand(py, outcome, name)
        {
            return value;
        }
        let value = self.row(py)?.get_item(name)?;
        Ok(value.unwrap_or_else(|| py.None().into_bound(py)))
    }

    fn row<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let row = self.row.get_or_try_init(py, || {
            let row = match &self.source {
                RowSource::Outcome(outcome) => {
                    pythonize_custom::<Attributes, _>(py, &Row::from(outcome))
                }
                RowSource::Json(row) => pythonize_custom::<Attributes, _>(py, row),
            };
            PyResult::Ok(row?.cast_into::<PyDict>()?.unbind())
        })?;
        Ok(row.bind(py))
    }

    fn json(&self) -> PyResult<String> {
        let json = match &self.source {
            RowSource::Outcome(outcome) => serde_json::to_string(&Row::from(outcome)),
            RowSource::Json(row) => serde_json::to_string(row),
        };
        json.map_err(|error| PyValueError::new_err(error.to_string()))
    }
}

/// Returns the value of a field that needs no row; `None` for all others.
fn at_hand<'py>(
    py: Python<'py>,
    outcome: &Outcome,
    name: &str,
) -> Option<PyResult<Bound<'py, PyAny>>> {
    let target = &outcome.target;
    Some(match name {
        "host" => match &target.host {
            Host::Name(host) => (&**host).into_bound_py_any(py),
            Host::Address(address) => with_address(*address, |host| host.into_bound_py_any(py)),
        },
        "port" => target.port.into_bound_py_any(py),
        "open" => outcome.is_open().into_bound_py_any(py),
        "state" => outcome.verdict.state.name().into_bound_py_any(py),
        "service" => outcome.verdict.service.map(Service::name).into_bound_py_any(py),
        "label" => target.label.as_deref().into_bound_py_any(py),
        _ => return None,
    })
}

#[pymethods]
impl PyOutcome {
    /// Whether a connection was accepted.
    #[getter]
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        match &self.source {
            RowSource::Outcome(outcome) => Ok(outcome.is_open()),
            RowSource::Json(_) => self.field(py, "open")?.extract(),
        }
    }

    /// Return the row as a dictionary, with lists as lists. Fields that do not apply are absent.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let row = match &self.source {
            RowSource::Outcome(outcome) => pythonize(py, &Row::from(outcome)),
            RowSource::Json(row) => pythonize(py, row),
        };
        Ok(row?.cast_into()?)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let is_equal = self.row(py)?.eq(other.get().row(py)?)?;
        is_equal.into_py_any(py)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        let key = |name| PyResult::Ok(self.field(py, name)?.str()?.to_string());
        let mut hasher = DefaultHasher::new();
        (key("host")?, key("port")?, key("time")?).hash(&mut hasher);
        Ok(hasher.finish())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = |name| PyResult::Ok(self.field(py, name)?.repr()?.to_string());
        let (host, port, state) = (value("host")?, value("port")?, value("state")?);
        let service = value("service")?;
        Ok(format!("Outcome(host={host}, port={port}, state={state}, service={service})"))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let native = py.import(intern!(py, "portmuster._native"))?;
        Ok((native.getattr(intern!(py, "outcome_from_row"))?, (self.json()?,)))
    }
}

/// Return the Outcome of a row in JSON. Pickle calls it.
#[pyfunction]
pub(crate) fn outcome_from_row(row: &str) -> PyResult<PyOutcome> {
    let row =
        serde_json::from_str(row).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyOutcome { source: RowSource::Json(row), row: PyOnceLock::new() })
}

/// Adds a property to the class `Outcome` for each field of a row.
///
/// # Errors
/// Python is short of memory.
pub(crate) fn add_fields(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let class = py.get_type::<PyOutcome>();
    let property = py.import("builtins")?.getattr("property")?;
    for field in ROW_FIELDS.iter() {
        let name = field.name;
        let get = move |arguments: &Bound<'_, PyTuple>,
                        _: Option<&Bound<'_, PyDict>>|
              -> PyResult<Py<PyAny>> {
            let outcome = arguments.get_item(0)?.cast_into::<PyOutcome>()?;
            outcome.get().field(arguments.py(), name).map(Bound::unbind)
        };
        let getter =
            PyCFunction::new_closure(py, Some(c_text(name)), Some(c_text(field.about)), get)?;
        let (setter, deleter) = (py.None(), py.None());
        class.setattr(name, property.call1((getter, setter, deleter, field.about))?)?;
    }
    Ok(())
}

/// Returns a text for Python, which keeps it as long as the process runs.
fn c_text(text: &str) -> &'static CStr {
    Box::leak(CString::new(text).expect("no field has a NUL").into_boxed_c_str())
}
