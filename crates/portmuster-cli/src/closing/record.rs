//! The JSON object of `--summary`.

use std::{collections::BTreeMap, time::SystemTime};

use jiff::Timestamp;
use portmuster::{
    Account, PortState, Service,
    config::Proxy,
    gates::{GateReport, Inconclusive, ItemReport, RunTotals},
    outcome::{Certainty, Recheck},
};
use serde::Serialize;

use crate::status::Status;

/// The version of the fields. Fields may be added within a version, and never change their meaning.
const SCHEMA: u32 = 1;

/// What a run has found in all.
#[derive(Debug, Serialize)]
pub(crate) struct SummaryRecord {
    schema: u32,
    r#type: &'static str,
    version: &'static str,
    /// The end of the run: RFC 3339, UTC.
    ended: String,
    /// Whether the run was stopped before its end.
    interrupted: bool,
    /// The exit status of the program; `None`: it has not ended yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    account: AccountRecord,
    skipped: SkippedRecord,
    loss: LossRecord,
    /// The number of open ports by service.
    services: BTreeMap<&'static str, u64>,
    gates: Option<GatesRecord>,
    certainty: Option<CertaintyRecord>,
    /// The proxy of the run, without its login; `None`: it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
}

/// `targets` is the sum of the fields from `open` to `left`.
#[derive(Debug, Serialize)]
struct AccountRecord {
    targets: u128,
    open: u64,
    closed: u64,
    filtered: u64,
    unresolved: u64,
    unchecked: u64,
    excluded: u64,
    left: u128,
    elapsed_ms: f64,
}

/// What the input named that is no target of the run.
#[derive(Debug, Serialize)]
struct SkippedRecord {
    duplicates: u128,
    excluded: u128,
    reserved: u128,
    bad_lines: u64,
}

#[derive(Debug, Serialize)]
struct LossRecord {
    found_on_retry: u64,
    slowed: u64,
    faults: u64,
    syns: u64,
    syns_lost: u64,
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct GatesRecord {
    violated: bool,
    input_size: u128,
    left: u128,
    cut_short: bool,
    has_answers: bool,
    /// Whether `--max-missed` was required and is not proven.
    max_missed_exceeded: bool,
    items: Vec<ItemRecord>,
    /// `None`: no verdict is required.
    unproven: Option<Vec<UnprovenRecord>>,
}

/// A forbidden item.
#[derive(Debug, Serialize)]
struct ItemRecord {
    item: &'static str,
    found: u64,
    absent: u64,
    inconclusive: BTreeMap<&'static str, u128>,
}

/// The targets of one kind that lack a verdict.
#[derive(Debug, Serialize)]
struct UnprovenRecord {
    kind: &'static str,
    count: u128,
    allowed: bool,
}

#[derive(Debug, Serialize)]
struct CertaintyRecord {
    silent: u64,
    asked_again: u64,
    failed: u64,
    answered: u64,
    bound: Option<f64>,
    bound_count: Option<u64>,
    confidence: f64,
    blocked: bool,
    controls: u64,
    silent_controls: u64,
    icmp_refused: RefusedRecord,
}

/// The targets that ICMP messages refused.
#[derive(Debug, Serialize)]
struct RefusedRecord {
    targets: u64,
    asked_again: u64,
    failed: u64,
    answered: u64,
    bound: Option<f64>,
    bound_count: Option<u64>,
}

impl SummaryRecord {
    /// Describes a run with these totals that ended at `time`. `interrupted`: it was stopped before.
    /// `status` is that of the program; `None`: it has not ended yet.
    pub(crate) fn new(
        totals: &RunTotals,
        report: Option<&GateReport>,
        time: SystemTime,
        interrupted: bool,
        status: Option<Status>,
    ) -> Self {
        let account = &totals.account;
        let Account { found_on_retry, slowed, faults, syns, syns_lost, .. } = *account;
        let skipped = &totals.skipped;
        Self {
            schema: SCHEMA,
            r#type: "summary",
            version: env!("CARGO_PKG_VERSION"),
            ended: rfc_3339(time),
            interrupted,
            status: status.map(Status::code),
            account: AccountRecord::of(totals),
            skipped: SkippedRecord {
                duplicates: skipped.duplicates,
                excluded: skipped.excluded,
                reserved: skipped.reserved,
                bad_lines: totals.bad_lines,
            },
            loss: LossRecord { found_on_retry, slowed, faults, syns, syns_lost },
            services: Service::ALL.map(|it| (it.name(), account.service(it))).into(),
            gates: report.map(GatesRecord::of),
            certainty: totals.certainty.as_ref().map(CertaintyRecord::of),
            proxy: None,
        }
    }

    /// Sets the proxy of the run.
    pub(crate) fn through(self, proxy: Option<&Proxy>) -> Self {
        Self { proxy: proxy.map(ToString::to_string), ..self }
    }
}

impl AccountRecord {
    fn of(totals: &RunTotals) -> Self {
        let account = &totals.account;
        let [open, closed, filtered, unresolved, unchecked] =
            PortState::ALL.map(|state| account.state(state));
        let ended = u128::from(account.settled()) + u128::from(account.excluded);
        Self {
            targets: totals.targets,
            open,
            closed,
            filtered,
            unresolved,
            unchecked,
            excluded: account.excluded,
            left: totals.targets.saturating_sub(ended),
            elapsed_ms: (account.elapsed.as_secs_f64() * 1e6).round() / 1e3,
        }
    }
}

impl GatesRecord {
    fn of(report: &GateReport) -> Self {
        let unproven = report.unproven.as_ref().map(|kinds| {
            let record = |kind: &portmuster::gates::MissingVerdicts| UnprovenRecord {
                kind: kind.kind.name(),
                count: kind.count,
                allowed: kind.is_allowed,
            };
            kinds.iter().map(record).collect()
        });
        Self {
            violated: report.is_violated(),
            input_size: report.input_size,
            left: report.left,
            cut_short: report.is_cut_short,
            has_answers: report.has_answers,
            max_missed_exceeded: report.exceeded_max_missed.is_some(),
            items: report.items.iter().map(ItemRecord::of).collect(),
            unproven,
        }
    }
}

impl ItemRecord {
    fn of(report: &ItemReport) -> Self {
        let by_name = |&(kind, count): &(Inconclusive, u128)| (kind.name(), count);
        Self {
            item: report.item.name(),
            found: report.found.count,
            absent: report.absent,
            inconclusive: report.inconclusive.iter().map(by_name).collect(),
        }
    }
}

impl CertaintyRecord {
    fn of(certainty: &Certainty) -> Self {
        let Certainty { silent, refused, controls, silent_controls, .. } = certainty;
        let Recheck { targets, asked_again, failed, answered, .. } = *refused;
        Self {
            silent: silent.targets,
            asked_again: silent.asked_again,
            failed: silent.failed,
            answered: silent.answered,
            bound: certainty.missed_share(),
            bound_count: certainty.missed_max(),
            confidence: Certainty::CONFIDENCE,
            blocked: certainty.is_blocked(),
            controls: *controls,
            silent_controls: *silent_controls,
            icmp_refused: RefusedRecord {
                targets,
                asked_again,
                failed,
                answered,
                bound: certainty.refused_missed_share(),
                bound_count: certainty.refused_missed_max(),
            },
        }
    }
}

fn rfc_3339(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}
