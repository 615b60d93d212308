//! The file of `--metrics`: the totals of a run in Prometheus' text format.
//!
//! Each metric is a gauge about the last run, because the file is replaced as a whole.

use std::{
    fmt::{Display, Write},
    time::SystemTime,
};

use portmuster::{
    PortState, Service,
    gates::{GateReport, RunTotals},
    outcome::Weakness,
};

use super::run_end::{RunEnd, left};

/// The metric that the file of the next run repeats, if that run does not succeed.
const LAST_SUCCESS: &str = "portmuster_last_success_timestamp_seconds";

/// A text of metrics.
struct Metrics(String);

impl Metrics {
    /// Writes a metric with its samples: the labels, and the value.
    fn add<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'static str)>, V)>,
    ) {
        let Self(text) = self;
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            // The values of labels are names of this program, which need no escaping.
            let labels: Vec<_> =
                labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
            let labels = if labels.is_empty() { String::new() } else { labels.join(",") };
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }

    /// Writes a metric with a single sample; `None`: it has none.
    fn add_one<V: Display>(&mut self, name: &str, help: &str, value: Option<V>) {
        self.add(name, help, value.map(|value| (Vec::new(), value)));
    }
}

/// Describes a run. `before` is the content that the file had before.
pub(super) fn describe(
    totals: &RunTotals,
    report: Option<&GateReport>,
    end: RunEnd,
    before: &str,
) -> String {
    let mut metrics = Metrics(String::new());
    add_run(&mut metrics, totals, end);
    let now = end.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let success =
        if end.is_complete(totals) { Some(format!("{now:.3}")) } else { last_success(before) };
    metrics.add_one(LAST_SUCCESS, "End of the last run that examined every target.", success);
    let finished = Some(format!("{now:.3}"));
    metrics.add_one("portmuster_run_end_timestamp_seconds", "End of the run.", finished);
    add_findings(&mut metrics, totals);
    if let Some(report) = report {
        add_gates(&mut metrics, report);
    }
    metrics.0
}

/// Returns the time of the last success in metrics of an earlier run.
fn last_success(before: &str) -> Option<String> {
    let line =
        before.lines().find_map(|line| line.strip_prefix(LAST_SUCCESS)?.strip_prefix(' '))?;
    line.parse::<f64>().ok().filter(|time| time.is_finite()).map(|time| format!("{time:.3}"))
}

fn add_run(metrics: &mut Metrics, totals: &RunTotals, end: RunEnd) {
    let account = &totals.account;
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    metrics.add("portmuster_build_info", "The version of portmuster.", [(version, 1)]);
    let states = PortState::ALL.map(|state| (state.name(), u128::from(account.state(state))));
    let others = [("excluded", u128::from(account.excluded)), ("left", left(totals))];
    let states = states.into_iter().chain(others);
    metrics.add(
        "portmuster_targets",
        "Targets of the run by state; left are those that it did not reach.",
        states.map(|(name, count)| (vec![("state", name)], count)),
    );
    metrics.add_one(
        "portmuster_run_duration_seconds",
        "Duration of the run, of all its processes if it was resumed.",
        Some(account.elapsed.as_secs_f64()),
    );
    metrics.add_one(
        "portmuster_run_exit_status",
        "Exit status of the program.",
        Some(end.status.code()),
    );
    metrics.add_one(
        "portmuster_run_interrupted",
        "Whether the run was stopped before its end.",
        Some(u8::from(end.is_stopped)),
    );
    metrics.add_one(
        "portmuster_run_faults",
        "How often this machine ran out of a resource during the run.",
        Some(account.faults),
    );
}

fn add_findings(metrics: &mut Metrics, totals: &RunTotals) {
    let account = &totals.account;
    metrics.add(
        "portmuster_open_ports",
        "Open ports by service.",
        Service::ALL.map(|it| (vec![("service", it.name())], account.service(it))),
    );
    metrics.add(
        "portmuster_findings",
        "Open ports by weakness of their ssh server.",
        Weakness::ALL.map(|it| (vec![("finding", it.name())], account.findings(it))),
    );
}

fn add_gates(metrics: &mut Metrics, report: &GateReport) {
    let violated = Some(u8::from(report.is_violated()));
    metrics.add_one("portmuster_gates_violated", "Whether the run fails its gates.", violated);
    let by_item = |count: fn(&portmuster::gates::ItemReport) -> u64| {
        report.items.iter().map(move |item| (vec![("item", item.item.name())], count(item)))
    };
    metrics.add(
        "portmuster_gate_found",
        "Targets on which a forbidden item was found.",
        by_item(|item| item.found.count),
    );
    metrics.add(
        "portmuster_gate_absent",
        "Targets on which a forbidden item is proven absent.",
        by_item(|item| item.absent),
    );
    let inconclusive = report.items.iter().flat_map(|item| {
        let labels = |kind: &'static str| vec![("item", item.item.name()), ("kind", kind)];
        item.inconclusive.iter().map(move |&(kind, count)| (labels(kind.name()), count))
    });
    metrics.add(
        "portmuster_gate_inconclusive",
        "Targets on which a forbidden item may be, by kind.",
        inconclusive,
    );
    let unproven = report.unproven.iter().flatten().map(|kind| {
        let allowed = if kind.is_allowed { "true" } else { "false" };
        (vec![("kind", kind.kind.name()), ("allowed", allowed)], kind.count)
    });
    metrics.add(
        "portmuster_gate_without_verdict",
        "Targets that lack a required verdict, by kind.",
        unproven,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_success_is_that_of_earlier_metrics() {
        let earlier =
            format!("# TYPE {LAST_SUCCESS} gauge\n{LAST_SUCCESS} 1795000000.12\nother 1\n");
        assert_eq!(last_success(&earlier).as_deref(), Some("1795000000.120"));
        for text in
            ["", "other 1\n", &format!("{LAST_SUCCESS} NaN\n"), &format!("{LAST_SUCCESS}_2 1\n")]
        {
            assert_eq!(last_success(text), None, "{text}");
        }
    }
}
