//! The settings of a run that its rows depend on.

use portmuster::{
    Addresses, Config, Limits, Probing, SpeakFirst,
    gates::{Forbidden, Inconclusive},
    sink::SCHEMA,
    targets::Order,
};
use serde::{Deserialize, Serialize};

use crate::{
    args::{Check, GateArgs, Show},
    input::Input,
};

/// The names and values of all settings that affect which rows a run writes and what they contain.
///
/// Speed and method are not included, so that a run can resume with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunIdentity(Vec<(String, String)>);

impl RunIdentity {
    /// Creates an identity from names and values.
    pub(super) fn from_settings<const N: usize>(values: [(&str, String); N]) -> Self {
        Self(values.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Returns the identity of the run that the command line describes.
    ///
    /// Each part destructures its settings by name, so that whoever adds a setting must decide
    /// whether rows depend on it.
    pub(crate) fn of(check: &Check, input: &Input) -> Self {
        let mut identity = Self::from_settings(targets(check, input));
        identity.0.extend(Self::from_settings(attempts(check.config())).0);
        identity.0.extend(Self::from_settings(rows(check)).0);
        identity
    }

    /// Describes each setting whose value differs, is new or is gone.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let value = |identity: &Self, name: &str| {
            let found = identity.0.iter().find(|(other, _)| other == name);
            found.map_or("unknown".to_owned(), |(_, value)| value.clone())
        };
        let gone = self.0.iter().filter(|(name, _)| now.0.iter().all(|(other, _)| other != name));
        let names = now.0.iter().chain(gone).map(|(name, _)| name);
        names
            .map(|name| (name, value(self, name), value(now, name)))
            .filter(|(_, was, is)| was != is)
            .map(|(name, was, is)| format!("{name} was {was}, is {is}"))
            .collect()
    }
}

/// Returns the settings that select the targets.
fn targets(check: &Check, input: &Input) -> [(&'static str, String); 7] {
    let set = input.set();
    let seed = match input.order() {
        Order::Given => "none".to_owned(),
        Order::Shuffled { seed } => seed.unwrap_or_else(|| set.fingerprint()).to_string(),
    };
    [
        ("targets", format!("{} ({:016x})", set.len(), set.labelled_fingerprint())),
        ("ports", check.ports.to_string()),
        ("excludes", format!("{:016x}", input.excludes_fingerprint())),
        ("family", check.selection.family.name().to_owned()),
        ("seed", seed),
        ("shard", input.shard().to_string()),
        ("schema", SCHEMA.to_string()),
    ]
}

/// Returns the settings of the attempts whose effect rows show.
fn attempts(config: Config) -> [(&'static str, String); 12] {
    let Config {
        addresses,
        source,
        host_timeout,
        retries,
        limits,
        probing,
        speak_first,
        evidence,
        // Speed and method may differ when a run resumes.
        method: _,
        workers: _,
        threads: _,
        in_flight: _,
        rate: _,
        per_host: _,
    } = config;
    let Limits { timeout, first_byte, active_step, quiet, deadline } = limits;
    let probing = match probing {
        Probing::KeyExchange => "key-exchange",
        Probing::Greeting => "greeting",
        Probing::ConnectOnly => "none",
    };
    let speak_first = match speak_first {
        SpeakFirst::Auto => "auto",
        SpeakFirst::Never => "never",
    };
    [
        ("all-addresses", yes_or_no(addresses == Addresses::Each)),
        ("source", source.map_or("any".to_owned(), |source| source.to_string())),
        ("timeout", format!("{timeout:?}")),
        ("first-byte", format!("{first_byte:?}")),
        ("active-step", format!("{active_step:?}")),
        ("quiet-after", format!("{quiet:?}")),
        ("deadline", format!("{deadline:?}")),
        ("host-timeout", host_timeout.map_or("none".to_owned(), |limit| format!("{limit:?}"))),
        ("retries", retries.to_string()),
        ("probe", probing.to_owned()),
        ("speak-first", speak_first.to_owned()),
        ("evidence", yes_or_no(evidence)),
    ]
}

/// Returns which rows are written, and the gates.
///
/// Gates are included because the gates of a resumed run can't examine rows that are already
/// written.
fn rows(check: &Check) -> [(&'static str, String); 4] {
    let GateArgs { forbid, require_verdict, allow } = &check.gates;
    let show = check.show.map_or("by-format", |show| match show {
        Show::Open => "open",
        Show::All => "all",
    });
    [
        ("show", show.to_owned()),
        ("forbid", joined(forbid.iter().copied().map(Forbidden::name))),
        ("require-verdict", yes_or_no(*require_verdict)),
        ("allow", joined(allow.iter().copied().map(Inconclusive::name))),
    ]
}

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(",") }
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_limit_is_part_of_the_identity() {
        type Change = fn(&mut Limits);

        let changes: [(Change, &str); 5] = [
            (|limits| limits.timeout *= 2, "timeout was "),
            (|limits| limits.first_byte *= 2, "first-byte was "),
            (|limits| limits.active_step *= 2, "active-step was "),
            (|limits| limits.quiet *= 2, "quiet-after was "),
            (|limits| limits.deadline *= 2, "deadline was "),
        ];
        for (change, name) in changes {
            let mut other = Config::default();
            change(&mut other.limits);
            let (was, is) = (
                RunIdentity::from_settings(attempts(Config::default())),
                RunIdentity::from_settings(attempts(other)),
            );
            let differences = was.differences(&is);
            assert!(differences.len() == 1 && differences[0].starts_with(name), "{differences:?}");
        }
    }

    #[test]
    fn changed_new_and_removed_settings_are_described() {
        let was = RunIdentity::from_settings([
            ("seed", "1".into()),
            ("ports", "22".into()),
            ("old", "x".into()),
        ]);
        let is = RunIdentity::from_settings([
            ("seed", "2".into()),
            ("ports", "22".into()),
            ("new", "y".into()),
        ]);
        assert_eq!(
            was.differences(&is),
            ["seed was 1, is 2", "new was unknown, is y", "old was x, is unknown"]
        );
        assert!(was.differences(&was).is_empty());
    }
}
