//! The fields of a row, with the types of their values.

use std::sync::LazyLock;

use portmuster::sink;
use pyo3::pyfunction;
use serde_json::Value;

/// A field of a row.
#[derive(Debug)]
pub(crate) struct RowField {
    pub(crate) name: &'static str,
    /// What it contains, as a sentence.
    pub(crate) about: &'static str,
    /// The JSON Schema of its values.
    pub(crate) values: Value,
}

/// The fields of a row, in the order of a row.
pub(crate) static ROW_FIELDS: LazyLock<Vec<RowField>> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(&sink::row_schema()).expect("the schema is JSON");
    let field =
        |(name, about)| RowField { name, about, values: schema["properties"][name].clone() };
    sink::row_fields().map(field).collect()
});

/// Return the JSON Schema of a row, which describes the attributes of an Outcome.
#[pyfunction]
pub(crate) fn row_schema() -> String {
    sink::row_schema()
}
