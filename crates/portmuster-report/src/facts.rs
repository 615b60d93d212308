//! What a report knows besides the rows: how the run was made, what it counted, and what changed.
//!
//! The records are read from JSON. Unknown fields are ignored, and missing ones are facts that nobody
//! recorded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything about a run that its rows lack. The default knows nothing.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Facts {
    /// The name of the run, as the user gave it.
    pub source: String,
    /// Whether the rows are known to be incomplete: the run was killed, or is still going on.
    pub is_partial: bool,
    /// How the run was made, and what it counted; `None`: unknown.
    pub record: Option<RunRecord>,
    /// What changed since an earlier run; `None`: it was compared with none.
    pub changes: Option<ChangeList>,
    /// The names of weaknesses with their reasons, in the order in which they are listed.
    pub weaknesses: Vec<WeaknessMeaning>,
    /// The version of the program that makes the report.
    pub version: String,
    /// The time of the report: RFC 3339, UTC; empty if unknown.
    pub time: String,
}

/// The name of a weakness, and why it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeaknessMeaning {
    /// The name in rows.
    pub name: String,
    /// Why it is a weakness.
    pub why: String,
}

impl WeaknessMeaning {
    /// Creates the entry of one weakness.
    pub fn new(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), why: why.into() }
    }
}

/// How a run was made, and what it counted. It has the fields of `portmuster check --summary json` and of
/// the table `runs` of a database.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunRecord {
    /// The start: RFC 3339, UTC.
    pub started: Option<String>,
    /// The end: RFC 3339, UTC.
    pub ended: Option<String>,
    /// The version of the program.
    pub version: Option<String>,
    /// The command line.
    pub arguments: Option<String>,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
    /// The exit status of the program.
    pub status: Option<u8>,
    /// The sum over all targets.
    pub account: Option<AccountRecord>,
    /// What got lost on the way.
    pub loss: Option<LossRecord>,
    /// What asking silent targets again has shown.
    pub certainty: Option<CertaintyRecord>,
    /// The gates of the run.
    pub gates: Option<GatesRecord>,
}

/// The number of targets by state. `targets` is the sum of the fields from `open` to `left`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the states have these names in every format")]
#[non_exhaustive]
pub struct AccountRecord {
    pub targets: u64,
    pub open: u64,
    pub closed: u64,
    pub filtered: u64,
    pub unresolved: u64,
    pub unchecked: u64,
    pub excluded: u64,
    pub left: u64,
    /// How long the run took, in milliseconds.
    pub elapsed_ms: f64,
}

/// What got lost on the way, and what the run did about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LossRecord {
    /// Number of targets that were open only on a retry.
    pub found_on_retry: u64,
    /// How often the run slowed down.
    pub slowed: u64,
    /// How often the machine ran out of a resource.
    pub faults: u64,
    /// Number of SYNs to targets that answered one.
    pub syns: u64,
    /// How many of these got no answer.
    pub syns_lost: u64,
}

/// What asking silent targets again has shown.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CertaintyRecord {
    /// Number of targets that stayed silent.
    pub silent: u64,
    /// How many of them were asked again.
    pub asked_again: u64,
    /// How many of these attempts failed on this machine.
    pub failed: u64,
    /// How many targets answered only then.
    pub answered: u64,
    /// The largest share of silent targets that would answer one more attempt; `None`: no bound.
    pub bound: Option<f64>,
    /// The same as a number of targets.
    pub bound_count: Option<u64>,
    /// The probability with which the bound holds.
    pub confidence: Option<f64>,
    /// Whether somebody may have begun to block the machine.
    pub blocked: bool,
    /// Number of targets that had answered and were asked again.
    pub controls: u64,
    /// How many of these have fallen silent.
    pub silent_controls: u64,
}

/// The result of the gates of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GatesRecord {
    /// Whether the run fails.
    pub violated: bool,
    /// Whether too many silent targets may have been missed.
    pub max_missed_exceeded: bool,
    /// What was forbidden.
    pub items: Vec<GateRecord>,
    /// The targets without a required verdict; `None`: no verdict is required.
    pub unproven: Option<Vec<UnprovenRecord>>,
}

