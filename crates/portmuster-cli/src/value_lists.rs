//! `portmuster list`: prints the values of rows and options with their meanings.
//!
//! Each list comes from the table that rows, parsers and help use, so that none can be out of date.

use std::{fmt::Write, io};

use portmuster::{
    PortState, Reason, Service,
    gates::{Forbidden, Inconclusive, WeaknessGroup},
    known_protocols,
    outcome::{Rule, Weakness},
    protocol_meaning,
    sink::wrap,
};
use serde::Serialize;

use crate::{
    args::{PROFILES, ValueKind, ValueList},
    formats,
    status::Status,
    terminal::{self, Screen},
};

/// What shared host keys are, which a run finds at its end and no row names.
const SHARED_KEY: &str = "A host key that several hosts have, as cloned machines do: who has one of them can \
    pose as the others; only for --forbid, with --host-keys";

/// The fewest columns of a meaning.
const MEANING_MIN: usize = 20;

/// The name of the reasons that are error numbers, as the documentation writes it.
const ERROR_NUMBERS: &str = "errno-N";

/// A value and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct NamedValue {
    name: String,
    meaning: String,
}

impl NamedValue {
    fn new(name: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { name: name.into(), meaning: meaning.into() }
    }
}

/// Prints the values.
pub(crate) fn run(list: &ValueList) -> Status {
    let values = values(list.kind);
    let text =
        if list.json { json_lines(&values) } else { columns(&values, Screen::stdout().width) };
    terminal::print(&mut io::stdout(), text.as_bytes())
}

/// Returns the values in the order in which their table has them.
fn values(kind: ValueKind) -> Vec<NamedValue> {
    match kind {
        ValueKind::Services => of(Service::ALL, Service::name, Service::meaning),
        ValueKind::Findings => findings(),
        ValueKind::States => of(PortState::ALL, PortState::name, PortState::meaning),
        ValueKind::Reasons => reasons(),
        ValueKind::Formats => {
            formats::meanings().map(|(name, meaning)| NamedValue::new(name, meaning)).collect()
        }
        ValueKind::Profiles => PROFILES
            .iter()
            .map(|profile| NamedValue::new(profile.name, profile.to_string()))
            .collect(),
        ValueKind::Protocols => {
            let meaning = |name| protocol_meaning(name).unwrap_or_default();
            known_protocols().map(|name| NamedValue::new(name, meaning(name))).collect()
        }
        ValueKind::Kinds => of(Inconclusive::ALL, Inconclusive::name, Inconclusive::meaning),
        ValueKind::Rules => of(Rule::ALL, Rule::name, |rule| rule.describe().to_owned()),
    }
}

fn of<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: fn(T) -> &'static str,
    meaning: fn(T) -> String,
) -> Vec<NamedValue> {
    all.into_iter().map(|value| NamedValue::new(name(value), meaning(value))).collect()
}

/// Returns each weakness with its reason and its sources, and the groups.
fn findings() -> Vec<NamedValue> {
    let meaning = |weakness: Weakness| {
        let what = weakness.meaning();
        let (what, why) = (what.trim_end_matches('.'), weakness.why());
        format!("{what}; {why} ({})", weakness.source())
    };
    let weaknesses = of(Weakness::ALL, Weakness::name, meaning);
    let names = |group: WeaknessGroup| {
        let names: Vec<_> = group.weaknesses().iter().copied().map(Weakness::name).collect();
        format!("{} {}", group.meaning().replace('.', ":"), names.join(", "))
    };
    let shared = NamedValue::new(Forbidden::SharedHostKey.name(), SHARED_KEY);
    let groups = of(WeaknessGroup::ALL, WeaknessGroup::name, names);
    weaknesses.into_iter().chain(groups).chain([shared]).collect()
}

fn reasons() -> Vec<NamedValue> {
    let named = Reason::known().map(|reason| NamedValue::new(reason.name(), reason.meaning()));
    let number = NamedValue::new(ERROR_NUMBERS, Reason::Errno(0).meaning());
    named.chain([number]).collect()
}

/// Returns the values with aligned meanings, which are wrapped at the width of a terminal; `None`: each value
/// is one line.
fn columns(values: &[NamedValue], width: Option<usize>) -> String {
    let names = values.iter().map(|value| value.name.len()).max().unwrap_or_default();
    let indent = names + 2;
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(MEANING_MIN));
    values.iter().fold(String::new(), |mut text, NamedValue { name, meaning }| {
        let meaning = wrap(meaning, room).join(&format!("\n{:indent$}", ""));
        // A String accepts every write.
        let _ = writeln!(text, "{name:<names$}  {meaning}");
        text
    })
}

/// Returns a JSON object for each value.
fn json_lines(values: &[NamedValue]) -> String {
    let line = |value| serde_json::to_string(value).expect("strings are always serializable");
    values.iter().map(|value| line(value) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn meanings_fit_the_terminal() {
        for width in [60, 80, 160] {
            let text = columns(&findings(), Some(width));
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest.is_some_and(|longest| longest <= width), "{width}:\n{text}");
        }
        assert_eq!(columns(&findings(), None).lines().count(), findings().len());
    }

    #[test]
    fn every_list_has_distinct_names_and_a_meaning_of_one_line_for_each() {
        for kind in ValueKind::value_variants() {
            let values = values(*kind);
            let mut names: Vec<_> = values.iter().map(|value| &value.name).collect();
            names.sort_unstable();
            names.dedup();
            assert!(names.len() == values.len() && names.len() >= 4, "{kind:?}: {names:?}");
            for NamedValue { name, meaning } in &values {
                assert!(!meaning.is_empty() && !meaning.contains(['\n', '`']), "{name}: {meaning}");
            }
        }
    }
}
