//! What to do about a run, the most urgent first.

use serde::Serialize;

use super::{
    changes::ChangesSection, open_target::OpenTarget, run::RunSection, tally::ClassCounts,
    verdict::Verdict, weaknesses::WeaknessSection,
};
use crate::{
    class::{Class, Doubt},
    text::{counted, grouped},
};

mod commands;

pub use self::commands::NextCommand;
pub(crate) use self::commands::compare_with_earlier;

/// The most targets that an action names.
const NAMED_MAX: usize = 5;

/// The most actions before the one that checks again.
const ACTIONS_MAX: usize = 6;

/// The most weaknesses that an action names.
const WEAKNESSES_MAX: usize = 3;

/// Weaknesses that let somebody on the path read or change a session today; the other ones take more.
const SEVERE: [&str; 5] = ["ssh-1", "no-encryption", "no-integrity", "des", "rc4"];

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Action {
    /// What to do: a sentence.
    pub text: String,
    /// Why: sentences; may be empty.
    pub why: String,
    /// The first targets that it is about, at most five.
    pub targets: Vec<String>,
    /// Number of targets that it is about.
    pub count: u64,
    /// The class or weakness of these targets, by which the table can be filtered; empty if it has none of
    /// them.
    pub filter: String,
    /// Commands to run, in this order; may be empty.
    pub commands: Vec<NextCommand>,
}

/// What actions follow from.
pub(super) struct Situation<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) classes: &'a ClassCounts,
    pub(super) changes: Option<&'a ChangesSection>,
    pub(super) weaknesses: &'a WeaknessSection,
    pub(super) open: &'a [OpenTarget],
    pub(super) run: &'a RunSection,
    pub(super) has_gates: bool,
}

/// Returns what to do.
pub(super) fn list(situation: &Situation<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    actions.extend(telnet(situation));
    actions.extend(likely(situation));
    actions.extend(severe(situation));
    actions.extend(unidentified(situation));
    actions.extend(coverage(situation));
    actions.extend(weak(situation));
    actions.truncate(ACTIONS_MAX);
    actions.extend(check_again(situation, &actions));
    actions
}

/// Returns an action about the open targets of a class.
fn about(situation: &Situation<'_>, class: Class, text: String, why: String) -> Option<Action> {
    let count = situation.classes.of(class);
    let of_class = situation.open.iter().filter(|target| target.class == class.name());
    let targets = of_class.take(NAMED_MAX).map(|target| target.target.clone()).collect();
    let filter = class.name().to_owned();
    (count > 0).then(|| Action { text, why, targets, count, filter, ..Action::default() })
}

fn telnet(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::Telnet), "target", "targets");
    let text = format!("Turn off telnet on {count}.");
    let why = match situation.changes.map(|changes| (changes.began.telnet, &changes.since)) {
        Some((new @ 1.., since)) => format!(
            "It sends passwords in clear text. It is new on {} since {since}.",
            counted(new, "target", "targets")
        ),
        _ => "It sends passwords in clear text.".to_owned(),
    };
    about(situation, Class::Telnet, text, why)
}

fn likely(situation: &Situation<'_>) -> Option<Action> {
    let likely = situation.classes.of(Class::Likely);
    let count = counted(likely, "target", "targets");
    let verb = if likely == 1 { "looks" } else { "look" };
    let text = format!("Look at {count} that {verb} like telnet.");
    let why = "A login prompt or a menu suggests telnet; no telnet command proves it.".to_owned();
    about(situation, Class::Likely, text, why)
}

fn unidentified(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::Unproven), "open port", "open ports");
    let text = format!("Find out what runs on {count}.");
    let why = "Their bytes identify no service, so telnet may run there.".to_owned();
    about(situation, Class::Unproven, text, why)
}

/// Returns an action about servers whose sessions can be read or changed.
fn severe(situation: &Situation<'_>) -> Option<Action> {
    let is_severe = |target: &&OpenTarget| {
        target.findings.iter().any(|finding| SEVERE.contains(&finding.as_str()))
    };
    let servers: Vec<_> = situation.open.iter().filter(is_severe).collect();
    let first = servers.first()?.findings.iter().find(|it| SEVERE.contains(&it.as_str()))?;
    let count = counted(servers.len() as u64, "ssh server", "ssh servers");
    Some(Action {
        text: format!("Reconfigure or replace {count} with broken protocols or ciphers."),
        why: "Somebody on the path may read or change their sessions. They are also among the servers \
              with weak algorithms."
            .to_owned(),
        targets: servers.iter().take(NAMED_MAX).map(|target| target.target.clone()).collect(),
        count: servers.len() as u64,
        filter: first.clone(),
        ..Action::default()
    })
}

fn weak(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::WeakSsh), "ssh server", "ssh servers");
    let text = format!("Remove weak algorithms from {count}.");
    let mut lines: Vec<_> = situation.weaknesses.lines.iter().collect();
    // The sort is stable: among equals the order of the section remains.
    lines.sort_by_key(|line| u64::MAX - line.count);
    let named = lines.iter().take(WEAKNESSES_MAX);
    let named: Vec<_> =
        named.map(|line| format!("{} ({})", line.name, grouped(line.count))).collect();
    let why = match named.len() {
        0 => String::new(),
        _ => format!("Most frequent: {}.", named.join(", ")),
    };
    about(situation, Class::WeakSsh, text, why)
}

