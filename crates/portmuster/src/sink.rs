//! Sinks: writers of outcomes, one for each output format.
//!
//! A [`Sink`] receives outcomes as they complete, in any order, and [`Sink::finish`] once. Sinks of
//! rows write to any [`io::Write`](std::io::Write): a file, a pipe, a terminal or a vector.
//!
//! ```no_run
//! use std::{fs::File, io::BufWriter, time::SystemTime};
//!
//! use portmuster::sink::{Ending, Jsonl, Sink};
//!
//! let mut sink = Jsonl::new(BufWriter::new(File::create("rows.jsonl")?));
//! let mut outcomes = portmuster::check_ports([("127.0.0.1", 22), ("localhost", 23)]);
//! for outcome in &mut outcomes {
//!     sink.write(&outcome)?;
//! }
//! sink.finish(&Ending::new(outcomes.account(), 2, SystemTime::now()))?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Resuming
//! A [`ResumableSink`] writes to a [`ResumableOutput`], such as a file.
//! [`checkpoint`](ResumableSink::checkpoint) returns a [`ResumePoint`], which can be serialized, and
//! from which a later process resumes the output. The rows that were written after it are removed.
//!
//! ```
//! # use std::{fs::File, io::BufWriter};
//! use portmuster::sink::{Jsonl, ResumableSink, Sink};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("rows.jsonl");
//! # let outcome = portmuster::check_a_port("127.0.0.1", 0);
//! let mut sink = Jsonl::new(BufWriter::new(File::create(&path)?));
//! sink.write(&outcome)?;
//! let resume_point = sink.checkpoint()?;
//! sink.get_ref().get_ref().sync_data()?;
//! sink.write(&outcome)?;
//! drop(sink);
//!
//! // A later process:
//! let file = File::options().write(true).open(&path)?;
//! let mut sink = Jsonl::resume(BufWriter::new(file), resume_point)?;
//! sink.write(&outcome)?;
//! sink.flush()?;
//! assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 2);
//! # Ok::<(), std::io::Error>(())
//! ```

mod columns;
mod csv;
mod first_error;
mod fit;
mod host_key_row;
mod interface;
mod json;
mod jsonl;
#[cfg(feature = "host-keys")]
mod known_hosts;
mod list;
mod resumable;
mod row;
mod row_schema;
mod row_text;
#[cfg(test)]
pub(crate) mod samples;
mod sarif;
mod short_text;
mod sort;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
mod text;
mod timestamp;
mod xml;

pub use csv::Csv;
pub(crate) use fit::{columns, describe, pad, shorten_target};
pub use fit::{shorten, wrap};
pub use host_key_row::{CertificateRow, HostKeyRow};
pub use interface::{Beginning, Ending, ResumableSink, ResumePoint, Sink};
pub(crate) use json::push_json_line;
pub use jsonl::Jsonl;
#[cfg(feature = "host-keys")]
pub use known_hosts::KnownHosts;
pub use list::List;
pub use resumable::ResumableOutput;
pub use row::{EvidenceRow, PartRow, Row, SCHEMA};
pub use row_schema::{row_fields, row_schema};
pub use row_text::RowText;
pub use sarif::{Sarif, SarifRules};
pub use short_text::ShortText;
#[cfg(all(test, feature = "sqlite"))]
pub(crate) use sqlite::tests::scratch;
#[cfg(feature = "sqlite")]
pub use sqlite::{DatabaseError, DatabaseErrorKind, PreparedRun, Sqlite};
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{DatabaseErrorRepr, connection::open_read_only, inspect, schema};
pub use table::{HostTable, Paint, SortedTable, Table, TableOrder};
pub use text::{escape, escape_line};
pub use xml::{Xml, XmlFile, group_hosts};
#[cfg(feature = "sqlite")]
pub(crate) use {columns::COLUMNS, text::unescape};
