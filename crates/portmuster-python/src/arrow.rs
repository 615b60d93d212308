//! The results of a run as Arrow record batches, through the C stream interface.
//!
//! <https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>

use std::{
    cell::Cell,
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow_array::{
    ArrayRef, RecordBatch, RecordBatchReader,
    builder::{BooleanBuilder, StringBuilder, UInt16Builder},
    ffi::FFI_ArrowSchema,
    ffi_stream::FFI_ArrowArrayStream,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use portmuster::{Outcome, sink::Row};
use pyo3::{
    exceptions::{PyKeyboardInterrupt, PyRuntimeError},
    prelude::*,
    types::PyCapsule,
};
use serde_arrow::ArrayBuilder;
use serde_json::Value;

use crate::{
    port_status::with_host,
    row_fields::ROW_FIELDS,
    run::{ResultKind, Run, Step},
};

/// The most rows of a batch. One also ends when no outcome has become known for a twentieth of a second.
const ROWS_MAX: usize = 16_384;

/// The results of a run as a stream of Arrow record batches, which can be read once.
///
/// Pass it to ``pyarrow.table``, ``polars.DataFrame``, ``pandas.DataFrame.from_arrow`` or duckdb.
#[pyclass(frozen, module = "portmuster")]
#[derive(Debug)]
pub(crate) struct ArrowStream {
    run: Arc<Run>,
    kind: ResultKind,
    is_taken: AtomicBool,
}

impl ArrowStream {
    /// Creates the stream of a run.
    pub(crate) fn new(run: Arc<Run>, kind: ResultKind) -> Self {
        Self { run, kind, is_taken: AtomicBool::new(false) }
    }
}

#[pymethods]
impl ArrowStream {
    /// Return a capsule with an ``ArrowArrayStream``. The requested schema is ignored.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        self.run.home.require()?;
        if self.is_taken.swap(true, Ordering::Relaxed) {
            let why = "reading an Arrow stream again: its results were taken; start another run";
            return Err(PyRuntimeError::new_err(why));
        }
        let batches = Batches::new(Arc::clone(&self.run), self.kind).map_err(refused)?;
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// Return a capsule with the ``ArrowSchema`` of the stream.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(&*schema(self.kind)).map_err(refused)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(format!("making an Arrow stream: {error}"))
}

/// The batches of a stream. Its consumer may call it from any thread, attached to the interpreter or not.
struct Batches {
    run: Arc<Run>,
    schema: SchemaRef,
    columns: ColumnBuilders,
}

/// The columns of the batch that is being filled.
#[expect(clippy::large_enum_variant, reason = "each stream has one")]
enum ColumnBuilders {
    PortStatus { hosts: StringBuilder, ports: UInt16Builder, open: BooleanBuilder },
    Rows(Box<ArrayBuilder>),
}

impl Batches {
    fn new(run: Arc<Run>, kind: ResultKind) -> Result<Self, ArrowError> {
        let schema = schema(kind);
        let columns = match kind {
            ResultKind::PortStatus => ColumnBuilders::PortStatus {
                hosts: StringBuilder::new(),
                ports: UInt16Builder::new(),
                open: BooleanBuilder::new(),
            },
            ResultKind::Outcome => {
                let builder = ArrayBuilder::from_arrow(schema.fields()).map_err(external)?;
                ColumnBuilders::Rows(Box::new(builder))
            }
        };
        Ok(Self { run, schema, columns })
    }

    /// Waits for outcomes and returns a batch; `None` at the end. The caller must be detached.
    fn fill(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let rows = Cell::new(0);
        let mut failed = Ok(());
        let mut write = |outcome: &Outcome| {
            rows.set(rows.get() + 1);
            failed = self.columns.push(outcome);
            failed.is_ok() && rows.get() < ROWS_MAX
        };
        loop {
            match self.run.drain(&mut write) {
                Step::Pending if rows.get() == 0 => Python::attach(interrupted)?,
                Step::Outcome(_) | Step::Pending | Step::Ended => break,
            }
        }
        failed?;
        if rows.get() == 0 {
            return match self.run.take_input_error() {
                Some(error) => Err(external(error)),
                None => Ok(None),
            };
        }
        let columns = self.columns.finish()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some)
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The consumer may hold the interpreter, which the thread that takes the targets needs.
        Python::try_attach(|py| py.detach(|| self.fill()))?.transpose()
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl ColumnBuilders {
    fn push(&mut self, outcome: &Outcome) -> Result<(), ArrowError> {
        match self {
            Self::PortStatus { hosts, ports, open } => {
                with_host(outcome, |host| hosts.append_value(host));
                ports.append_value(outcome.target.port);
                open.append_value(outcome.is_open());
                Ok(())
            }
            Self::Rows(rows) => rows.push(Row::from(outcome)).map_err(external),
        }
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        match self {
            Self::PortStatus { hosts, ports, open } => Ok(vec![
                Arc::new(hosts.finish()),
                Arc::new(ports.finish()),
                Arc::new(open.finish()),
            ]),
            Self::Rows(rows) => rows.to_arrow().map_err(external),
        }
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// Looks for signals. The consumer raises an exception of its own; the interpreter raises
/// `KeyboardInterrupt` in the code that follows.
fn interrupted(py: Python<'_>) -> Result<(), ArrowError> {
    py.check_signals().map_err(|error| {
        if !error.is_instance_of::<PyKeyboardInterrupt>(py) {
            return external(error);
        }
        let interrupt = py.import("_thread").and_then(|it| it.call_method0("interrupt_main"));
        if let Err(error) = interrupt {
            error.write_unraisable(py, None);
        }
        ArrowError::IoError("interrupted".to_owned(), ErrorKind::Interrupted.into())
    })
}

/// Returns the schema of the batches.
fn schema(kind: ResultKind) -> SchemaRef {
    let fields: Fields = match kind {
        ResultKind::PortStatus => [
            Field::new("ip_or_name", DataType::Utf8, false),
            Field::new("port", DataType::UInt16, false),
            Field::new("open", DataType::Boolean, false),
        ]
        .into_iter()
        .collect(),
        ResultKind::Outcome => {
            ROW_FIELDS.iter().map(|field| column(field.name, &field.values)).collect()
        }
    };
    Arc::new(Schema::new(fields))
}

/// Returns the column of values with this JSON Schema.
fn column(name: &str, values: &Value) -> FieldRef {
    let data_type = match values["type"].as_str() {
        Some("boolean") => DataType::Boolean,
        Some("integer") if name == "port" => DataType::UInt16,
        Some("integer") => DataType::UInt64,
        Some("number") => DataType::Float64,
        Some("array") => DataType::List(column("item", &values["items"])),
        Some("object") => DataType::Struct(members(values)),
        Some("string") if values["format"] == "date-time" => {
            DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
        }
        // The version of the row's fields.
        _ if values["const"].is_u64() => DataType::UInt64,
        _ => DataType::Utf8,
    };
    Arc::new(Field::new(name, data_type, true))
}

fn members(object: &Value) -> Fields {
    let properties = object["properties"].as_object();
    let properties = properties.into_iter().flatten();
    properties.map(|(name, values)| column(name, values)).collect()
}
