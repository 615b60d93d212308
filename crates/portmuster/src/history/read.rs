//! Reads the rows of a run: JSON lines of schema 1. Later versions may add fields.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    io::{self, BufRead, Read},
    net::IpAddr,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::error::Category;

use super::{
    run_results::RunResults,
    target_result::{KnownHostKey, TargetResult},
};
use crate::{outcome::PortState, sink};

/// Limit of the length of a line, in bytes. The longest row, with evidence and algorithm lists from a
/// hostile server, is a quarter of it.
pub(super) const LINE_MAX: usize = 1 << 20;

/// A row that cannot be read, with its line.
#[derive(Debug)]
pub struct RowError {
    line: u64,
    repr: RowErrorRepr,
}

impl RowError {
    /// Returns the number of the line, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns why the row cannot be read.
    #[must_use]
    pub fn kind(&self) -> RowErrorKind {
        match self.repr {
            RowErrorRepr::Io(_) => RowErrorKind::Io,
            RowErrorRepr::TooLong => RowErrorKind::TooLong,
            RowErrorRepr::Schema(_) => RowErrorKind::Schema,
            RowErrorRepr::NoRow(_) => RowErrorKind::NoRow,
        }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.repr)
    }
}

impl Error for RowError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.repr.source()
    }
}

/// The kinds of a [`RowError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RowErrorKind {
    /// Reading failed.
    Io,
    /// The line is longer than 1 MiB, four times the longest row.
    TooLong,
    /// The row has another schema.
    Schema,
    /// The line is not a row.
    NoRow,
}

/// The causes of a [`RowError`], with what its text says.
#[derive(Debug, thiserror::Error)]
enum RowErrorRepr {
    #[error("reading failed")]
    Io(#[from] io::Error),
    #[error("longer than {LINE_MAX} bytes, the limit of a row")]
    TooLong,
    #[error("schema {0} is not supported; this program reads {read}: use a newer version", read = sink::SCHEMA)]
    Schema(u64),
    #[error("not a row as the JSON lines sink writes it")]
    NoRow(#[source] Box<dyn Error + Send + Sync>),
}

/// Reads all rows. An incomplete last line is skipped, and makes the run
/// [partial](RunResults::is_partial).
///
/// # Errors
/// The first line that cannot be read.
pub fn read_jsonl(mut input: impl BufRead) -> Result<RunResults, RowError> {
    let mut run = RunResults::new();
    let mut buffer = Vec::new();
    let mut line = 0;
    loop {
        buffer.clear();
        line += 1;
        let error = |repr| RowError { line, repr };
        let read = input.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut buffer);
        if read.map_err(|failed| error(failed.into()))? == 0 {
            return Ok(run);
        }
        let is_whole = buffer.ends_with(b"\n");
        if !is_whole && buffer.len() == LINE_MAX {
            return Err(error(RowErrorRepr::TooLong));
        }
        let row = buffer.trim_ascii();
        if row.is_empty() {
            continue;
        }
        match read_row(row) {
            Ok(row) => row.add_to(&mut run),
            Err(RowErrorRepr::NoRow(_)) if !is_whole && line > 1 => {
                run.set_partial();
                return Ok(run);
            }
            Err(repr) => return Err(error(repr)),
        }
    }
}

/// The fields of a row that are compared.
#[derive(Deserialize)]
struct ReadRow<'a> {
    schema: u32,
    #[serde(borrow)]
    host: Cow<'a, str>,
    port: u16,
    state: PortState,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    address: Option<IpAddr>,
    #[serde(borrow)]
    service: Option<Cow<'a, str>>,
    banner: Option<Box<str>>,
    banner_base64: Option<Base64>,
    ssh_protocol: Option<Box<str>>,
    ssh_software: Option<Box<str>>,
    ssh_comment: Option<Box<str>>,
    kex_algorithms: Option<IgnoredAny>,
    protocol: Option<Box<str>>,
    findings: Option<Vec<Box<str>>>,
    host_keys: Option<Box<[KnownHostKey]>>,
}

/// Bytes that are encoded in base64.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Base64(Box<[u8]>);

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(|bytes| Self(bytes.into()))
    }
}

#[derive(Deserialize)]
struct AnySchema {
    schema: u64,
}

fn read_row(line: &[u8]) -> Result<ReadRow<'_>, RowErrorRepr> {
    let row: Result<ReadRow<'_>, _> = serde_json::from_slice(line);
    // The fields of another schema may have other types.
    let schema = match &row {
        Ok(row) => Some(row.schema.into()),
        Err(_) => serde_json::from_slice(line).ok().map(|AnySchema { schema }| schema),
    };
    match schema {
        Some(other) if other != u64::from(sink::SCHEMA) => Err(RowErrorRepr::Schema(other)),
        _ => row.map_err(|error| RowErrorRepr::NoRow(why_no_row(line, &error).into())),
    }
}

/// Describes the error of a line that is no row, without its text, which is untrusted.
fn why_no_row(line: &[u8], error: &serde_json::Error) -> String {
    if error.classify() != Category::Data || !line.starts_with(b"{") {
        return "it is not a JSON object".to_owned();
    }
    let message = error.to_string();
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(field) => format!("it has no field {field}"),
        None => "the value of a field is invalid".to_owned(),
    }
}

impl ReadRow<'_> {
    fn add_to(self, run: &mut RunResults) {
        let banner = match (self.banner, self.banner_base64) {
            (Some(text), _) => text.into_boxed_bytes(),
            (None, Some(Base64(bytes))) => bytes,
            (None, None) => Box::default(),
        };
        let result = TargetResult {
            state: self.state,
            reason: self.reason.into(),
            service: self.service.map(Into::into),
            banner,
            ssh_protocol: self.ssh_protocol,
            ssh_software: self.ssh_software,
            ssh_comment: self.ssh_comment,
            protocol: self.protocol,
            has_kex_init: self.kex_algorithms.is_some(),
            findings: self.findings.unwrap_or_default().into(),
            host_keys: self.host_keys.unwrap_or_default(),
        };
        run.add_result(&self.host, self.port, self.address, result);
    }
}
