//! What to do about a run, the most urgent first.

use serde::Serialize;

use super::{
    changes::ChangesSection, open_target::OpenTarget, tally::ClassCounts, verdict::Verdict,
};
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

/// What actions follow from.
pub(super) struct Situation<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) classes: &'a ClassCounts,
    pub(super) changes: Option<&'a ChangesSection>,
    pub(super) open: &'a [OpenTarget],
}

/// Returns what to do.
pub(super) fn list(situation: &Situation<'_>) -> Vec<Action> {
    let mut actions = Vec::new();
    actions.extend(telnet(situation));
    actions.extend(likely(situation));
    actions.extend(severe(situation));
    actions.extend(silent_services(situation));
    actions.extend(coverage(situation));
    actions.extend(weak(situation));
    actions.truncate(ACTIONS_MAX);
    actions
}

/// Returns an action about the open targets of a class.
fn about(situation: &Situation<'_>, class: Class, text: String, why: &str) -> Option<Action> {
    let count = situation.classes.of(class);
    let of_class = situation.open.iter().filter(|target| target.class == class.name());
    let targets = of_class.take(NAMED_MAX).map(|target| target.target.clone()).collect();
    let filter = class.name().to_owned();
    (count > 0).then(|| Action { text, why: why.to_owned(), targets, count, filter })
}

fn telnet(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::Telnet), "target", "targets");
    let text = format!("Turn off telnet on {count}.");
    let why = match situation.changes.map(|changes| (changes.new_telnet, &changes.since)) {
        Some((new @ 1.., since)) => format!(
            "It sends passwords in clear text. {} new since {since}, prompts included.",
            counted(new, "target is", "targets are")
        ),
        _ => "It sends passwords in clear text.".to_owned(),
    };
    about(situation, Class::Telnet, text, &why)
}

fn likely(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::Likely), "prompt", "prompts");
    let text = format!("Find out what is behind {count}.");
    about(situation, Class::Likely, text, "They look like telnet, and no telnet command proves it.")
}

fn silent_services(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::Unproven), "open port", "open ports");
    let text = format!("Identify {count} that prove nothing.");
    about(situation, Class::Unproven, text, "Telnet may be behind each of them.")
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
        why: "Somebody on the path may read or change their sessions.".to_owned(),
        targets: servers.iter().take(NAMED_MAX).map(|target| target.target.clone()).collect(),
        count: servers.len() as u64,
        filter: first.clone(),
    })
}

fn weak(situation: &Situation<'_>) -> Option<Action> {
    let count = counted(situation.classes.of(Class::WeakSsh), "ssh server", "ssh servers");
    let text = format!("Remove weak algorithms from {count}.");
    about(situation, Class::WeakSsh, text, "")
}

/// Returns an action about the largest group of targets without an answer.
fn coverage(situation: &Situation<'_>) -> Option<Action> {
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
    let largest =
        closed_kinds.into_iter().max_by_key(|(doubt, _)| situation.verdict.doubtful(*doubt));
    let (doubt, text) = largest?;
    let count = situation.verdict.doubtful(doubt);
    (count > 0).then(|| Action {
        text: text.to_owned(),
        why: format!("{} {}.", counted(count, "target", "targets"), doubt.meaning()),
        targets: Vec::new(),
        count,
        filter: String::new(),
    })
}
