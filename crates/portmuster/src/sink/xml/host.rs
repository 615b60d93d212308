//! An outcome as nmap would tell it.
//!
//! | outcome | host | port |
//! |---|---|---|
//! | open | up, syn-ack | open, syn-ack |
//! | closed | up, conn-refused | closed, conn-refused |
//! | filtered | up, user-set: taken for up without a proof, as by `nmap -Pn` | filtered, with nmap's word for the reason |
//! | unchecked | unknown | unknown, with our word for the reason |
//!
//! A name without an address is no host, but a `target` that was skipped: the format wants an
//! address of every host. What nmap has no word for is in scripts: `banner` and `ssh2-enum-algos`
//! as those of nmap, and `portmuster` with our own words, by the names that they have in JSON.

use std::net::IpAddr;

use super::markup::{Markup, Pair, visible, visible_bytes};
use crate::{
    outcome::{
        Identification, KexInit, NameList, Outcome, PortState, Reason, Service, ServiceDetails,
        Weakness,
    },
    sink::{Row, escape, jsonl},
    targets::Host,
};

/// What was written.
pub(super) enum Written {
    /// A host that has answered.
    Up,
    /// A host that has not.
    Host,
    /// No host at all.
    Skipped,
}

/// Writes the outcome, on a line of its own.
pub(super) fn write(markup: &mut Markup, outcome: &Outcome) -> Written {
    let written = match address(outcome) {
        Some(address) => write_host(markup, outcome, address),
        None => write_skipped(markup, outcome),
    };
    markup.line_end();
    written
}

fn write_skipped(markup: &mut Markup, outcome: &Outcome) -> Written {
    let target = outcome.target.to_string();
    markup.empty(
        "target",
        &[("specification", &*visible(&target)), ("status", "skipped"), ("reason", "invalid")],
    );
    Written::Skipped
}

/// The address that was tried, or was to be.
fn address(outcome: &Outcome) -> Option<IpAddr> {
    match (outcome.endpoint, &outcome.target.host) {
        (Some(endpoint), _) => Some(endpoint.ip()),
        (None, Host::Address(address)) => Some(*address),
        (None, Host::Name(_)) => None,
    }
}

fn write_host(markup: &mut Markup, outcome: &Outcome, address: IpAddr) -> Written {
    let time = super::seconds(outcome.time).to_string();
    markup.open("host", &[("endtime", &time)]);
    let (state, reason) = status(outcome);
    markup.empty("status", &[("state", state), ("reason", &reason), ("reason_ttl", "0")]);
    let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    markup.empty("address", &[("addr", &address.to_string()), ("addrtype", kind)]);
    if let Host::Name(name) = &outcome.target.host {
        markup.open("hostnames", &[]);
        markup.empty("hostname", &[("name", &visible(name)), ("type", "user")]);
        markup.close("hostnames");
    }
    markup.open("ports", &[]);
    write_port(markup, outcome);
    markup.close("ports");
    markup.close("host");
    match outcome.verdict.state {
        PortState::Open | PortState::Closed => Written::Up,
        PortState::Filtered | PortState::Unresolved | PortState::Unchecked => Written::Host,
    }
}

/// The state of the host, and why it is taken to be in it.
fn status(outcome: &Outcome) -> (&'static str, String) {
    match outcome.verdict.state {
        PortState::Open | PortState::Closed => ("up", reason(outcome.verdict.reason)),
        PortState::Filtered => ("up", "user-set".into()),
        PortState::Unresolved | PortState::Unchecked => ("unknown", reason(outcome.verdict.reason)),
    }
}

fn write_port(markup: &mut Markup, outcome: &Outcome) {
    let verdict = &outcome.verdict;
    let port = outcome.target.port.to_string();
    markup.open("port", &[("protocol", "tcp"), ("portid", &port)]);
    let state = match verdict.state {
        PortState::Open | PortState::Closed | PortState::Filtered => verdict.state.name(),
        PortState::Unresolved | PortState::Unchecked => "unknown",
    };
    let reason = reason(verdict.reason);
    markup.empty("state", &[("state", state), ("reason", &reason), ("reason_ttl", "0")]);
    let nothing = ServiceDetails::default();
    let details = verdict.details.as_deref().unwrap_or(&nothing);
    if let Some(service) = verdict.service {
        write_service(markup, service, details);
    }
    if !verdict.banner.is_empty() {
        let banner = escape(&verdict.banner);
        // Spelled once already: what is left is what XML has no place for.
        markup.empty("script", &[("id", "banner"), ("output", &without_forbidden(&banner))]);
    }
    if let Some(offer) = details.key_exchange.kex_init() {
        write_offer(markup, offer);
    }
    write_ours(markup, outcome, details);
    markup.close("port");
}

/// nmap's word for the reason, where it has one.
fn reason(reason: Reason) -> String {
    match reason {
        Reason::Accepted => "syn-ack".into(),
        Reason::Refused => "conn-refused".into(),
        Reason::NoAnswer => "no-response".into(),
        Reason::NetworkUnreachable => "net-unreach".into(),
        Reason::HostUnreachable => "host-unreach".into(),
        Reason::ProtocolUnreachable => "proto-unreach".into(),
        Reason::Prohibited => "admin-prohibited".into(),
        Reason::IcmpPortUnreachable => "port-unreach".into(),
        other => other.name().into_owned(),
    }
}

