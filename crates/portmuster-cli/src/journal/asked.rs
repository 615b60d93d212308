//! What was asked of a run, as far as its rows depend on it.

use portmuster::{Probing, SpeakFirst, sink::SCHEMA, targets::Order};
use serde::{Deserialize, Serialize};

use crate::{
    args::{Check, Show},
    gate::{Doubt, Forbidden},
    input::Input,
};

/// Names and values of all that makes a difference to which rows a run has and what they say.
///
/// How fast a run is, and by which method, is not among it: who resumes may want it slower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked(Vec<(String, String)>);

impl Asked {
    pub(super) fn of<const N: usize>(values: [(&str, String); N]) -> Self {
        Self(values.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// What the command line asks.
    pub(crate) fn by(check: &Check, input: &Input) -> Self {
        let (config, set) = (check.config(), input.set());
        let seed = match input.order() {
            Order::Given => "none".to_owned(),
            Order::Shuffled { seed } => seed.unwrap_or_else(|| set.fingerprint()).to_string(),
        };
        let probing = match config.probing {
            Probing::KeyExchange => "key-exchange",
            Probing::Greeting => "greeting",
            Probing::ConnectOnly => "none",
        };
        let show = check.show.map_or("by-format", |show| match show {
            Show::Open => "open",
            Show::All => "all",
        });
        let yes_or_no = |it| if it { "yes" } else { "no" }.to_owned();
        let forbidden: Vec<_> = check.gates.forbid.iter().map(Forbidden::name).collect();
        let allowed: Vec<_> = check.gates.allow.iter().copied().map(Doubt::name).collect();
        let speak_first = match config.speak_first {
            SpeakFirst::Auto => "auto",
            SpeakFirst::Never => "never",
        };
        let source = config.source.map_or("any".to_owned(), |source| source.to_string());
        Self::of([
            ("targets", format!("{} ({:016x})", set.len(), set.labelled_fingerprint())),
            ("ports", check.ports.to_string()),
            ("excludes", format!("{:016x}", input.excludes_fingerprint())),
            ("family", check.selection.family.name().to_owned()),
            ("seed", seed),
            ("shard", input.shard().to_string()),
            ("all-addresses", yes_or_no(check.selection.all_addresses)),
            ("source", source),
            ("timeout", format!("{:?}", config.limits.timeout)),
            ("first-byte", format!("{:?}", config.limits.first_byte)),
            ("quiet-after", format!("{:?}", config.limits.quiet)),
            ("deadline", format!("{:?}", config.limits.deadline)),
            ("retries", config.retries.to_string()),
            ("probe", probing.to_owned()),
            ("speak-first", speak_first.to_owned()),
            ("evidence", yes_or_no(config.evidence)),
            ("show", show.to_owned()),
            // Not for the rows: of those that are written nobody knows what else they would show.
            (
                "forbid",
                if forbidden.is_empty() { "nothing".to_owned() } else { forbidden.join(",") },
            ),
            ("require-verdict", yes_or_no(check.gates.require_verdict)),
            ("allow", if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(",") }),
            ("schema", SCHEMA.to_string()),
        ])
    }

    /// What is asked now and was not, or otherwise.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let value = |asked: &Self, name: &str| {
            let found = asked.0.iter().find(|(other, _)| other == name);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_differs_is_told() {
        let was = Asked::of([("seed", "1".into()), ("ports", "22".into()), ("old", "x".into())]);
        let is = Asked::of([("seed", "2".into()), ("ports", "22".into()), ("new", "y".into())]);
        assert_eq!(
            was.differences(&is),
            ["seed was 1, is 2", "new was unknown, is y", "old was x, is unknown"]
        );
        assert!(was.differences(&was).is_empty());
    }
}
