//! What a report says, as plain data: the page, the Markdown and the JSON show the same.

use serde::Serialize;

use crate::{
    collect::Collector,
    facts::{Facts, GatesRecord, RunRecord},
    map::SubnetMap,
    text::grouped,
};

mod actions;
mod changes;
mod host_keys;
mod latency;
mod open_target;
mod run;
mod scope;
mod software;
mod tally;
mod verdict;
mod weaknesses;

use self::{actions::Situation, tally::Tallies};
pub(crate) use self::{actions::compare_with_earlier, changes::words as change_words};
pub use self::{
    actions::{Action, NextCommand},
    changes::{ChangeCount, ChangeLine, ChangesSection, TelnetCounts},
    host_keys::{HostKeyLine, HostKeySection},
    latency::{Histogram, LatencySection},
    open_target::OpenTarget,
    run::RunSection,
    scope::Scope,
    software::SoftwareLine,
    tally::{ClassCounts, TallyLine},
    verdict::{Coverage, DoubtCount, Verdict, VerdictKind},
    weaknesses::{PostQuantum, WeaknessLine, WeaknessSection},
};

/// The version of the fields of a report in JSON. A version may gain fields; the meaning of a field never
/// changes.
pub const SCHEMA: u32 = 1;

/// A report on a run.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Always `report`.
    pub r#type: &'static str,
    /// Whether telnet is left, and how sure that is.
    pub verdict: Verdict,
    /// What was checked.
    pub scope: Scope,
    /// The gates of the run; `None`: it had none, or nobody recorded them.
    pub gates: Option<GatesRecord>,
    /// What to do, the most urgent first.
    pub actions: Vec<Action>,
    /// Number of targets by class.
    pub classes: ClassCounts,
    /// What changed since an earlier run; `None`: it was compared with none.
    pub changes: Option<ChangesSection>,
    /// Targets by network, those that need attention most first.
    pub networks: Vec<TallyLine>,
    /// Targets by label, in the same order; empty if no target has one.
    pub labels: Vec<TallyLine>,
    /// Targets by port, those with most open targets first.
    pub ports: Vec<TallyLine>,
    /// Open targets by software or protocol, the most frequent first.
    pub software: Vec<SoftwareLine>,
    /// Weaknesses by network.
    pub weaknesses: WeaknessSection,
    /// The host keys of ssh servers.
    pub host_keys: HostKeySection,
    /// The key exchange of ssh servers.
    pub post_quantum: PostQuantum,
    /// How long servers took.
    pub latency: LatencySection,
    /// How the run was made.
    pub run: RunSection,
    /// The open targets, ordered by host and port.
    pub open: Vec<OpenTarget>,
    #[serde(skip)]
    pub(crate) map: SubnetMap,
    #[serde(skip)]
    pub(crate) rows: Collector,
}

impl Report {
    /// Makes the report on a run.
    #[must_use]
    pub fn new(mut rows: Collector, facts: Facts) -> Self {
        rows.sort();
        let map = SubnetMap::new(&rows);
        let mut record = std::mem::take(&mut rows.record);
        record.add(facts.record.clone().unwrap_or_default());
        let tallies = Tallies::new(&rows, map.is_folded());
        let mut verdict = Verdict::new(&rows, &record, &facts);
        verdict.place = tally::place(&tallies.networks);
        if let Some(networks @ 2..) = map.telnet_subnets() {
            verdict.place =
                format!("{} It is spread over {} /24 networks.", verdict.place, grouped(networks));
        }
        let scope = Scope::new(&rows, &tallies.networks, verdict.targets);
        if !verdict.place.is_empty() {
            let parts =
                [std::mem::take(&mut verdict.place), tally::addresses(&rows), scope.answered()];
            parts.join(" ").trim_end().clone_into(&mut verdict.place);
        }
        verdict.certainty.extend(Some(scope.unchecked_ports()).filter(|it| !it.is_empty()));
        let weaknesses =
            WeaknessSection::new(&rows, &facts.weaknesses, &tallies.networks, map.is_folded());
        let changes = facts.changes.as_ref();
        let changes = changes.map(|list| ChangesSection::new(list, &facts.source));
        let mut report = Self {
            schema: SCHEMA,
            r#type: "report",
            verdict,
            scope,
            gates: record.gates.clone(),
            actions: Vec::new(),
            classes: tallies.all,
            changes,
            networks: tallies.networks,
            labels: tallies.labels,
            ports: tallies.ports,
            software: software::lines(&rows),
            weaknesses,
            host_keys: HostKeySection::new(&rows),
            post_quantum: PostQuantum::new(&rows),
            latency: LatencySection::new(&rows),
            run: run_section(&rows, record, facts),
            open: open_target::list(&rows),
            map,
            rows,
        };
        report.actions = actions::list(&Situation {
            verdict: &report.verdict,
            classes: &report.classes,
            changes: report.changes.as_ref(),
            weaknesses: &report.weaknesses,
            open: &report.open,
            run: &report.run,
            has_gates: report.gates.is_some(),
        });
        report
    }

    /// Returns the report as JSON, on several lines.
    ///
    /// # Panics
    /// Never: every key is a string, and every number is finite.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a report is JSON");
        json.push('\n');
        json
    }
}

fn run_section(rows: &Collector, record: RunRecord, facts: Facts) -> RunSection {
    let times = rows.targets.iter().filter_map(|target| target.open);
    let times = times.map(|open| rows.open[open as usize].time).filter(|&time| time > 0);
    let (first, last) = (times.clone().min(), times.max());
    RunSection::new(rows.targets.len() as u64, first.zip(last), record, facts)
}
