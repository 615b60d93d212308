//! How the run was made.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    facts::{AccountRecord, CertaintyRecord, Facts, LossRecord, RunRecord},
    text::{shorten, visible},
};

/// The most characters of a command line.
const COMMAND_MAX: usize = 2_000;

/// The most characters of a time, a version and the name of a run.
const TEXT_MAX: usize = 200;

/// How the run was made. Texts are empty if they are unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunSection {
    /// The name of the run, as the user gave it.
    pub source: String,
    /// The command line.
    pub command: String,
    /// The start of the run, or the first verdict on an open target: RFC 3339, UTC.
    pub started: String,
    /// The end of the run, or the last verdict on an open target: RFC 3339, UTC.
    pub ended: String,
    /// The version of the program that made the run.
    pub version: String,
    /// Number of targets with a row.
    pub rows: u64,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// The exit status of the run; `None`: unknown.
    pub status: Option<u8>,
    /// The sum over all targets; `None`: unknown.
    pub account: Option<AccountRecord>,
    /// What got lost on the way; `None`: unknown.
    pub loss: Option<LossRecord>,
    /// What asking silent targets again has shown; `None`: it was not measured, or is unknown.
    pub certainty: Option<CertaintyRecord>,
    /// The version of the program that made the report.
    pub report_version: String,
    /// The time of the report.
    pub report_time: String,
}

impl RunSection {
    /// `times` are those of the first and the last verdict on an open target, in milliseconds since 1970.
    pub(super) fn new(
        rows: u64,
        times: Option<(i64, i64)>,
        record: RunRecord,
        facts: Facts,
    ) -> Self {
        let text =
            |text: Option<String>| shorten(&visible(text.unwrap_or_default().as_bytes()), TEXT_MAX);
        let (first, last) = times.unzip();
        let or_time = |known: Option<String>, time: Option<i64>| {
            text(known.or_else(|| Timestamp::from_millisecond(time?).ok().map(|it| it.to_string())))
        };
        let command = record.arguments.unwrap_or_default();
        Self {
            source: text(Some(facts.source)),
            command: shorten(&visible(command.as_bytes()), COMMAND_MAX),
            started: or_time(record.started, first),
            ended: or_time(record.ended, last),
            version: text(record.version),
            rows,
            interrupted: record.interrupted,
            status: record.status,
            account: record.account,
            loss: record.loss,
            certainty: record.certainty,
            report_version: text(Some(facts.version)),
            report_time: text(Some(facts.time)),
        }
    }
}
