//! Reading the rows of a run: JSON lines of schema 1, also of later versions that add fields.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
    net::IpAddr,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use thiserror::Error;

use super::{Known, Run};
use crate::{outcome::PortState, sink};

/// Bytes that a line may have. The longest row, with the evidence of a hostile server and all that
/// it offers, is a quarter of it.
pub const LINE_MAX: usize = 1 << 20;

/// Letters of a foreign message that are kept: it may quote what a stranger wrote.
const MESSAGE_MAX: usize = 200;

/// A row that can't be read, and where it stands.
#[derive(Debug, Error)]
#[error("line {line}: {kind}")]
pub struct RowError {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong there.
    pub kind: RowErrorKind,
}

/// Why a row can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RowErrorKind {
    /// The system could not read on.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// The line is longer than [`LINE_MAX`].
    #[error("it is longer than {LINE_MAX} bytes; a row of portmuster is not")]
    TooLong,
    /// The row is of another schema.
    #[error("its schema is {0}, and this program reads {read}; use a newer one", read = sink::SCHEMA)]
    Schema(u64),
    /// It is something else.
    #[error("it is not a row that portmuster check -o jsonl writes: {0}")]
    NoRow(String),
}

/// Reads all rows. Where the last line is cut off it is left out, and the run is
/// [partial](Run::is_partial).
///
/// # Errors
/// What can't be read, and where.
pub fn read_jsonl(mut input: impl BufRead) -> Result<Run, RowError> {
    let mut run = Run::new();
    let mut buffer = Vec::new();
    let mut line = 0;
    loop {
        buffer.clear();
        line += 1;
        let error = |kind| RowError { line, kind };
        let read = input.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut buffer);
        if read.map_err(|failed| error(failed.into()))? == 0 {
            return Ok(run);
        }
        let is_whole = buffer.ends_with(b"\n");
        if !is_whole && buffer.len() == LINE_MAX {
            return Err(error(RowErrorKind::TooLong));
        }
        let row = buffer.trim_ascii();
        if row.is_empty() {
            continue;
        }
        match read_row(row) {
            Ok(row) => row.add_to(&mut run),
            Err(RowErrorKind::NoRow(_)) if !is_whole && line > 1 => {
                run.set_partial();
                return Ok(run);
            }
            Err(kind) => return Err(error(kind)),
        }
    }
}

/// A row, as far as it is compared.
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
}

/// Bytes that are written in base64.
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

fn read_row(line: &[u8]) -> Result<ReadRow<'_>, RowErrorKind> {
    let row: Result<ReadRow<'_>, _> = serde_json::from_slice(line);
    // Another schema may have anything in its fields.
    let schema = match &row {
        Ok(row) => Some(row.schema.into()),
        Err(_) => serde_json::from_slice(line).ok().map(|AnySchema { schema }| schema),
    };
    match schema {
        Some(other) if other != u64::from(sink::SCHEMA) => Err(RowErrorKind::Schema(other)),
        _ => row.map_err(|error| {
            let message = error.to_string();
            // It counts lines of its own.
            let message = message.split(" at line ").next().unwrap_or_default();
            RowErrorKind::NoRow(message.chars().take(MESSAGE_MAX).collect())
        }),
    }
}

impl ReadRow<'_> {
    fn add_to(self, run: &mut Run) {
        let banner = match (self.banner, self.banner_base64) {
            (Some(text), _) => text.into_boxed_bytes(),
            (None, Some(Base64(bytes))) => bytes,
            (None, None) => Box::default(),
        };
        let known = Known {
            state: self.state,
            reason: self.reason.into(),
            service: self.service.map(Into::into),
            banner,
            identification: [self.ssh_protocol, self.ssh_software, self.ssh_comment],
            protocol: self.protocol,
            has_offer: self.kex_algorithms.is_some(),
            findings: self.findings.unwrap_or_default().into(),
        };
        run.add(&self.host, self.port, self.address, known);
    }
}
