//! The settings of the command line that the rows of a run depend on.

use std::time::Duration;

use portmuster::{
    Config,
    config::{Addresses, Probing, SpeakFirst},
    gates::{Forbidden, Inconclusive},
    journal::RunIdentity,
    sink::SCHEMA,
    software::Fingerprints,
    targets::Order,
};

use crate::{
    args::{Check, GateArgs, ShowItem},
    input::Input,
};

/// The defaults of settings that earlier versions lack. They are left out, so that a run of an earlier
/// version can resume.
const NEWER_DEFAULTS: [(&str, &str); 3] =
    [("host-keys", "off"), ("known-hosts", ""), ("hash-hosts", "no")];

/// Returns the identity of the run that the command line describes.
///
/// Speed and method are not included, so that a run can resume with others.
///
/// # Errors
/// A setting is invalid.
pub(super) fn identity(check: &Check, input: &Input) -> anyhow::Result<RunIdentity> {
    let targets = targets(check, input).into_iter();
    let settings = targets.chain(attempts(&check.config()?)).chain(rows(check));
    let settings = settings.filter(|(name, value)| !NEWER_DEFAULTS.contains(&(*name, &**value)));
    let settings = settings.chain(fingerprints(&check.recog.fingerprints()?));
    Ok(RunIdentity::new(settings.chain(proxy(&check.config()?))))
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
        ("excludes", format!("{:016x}", input.excludes().fingerprint())),
        ("family", check.selection.family.name().to_owned()),
        ("seed", seed),
        ("shard", input.shard().to_string()),
        ("schema", SCHEMA.to_string()),
    ]
}

