//! Sinks: writers of outcomes, one for each output format.
//!
//! A [`Sink`] receives outcomes as they complete, in any order, and [`Sink::finish`] once. Most sinks
//! write to a [`SeekableOutput`]: a file, a pipe or a terminal.
//!
//! [`Sink::checkpoint`] returns a [`ResumePoint`], from which a later process can resume the output.
//! The caller first [truncates](SeekableOutput::truncate) files of lines to that point; [`Xml`] and
//! databases remove what was written later themselves.

mod columns;
mod csv;
#[cfg(test)]
mod documented;
mod interface;
mod json;
mod jsonl;
mod row;
#[cfg(test)]
pub(crate) mod samples;
mod seekable;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
mod text;
mod xml;

pub use csv::Csv;
pub use interface::{Beginning, Ending, ResumePoint, Sink};
pub(crate) use json::push_json_line;
pub use jsonl::Jsonl;
pub use row::{EvidenceRow, PartRow, Row, RowText, SCHEMA};
pub use seekable::SeekableOutput;
#[cfg(all(test, feature = "sqlite"))]
pub(crate) use sqlite::tests::scratch;
#[cfg(feature = "sqlite")]
pub use sqlite::{DatabaseError, PreparedRun, Sqlite};
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{connection::open_read_only, schema};
pub use table::{Paint, Table};
#[cfg(feature = "sqlite")]
pub(crate) use text::unescape;
pub use text::{escape, escape_line};
pub use xml::Xml;