/// Returns an action about the largest group of targets that the check did not reach.
fn coverage(situation: &Situation<'_>) -> Option<Action> {
    let kinds = [
        Doubt::Filtered,
        Doubt::Unresolved,
        Doubt::Unchecked,
        Doubt::RefusedInPart,
        Doubt::Left,
        Doubt::Excluded,
        Doubt::NoRow,
    ];
    let doubt = kinds.into_iter().max_by_key(|doubt| situation.verdict.doubtful(*doubt))?;
    let count = situation.verdict.doubtful(doubt);
    let targets = counted(count, "target", "targets");
    let text = match doubt {
        Doubt::Filtered => format!("Check {targets} without an answer from inside their network."),
        Doubt::Unresolved => format!("Correct or remove the names of {targets}."),
        Doubt::Unchecked => format!("Check {targets} again from a machine that can reach them."),
        Doubt::RefusedInPart => format!("Check all addresses of {targets} with --all-addresses."),
        Doubt::Left => format!("Finish the run, which left out {targets}."),
        Doubt::Excluded => format!("Check {targets} that the run excluded in another way."),
        _ => {
            format!("Make the report of an output with all rows (--show all): it lacks {targets}.")
        }
    };
    let allow = if doubt == Doubt::Filtered && situation.has_gates {
        " If they are expected, --allow filtered lets the gate pass them."
    } else {
        ""
    };
    let why = match doubt {
        Doubt::Filtered => format!(
            "Seen from here, a firewall that drops packets looks like an unused address.{allow}"
        ),
        Doubt::Left => "It was stopped; --resume continues it if it has a journal.".to_owned(),
        _ => format!("They {}.", doubt.meaning()),
    };
    (count > 0).then(|| Action { text, why, count, ..Action::default() })
}

/// Returns the action that follows all others: commands that show whether they helped.
fn check_again(situation: &Situation<'_>, before: &[Action]) -> Option<Action> {
    let telnet = before.iter().find(|action| action.filter == Class::Telnet.name());
    let telnet = telnet.map(|action| (&action.targets[..], action.count)).unwrap_or_default();
    let commands = commands::list(telnet, situation.run);
    (!before.is_empty() && !commands.is_empty()).then(|| Action {
        text: "Check again.".to_owned(),
        commands,
        ..Action::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::{Collector, Facts, Report, RunRecord};

    fn report(rows: &[&str], gates: &str) -> Report {
        let mut collector = Collector::default();
        for row in rows {
            let line = format!(r#"{{"schema":1,"reason":"x",{row}}}"#);
            collector.add_line(line.as_bytes()).expect("it is a row");
        }
        let record =
            format!(r#"{{"schema":1,"type":"summary","arguments":"portmuster check x"{gates}}}"#);
        let record = RunRecord::parse(record.as_bytes()).expect("it is a summary");
        let facts = Facts { source: "a.db".into(), record: Some(record), ..Facts::default() };
        Report::new(collector, facts)
    }

    const SILENT: &str = r#""host":"10.0.0.9","port":23,"state":"filtered""#;

    #[test]
    fn actions_are_in_order_of_urgency_and_end_with_a_check() {
        let rows = [
            r#""host":"10.0.0.1","port":22,"state":"open","service":"ssh","findings":["cbc","rc4"]"#,
            r#""host":"10.0.0.2","port":23,"state":"open","service":"telnet-likely""#,
            r#""host":"10.0.0.3","port":23,"state":"open","service":"silent""#,
            r#""host":"10.0.0.4","port":23,"state":"open","service":"telnet""#,
            SILENT,
        ];
        let actions = report(&rows, "").actions;
        let texts: Vec<_> = actions.iter().map(|action| action.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "Turn off telnet on 1 target.",
                "Look at 1 target that looks like telnet.",
                "Reconfigure or replace 1 ssh server with broken protocols or ciphers.",
                "Find out what runs on 1 open port.",
                "Check 1 target without an answer from inside their network.",
                "Remove weak algorithms from 1 ssh server.",
                "Check again.",
            ]
        );
        assert_eq!(actions[5].why, "Most frequent: cbc (1), rc4 (1).");
        assert_eq!(actions[6].commands.len(), 3);
    }

    #[test]
    fn gates_are_named_only_if_the_run_had_any() {
        let why = |gates: &str| report(&[SILENT], gates).actions[0].why.clone();
        assert!(!why("").contains("gate"), "{}", why(""));
        assert!(why(r#","gates":{"violated":true}"#).contains("--allow filtered"));
    }

    #[test]
    fn nothing_is_to_do_if_every_target_refused() {
        let closed = r#""host":"10.0.0.9","port":23,"state":"closed""#;
        assert!(report(&[closed], "").actions.is_empty());
    }
}