/// Returns the settings of the attempts whose effect rows show. Speed and method may differ when a
/// run resumes.
fn attempts(config: &Config) -> [(&'static str, String); 15] {
    let time = |limit: Duration| format!("{limit:?}");
    let probing = match config.probing() {
        Probing::KeyExchange => "key-exchange",
        Probing::Greeting => "greeting",
        Probing::ConnectOnly => "none",
    };
    let speak_first = match config.speak_first() {
        SpeakFirst::Auto => "auto",
        SpeakFirst::Never => "never",
    };
    [
        ("all-addresses", yes_or_no(config.addresses() == Addresses::Each)),
        ("source", config.source().map_or("any".to_owned(), |source| source.to_string())),
        ("timeout", time(config.timeout())),
        ("first-byte", time(config.first_byte())),
        ("active-step", time(config.active_step())),
        ("quiet-after", time(config.quiet())),
        ("deadline", time(config.deadline())),
        ("host-timeout", config.host_timeout().map_or("none".to_owned(), time)),
        ("retries", config.retries().to_string()),
        ("patience", config.patience().name().to_owned()),
        ("max-missed", config.max_missed().map_or("none".to_owned(), |share| share.to_string())),
        ("probe", probing.to_owned()),
        ("speak-first", speak_first.to_owned()),
        ("evidence", yes_or_no(config.evidence())),
        ("host-keys", config.host_keys().name().to_owned()),
    ]
}

/// Returns which rows are written, and the gates.
///
/// Gates are included because the gates of a resumed run can't examine rows that are already
/// written.
fn rows(check: &Check) -> [(&'static str, String); 6] {
    let GateArgs { forbid, require_verdict, allow } = &check.gates;
    let known_hosts = check.host_keys.known_hosts.iter().map(|path| path.display().to_string());
    let known_hosts: Vec<_> = known_hosts.collect();
    let mut show: Vec<_> = check.show.iter().copied().map(ShowItem::name).collect();
    show.sort_unstable();
    show.dedup();
    let show = if show.is_empty() { "by-format".to_owned() } else { show.join(",") };
    [
        ("show", show),
        ("known-hosts", known_hosts.join(" ")),
        ("hash-hosts", yes_or_no(check.reports.hash_hosts)),
        ("forbid", joined(forbid.iter().copied().map(Forbidden::name))),
        ("require-verdict", yes_or_no(*require_verdict)),
        ("allow", joined(allow.iter().copied().map(Inconclusive::name))),
    ]
}

/// Returns the fingerprints in addition to the built-in ones; nothing if there are none, so that a run of
/// an earlier version can resume.
fn fingerprints(fingerprints: &Fingerprints) -> Option<(&'static str, String)> {
    fingerprints.recog_hash().map(|hash| ("recog", format!("{hash:016x}")))
}

/// Returns the proxy without its login; nothing if there is none, so that a run of an earlier version can
/// resume.
fn proxy(config: &Config) -> Option<(&'static str, String)> {
    config.proxy().map(|proxy| ("proxy", proxy.to_string()))
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
    use std::net::IpAddr;

    use portmuster::config::{ConfigBuilder, HostKeyProbing, MaxMissed, Patience, Proxy};

    use super::*;

    fn identity(settings: ConfigBuilder) -> RunIdentity {
        let config = settings.build().expect("the settings are valid");
        RunIdentity::new(attempts(&config).into_iter().chain(proxy(&config)))
    }

    fn through(host: &str) -> Proxy {
        format!("socks5://user:secret@{host}").parse().expect("it is valid")
    }

    #[test]
    fn login_of_a_proxy_is_not_part_of_the_identity() {
        let was = identity(Config::builder().proxy(through("bastion")));
        let other: Proxy = "socks5://bastion".parse().expect("it is valid");
        assert!(was.differences(&identity(Config::builder().proxy(other))).is_empty());
        assert!(!format!("{was:?}").contains("secret"));
    }

    #[test]
    fn each_setting_that_rows_show_changes_the_identity() {
        let (settings, time) = (Config::builder, Duration::from_secs(99));
        let changes = [
            (settings().addresses(Addresses::Each), "all-addresses was "),
            (settings().source(IpAddr::from([127, 0, 0, 1])), "source was "),
            (settings().timeout(time), "timeout was "),
            (settings().first_byte(time), "first-byte was "),
            (settings().active_step(time), "active-step was "),
            (settings().quiet(time), "quiet-after was "),
            (settings().deadline(time), "deadline was "),
            (settings().host_timeout(time), "host-timeout was "),
            (settings().retries(99), "retries was "),
            (settings().patience(Patience::Adaptive), "patience was "),
            (settings().max_missed(MaxMissed::default()), "max-missed was "),
            (settings().probing(Probing::Greeting), "probe was "),
            (settings().speak_first(SpeakFirst::Never), "speak-first was "),
            (settings().evidence(true), "evidence was "),
            (settings().host_keys(HostKeyProbing::First), "host-keys was "),
            (settings().proxy(through("bastion")), "proxy was unknown, is socks5://bastion:1080"),
        ];
        let was = identity(settings());
        for (change, name) in changes {
            let differences = was.differences(&identity(change));
            let described = differences.first().map(ToString::to_string).unwrap_or_default();
            assert!(differences.len() == 1 && described.starts_with(name), "{differences:?}");
        }
    }

    /// Whoever adds a setting to the library must decide whether rows depend on it, then extend the
    /// test above or this list.
    #[test]
    fn every_setting_is_part_of_the_identity_or_known_not_to_be() {
        // The seed is that of the targets, which are compared as well.
        const OTHERS: [&str; 8] = [
            "method",
            "workers",
            "threads",
            "in_flight",
            "rate",
            "per_host",
            "seed",
            "bypass_preload",
        ];

        let shown = format!("{:#?}", Config::default());
        let fields = shown.lines().filter_map(|line| line.trim_start().split_once(": "));
        let fields = fields.filter(|&(name, _)| name != "limits" && !OTHERS.contains(&name));
        // The proxy is part of the identity if there is one.
        assert_eq!(fields.count(), attempts(&Config::default()).len() + 1, "{shown}");
    }
}