/// The service, and how sure it is, from 0 to 10.
fn write_service(markup: &mut Markup, service: Service, details: &ServiceDetails) {
    let protocol = details.protocol.as_deref().map(visible);
    let (name, confidence) = match service {
        Service::Ssh | Service::SshThrottled => ("ssh", "10"),
        Service::Telnet => ("telnet", "10"),
        Service::TelnetLikely => ("telnet", "5"),
        // nmap's word for a port that accepts and hangs up without a byte.
        Service::ClosedEarly => ("tcpwrapped", "8"),
        Service::Other => (protocol.as_deref().unwrap_or("unknown"), "8"),
        Service::SshBroken => ("ssh", "5"),
        Service::Tarpit | Service::Silent | Service::Unknown => ("unknown", "0"),
        Service::NotProbed => return,
    };
    let version = details.identification.as_ref().map(Told::of);
    let mut pairs = vec![("name", name)];
    if let Some(Told { product, version, info }) = &version {
        let all = [("product", product), ("version", version), ("extrainfo", info)];
        pairs
            .extend(all.into_iter().filter(|(_, it)| !it.is_empty()).map(|(key, it)| (key, &**it)));
    }
    pairs.extend([("method", "probed"), ("conf", confidence)]);
    markup.empty("service", &pairs);
}

/// What ssh says of its software, in nmap's parts, which are [`visible`].
struct Told {
    product: String,
    version: String,
    info: String,
}

impl Told {
    fn of(said: &Identification) -> Self {
        let software = visible_bytes(&said.software);
        let comment = visible_bytes(said.comment.as_deref().unwrap_or_default());
        let (product, version) = split(&software);
        Self {
            product: product.to_owned(),
            version: format!("{version} {comment}").trim().to_owned(),
            info: format!("protocol {}", visible(&said.protocol)),
        }
    }
}

/// The product and its version, as in `OpenSSH_9.2p1` and `Cisco-1.25`.
fn split(software: &str) -> (&str, &str) {
    let is_end = |&(at, _): &(usize, &str)| {
        software[at + 1..].starts_with(|letter: char| letter.is_ascii_digit())
    };
    match software.match_indices(['_', '-', '/']).find(is_end) {
        Some((at, _)) => (&software[..at], &software[at + 1..]),
        None => (software, ""),
    }
}

/// As nmap's script of this name tells it: one list where both directions have the same.
fn write_offer(markup: &mut Markup, offer: &KexInit) {
    let mut lists =
        vec![("kex_algorithms", &offer.kex), ("server_host_key_algorithms", &offer.host_keys)];
    for (both, sent, received, one, other) in [
        (
            "encryption_algorithms",
            "encryption_algorithms_client_to_server",
            "encryption_algorithms_server_to_client",
            &offer.ciphers_client_to_server,
            &offer.ciphers_server_to_client,
        ),
        (
            "mac_algorithms",
            "mac_algorithms_client_to_server",
            "mac_algorithms_server_to_client",
            &offer.macs_client_to_server,
            &offer.macs_server_to_client,
        ),
        (
            "compression_algorithms",
            "compression_algorithms_client_to_server",
            "compression_algorithms_server_to_client",
            &offer.compression_client_to_server,
            &offer.compression_server_to_client,
        ),
    ] {
        if one == other {
            lists.push((both, one));
        } else {
            lists.extend([(sent, one), (received, other)]);
        }
    }
    let told: String = lists.iter().map(|(key, list)| told(key, list)).collect();
    markup.open("script", &[("id", "ssh2-enum-algos"), ("output", &told)]);
    for (key, list) in lists {
        markup.open("table", &[("key", key)]);
        // Names are printable ASCII.
        list.iter().for_each(|name| markup.text("elem", &[], name));
        markup.close("table");
    }
    markup.close("script");
}

/// A list as it is told to people.
fn told(key: &str, list: &NameList) -> String {
    let title = format!("\n  {key}: ({})", list.iter().count());
    list.iter().fold(title, |told, name| told + "\n      " + name)
}

/// What nmap has no word for.
fn write_ours(markup: &mut Markup, outcome: &Outcome, details: &ServiceDetails) {
    let verdict = &outcome.verdict;
    let row = details.evidence.as_ref().map(|_| Row::from(outcome));
    let evidence = row.and_then(|row| row.evidence.as_ref().map(jsonl::visible));
    let joined = |list: Vec<String>| (!list.is_empty()).then(|| list.join(" "));
    let findings = details.findings.iter().copied().map(Weakness::name).map(str::to_owned);
    let told = [
        ("service", verdict.service.map(|service| service.name().to_owned())),
        ("rule", verdict.rule.map(|rule| rule.name().to_owned())),
        ("findings", joined(findings.collect())),
        ("telnet_options", joined(details.options.iter().map(ToString::to_string).collect())),
        ("label", outcome.target.label.as_deref().map(|label| visible(label).into_owned())),
        ("evidence", evidence.map(|json| without_forbidden(&json))),
    ];
    let told: Vec<_> = told.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    if told.is_empty() {
        return;
    }
    let output: Vec<_> = told.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    markup.open("script", &[("id", "portmuster"), ("output", &output.join("; "))]);
    for (key, value) in &told {
        let key: Pair<'_> = ("key", key);
        markup.text("elem", &[key], value);
    }
    markup.close("script");
}

/// The text, of which every character can be seen, without those that XML has no place for.
fn without_forbidden(text: &str) -> String {
    text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}
