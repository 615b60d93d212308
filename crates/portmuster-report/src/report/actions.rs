//! What to do about a run, the most urgent first.

use serde::Serialize;

use super::Report;
use crate::{
    class::{Class, Doubt},
    text::counted,
};

/// The most targets that an action names.
const NAMED_MAX: usize = 5;

/// The most actions.
const ACTIONS_MAX: usize = 6;

/// Weaknesses that let somebody on the path read or change a session today; the other ones take more.
const SEVERE: [&str; 5] = ["ssh-1", "no-encryption", "no-integrity", "des", "rc4"];

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Action {
    /// What to do: a sentence.
    pub text: String,
    /// Why: a sentence; may be empty.
    pub why: String,
    /// The first targets that it is about, at most five.
    pub targets: Vec<String>,
    /// Number of targets that it is about.
    pub count: u64,
    /// The class or weakness of these targets, by which the table can be filtered; empty if it has none of
    /// them.
    pub filter: String,
}

/// Returns what to do.
pub(super) fn list(report: &Report) -> Vec<Action> {
    let mut actions = Vec::new();
    actions.extend(telnet(report));
    actions.extend(likely(report));
    actions.extend(severe(report));
    actions.extend(silent_services(report));
    actions.extend(coverage(report));
    actions.extend(weak(report));
    actions.truncate(ACTIONS_MAX);
    actions
}

/// Returns an action about the open targets of a class.
fn about(report: &Report, class: Class, text: String, why: &str) -> Option<Action> {
    let count = report.classes.of(class);
    let of_class = report.open.iter().filter(|target| target.class == class.name());
    let targets = of_class.take(NAMED_MAX).map(|target| target.target.clone()).collect();
    let filter = class.name().to_owned();
    (count > 0).then(|| Action { text, why: why.to_owned(), targets, count, filter })
}

fn telnet(report: &Report) -> Option<Action> {
    let count = counted(report.classes.of(Class::Telnet), "target", "targets");
    let text = format!("Turn off telnet on {count}.");
    let why = match report.changes.as_ref().map(|changes| (changes.new_telnet, &changes.since)) {
        Some((new @ 1.., since)) => format!(
            "It sends passwords in clear text. {} new since {since}, prompts included.",
            counted(new, "target is", "targets are")
        ),
        _ => "It sends passwords in clear text.".to_owned(),
    };
    about(report, Class::Telnet, text, &why)
}

fn likely(report: &Report) -> Option<Action> {
    let count = counted(report.classes.of(Class::Likely), "prompt", "prompts");
    let text = format!("Find out what is behind {count}.");
    about(report, Class::Likely, text, "They look like telnet, and no telnet command proves it.")
}

fn silent_services(report: &Report) -> Option<Action> {
    let count = counted(report.classes.of(Class::Unproven), "open port", "open ports");
    let text = format!("Identify {count} that prove nothing.");
    about(report, Class::Unproven, text, "Telnet may be behind each of them.")
}

/// Returns an action about servers whose sessions can be read or changed.
fn severe(report: &Report) -> Option<Action> {
    let is_severe = |target: &&super::OpenTarget| {
        target.findings.iter().any(|finding| SEVERE.contains(&finding.as_str()))
    };
    let servers: Vec<_> = report.open.iter().filter(is_severe).collect();
    let first = servers.first()?.findings.iter().find(|it| SEVERE.contains(&it.as_str()))?;
    let count = counted(servers.len() as u64, "ssh server", "ssh servers");
    Some(Action {
        text: format!("Reconfigure or replace {count} with broken protocols or ciphers."),
        why: "Somebody on the path may read or change their sessions.".to_owned(),
        targets: servers.iter().take(NAMED_MAX).map(|target| target.target.clone()).collect(),
        count: servers.len() as u64,
        filter: first.clone(),
    })
}

fn weak(report: &Report) -> Option<Action> {
    let count = counted(report.classes.of(Class::WeakSsh), "ssh server", "ssh servers");
    let text = format!("Remove weak algorithms from {count}.");
    about(report, Class::WeakSsh, text, "")
}

/// Returns an action about the largest group of targets without an answer.
fn coverage(report: &Report) -> Option<Action> {
    let closed_kinds = [
        (
            Doubt::Filtered,
            "Check silent targets from inside their network, or accept the silence with --allow filtered.",
        ),
        (Doubt::Unresolved, "Correct names that were not found, or remove them from the list."),
        (Doubt::Unchecked, "Run the check again where this machine could not connect."),
        (Doubt::RefusedInPart, "Check all addresses of these names with --all-addresses."),
        (Doubt::Left, "Finish the run that was stopped, with --resume if it has a journal."),
        (Doubt::Excluded, "Check excluded targets in another way."),
        (Doubt::NoRow, "Make the report of an output that has all rows, with --show all."),
    ];
    let largest = closed_kinds.into_iter().max_by_key(|(doubt, _)| report.verdict.doubtful(*doubt));
    let (doubt, text) = largest?;
    let count = report.verdict.doubtful(doubt);
    (count > 0).then(|| Action {
        text: text.to_owned(),
        why: format!("{} {}.", counted(count, "target", "targets"), doubt.meaning()),
        targets: Vec::new(),
        count,
        filter: String::new(),
    })
}