/// The result of one forbidden item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GateRecord {
    /// The name.
    pub item: String,
    /// Number of targets that have it.
    pub found: u64,
    /// Number of targets that are proven not to have it.
    pub absent: u64,
    /// Number of targets that may have it, by kind.
    pub inconclusive: BTreeMap<String, u64>,
}

/// Targets without a required verdict.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UnprovenRecord {
    /// Why they have none.
    pub kind: String,
    /// Their number.
    pub count: u64,
    /// Whether this kind is allowed.
    pub allowed: bool,
}

/// What changed since an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChangeList {
    /// The name of the earlier run, as the user gave it.
    pub since: String,
    /// When the earlier run began: RFC 3339, UTC; `None`: unknown.
    pub started: Option<String>,
    /// Number of its targets.
    pub targets_before: u64,
    /// Number of targets that were not compared, because a run did not reach or check them.
    pub not_compared: u64,
    /// The changes.
    pub changes: Vec<ChangeRecord>,
}

impl ChangeList {
    /// Creates a list without changes, since the run with this name.
    pub fn since(name: impl Into<String>) -> Self {
        Self { since: name.into(), ..Self::default() }
    }
}

/// A change, as `portmuster diff -o jsonl` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ChangeRecord {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The kinds of change.
    pub changes: Vec<String>,
    /// New weaknesses.
    pub new_findings: Vec<String>,
    /// Weaknesses that have disappeared.
    pub gone_findings: Vec<String>,
    /// The result in the earlier run; `None`: it lacks the target.
    pub old: Option<ResultRecord>,
    /// The result in the later run; `None`: it lacks the target.
    pub new: Option<ResultRecord>,
}

/// The result of a target in one of two runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResultRecord {
    /// The port state.
    pub state: String,
    /// The reason for the state.
    pub reason: String,
    /// The service.
    pub service: Option<String>,
    /// The software of an ssh server.
    pub ssh_software: Option<String>,
    /// The protocol of the service `other`.
    pub protocol: Option<String>,
    /// The greeting, if it is UTF-8.
    pub banner: Option<String>,
}

impl RunRecord {
    /// Adds what another record of the same run says, which takes precedence.
    pub fn add(&mut self, other: Self) {
        *self = Self {
            started: other.started.or(self.started.take()),
            ended: other.ended.or(self.ended.take()),
            version: other.version.or(self.version.take()),
            arguments: other.arguments.or(self.arguments.take()),
            interrupted: other.interrupted || self.interrupted,
            status: other.status.or(self.status),
            account: other.account.or(self.account),
            loss: other.loss.or(self.loss),
            certainty: other.certainty.or(self.certainty),
            gates: other.gates.or(self.gates.take()),
        };
    }

    /// Parses the JSON object that `portmuster check --summary json` writes.
    ///
    /// # Errors
    /// The text is no such object.
    pub fn parse(json: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Kind {
            schema: u64,
            r#type: String,
        }
        let kind: Kind = serde_json::from_slice(json).map_err(RecordError::new)?;
        match (kind.schema, kind.r#type.as_str()) {
            (1, "summary") => serde_json::from_slice(json).map_err(RecordError::new),
            (other, "summary") => Err(RecordError(format!(
                "schema {other} is not supported; this program reads 1: use a newer version"
            ))),
            (_, other) => Err(RecordError(format!("its type is {other:?}"))),
        }
    }
}

/// A text that is no summary of a run.
#[derive(Debug, thiserror::Error)]
#[error("not a summary as portmuster check --summary json=FILE writes it: {0}")]
pub struct RecordError(String);

impl RecordError {
    #[expect(clippy::needless_pass_by_value, reason = "it is an argument of map_err")]
    fn new(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_of_another_version_or_kind_is_refused() {
        let error =
            |json: &str| RunRecord::parse(json.as_bytes()).expect_err("no summary").to_string();
        assert!(error(r#"{"schema":2,"type":"summary"}"#).contains("schema 2 is not supported"));
        assert!(error(r#"{"schema":1,"type":"row"}"#).contains("its type is \"row\""));
        assert!(error("{}").contains("missing field"));
        let json = br#"{"schema":1,"type":"summary","account":{"targets":7},"later":1}"#;
        let record = RunRecord::parse(json).expect("it is a summary");
        assert_eq!(record.account.map(|account| account.targets), Some(7));
    }
}
