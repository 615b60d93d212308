//! The settings of the command line that the rows of a run depend on.

use portmuster::{
    Addresses, Config, Limits, Probing, SpeakFirst,
    gates::{Forbidden, Inconclusive},
    journal::RunIdentity,
    sink::SCHEMA,
    targets::Order,
};

use crate::{
    args::{Check, GateArgs, Show},
    input::Input,
};

/// Returns the identity of the run that the command line describes.
///
/// Each part destructures its settings by name, so that whoever adds a setting must decide whether
/// rows depend on it.
pub(super) fn identity(check: &Check, input: &Input) -> RunIdentity {
    let targets = targets(check, input).into_iter();
    RunIdentity::new(targets.chain(attempts(check.config())).chain(rows(check)))
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
            let was = RunIdentity::new(attempts(Config::default()));
            let differences = was.differences(&RunIdentity::new(attempts(other)));
            let described = differences.first().map(ToString::to_string).unwrap_or_default();
            assert!(differences.len() == 1 && described.starts_with(name), "{differences:?}");
        }
    }
}
