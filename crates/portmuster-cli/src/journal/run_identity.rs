//! What was asked of a run, as far as its rows depend on it.

use portmuster::{Addresses, Config, Limits, Probing, SpeakFirst, sink::SCHEMA, targets::Order};
use serde::{Deserialize, Serialize};

use crate::{
    args::{Check, Gates, Show},
    gate::{Doubt, Forbidden},
    input::Input,
};

/// Names and values of all that makes a difference to which rows a run has and what they say.
///
/// How fast a run is, and by which method, is not among it: who resumes may want it slower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunIdentity(Vec<(String, String)>);

impl RunIdentity {
    pub(super) fn of<const N: usize>(values: [(&str, String); N]) -> Self {
        Self(values.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// What the command line asks.
    ///
    /// Each part takes its settings apart by name, so that a new one is decided upon: whether it
    /// changes what rows say, and belongs here.
    pub(crate) fn by(check: &Check, input: &Input) -> Self {
        let mut identity = Self::of(targets(check, input));
        identity.0.extend(Self::of(attempts(check.config())).0);
        identity.0.extend(Self::of(answers(check)).0);
        identity
    }

    /// What is asked now and was not, or otherwise.
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

/// What the rows are about.
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

/// What the attempts do that the rows tell of.
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
        // How fast a run is, and by which method: who resumes it may want that otherwise.
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

/// Which rows are written, and what the gates look for: of rows that are written nobody knows what
/// other gates would have found.
fn answers(check: &Check) -> [(&'static str, String); 4] {
    let Gates { forbid, require_verdict, allow } = &check.gates;
    let show = check.show.map_or("by-format", |show| match show {
        Show::Open => "open",
        Show::All => "all",
    });
    [
        ("show", show.to_owned()),
        ("forbid", joined(forbid.iter().map(Forbidden::name))),
        ("require-verdict", yes_or_no(*require_verdict)),
        ("allow", joined(allow.iter().copied().map(Doubt::name))),
    ]
}

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(",") }
}

fn yes_or_no(it: bool) -> String {
    if it { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_in_time_is_part_of_what_was_asked() {
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
            let (was, is) =
                (RunIdentity::of(attempts(Config::default())), RunIdentity::of(attempts(other)));
            let differences = was.differences(&is);
            assert!(differences.len() == 1 && differences[0].starts_with(name), "{differences:?}");
        }
    }

    #[test]
    fn all_that_differs_is_told() {
        let was =
            RunIdentity::of([("seed", "1".into()), ("ports", "22".into()), ("old", "x".into())]);
        let is =
            RunIdentity::of([("seed", "2".into()), ("ports", "22".into()), ("new", "y".into())]);
        assert_eq!(
            was.differences(&is),
            ["seed was 1, is 2", "new was unknown, is y", "old was x, is unknown"]
        );
        assert!(was.differences(&was).is_empty());
    }
}
