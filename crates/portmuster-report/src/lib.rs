//! Reports on a run of portmuster: one offline page, a summary in Markdown, or JSON.
//!
//! A [`Collector`] takes rows as JSON lines, [`Facts`] says what the rows lack, and a [`Report`] is made
//! of both. The crate knows rows and records, and nothing of the engine that wrote them.
//!
//! ```
//! use portmuster_report::{Collector, Facts, Report};
//!
//! let mut rows = Collector::default();
//! rows.add_line(br#"{"schema":1,"host":"10.0.0.5","port":23,"state":"closed","reason":"refused"}"#)?;
//! let report = Report::new(rows, Facts::default());
//! assert_eq!((report.verdict.telnet, report.verdict.proven), (0, 1));
//! assert!(report.to_html().starts_with("<!doctype html>"));
//! # Ok::<(), portmuster_report::RowError>(())
//! ```
//!
//! Invariant: text of servers, names and labels is visible text in every report. In the page it is also
//! escaped as markup, or compressed and later added as text, so it is never parsed as markup or script.

mod class;
mod collect;
mod facts;
mod map;
mod markdown;
mod network;
mod page;
mod report;
mod row;
mod text;
mod texts;

pub use class::{Class, Doubt, classify};
pub use collect::Collector;
pub use facts::{
    AccountRecord, CertaintyRecord, ChangeList, ChangeRecord, Facts, GateRecord, GatesRecord,
    LossRecord, RecordError, ResultRecord, RunRecord, UnprovenRecord, WeaknessMeaning,
};
pub use report::{
    Action, ChangeCount, ChangeLine, ChangesSection, ClassCounts, Coverage, DoubtCount, Histogram,
    HostKeyLine, HostKeySection, LatencySection, NextCommand, OpenTarget, PostQuantum, Report,
    RunSection, SCHEMA, Scope, SoftwareLine, TallyLine, TelnetCounts, Verdict, VerdictKind,
    WeaknessLine, WeaknessSection,
};
pub use row::RowError;

/// Makes rustdoc test the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
