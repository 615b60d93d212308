//! Writes an outcome as an element of nmap's XML.
//!
//! | outcome | host | port |
//! |---|---|---|
//! | open | up, syn-ack | open, syn-ack |
//! | closed | up, conn-refused | closed, conn-refused |
//! | filtered | up, user-set: assumed to be up without proof, as by `nmap -Pn` | filtered, with nmap's name of the reason |
//! | unchecked | unknown | unknown, with portmuster's name of the reason |
//!
//! A name without an address is written as a skipped `target`, because the format requires an
//! address for every `host`. Further information is in one `script` element called `portmuster`: with the
//! field names of JSON, and the algorithms of ssh servers as nmap's script `ssh2-enum-algos` writes them.
//! It is the only script of a port, because ndiff 7.93 fails if a port has two.

use std::net::IpAddr;

use super::{
    host_keys,
    markup::{Attribute, Markup, escape_bytes_for_xml, escape_for_xml},
    time::unix_seconds,
};
use crate::{
    outcome::{
        Identification, KexInit, NameList, Outcome, PortState, Reason, Service, ServiceDetails,
        Software, Weakness,
    },
    sink::{json::to_escaped_json, row::Row, text::escape},
    targets::Host,
};

/// The element that was written for an outcome.
pub(super) enum WrittenElement {
    /// A `host` that answered.
    HostUp,
    /// A `host` that did not answer.
    Host,
    /// A skipped `target`.
    SkippedTarget,
}

/// Writes the outcome on a line of its own.
pub(super) fn write(markup: &mut Markup, outcome: &Outcome) -> WrittenElement {
    let written = match address(outcome) {
        Some(address) => write_host(markup, outcome, address),
        None => write_skipped(markup, outcome),
    };
    markup.line_end();
    written
}

fn write_skipped(markup: &mut Markup, outcome: &Outcome) -> WrittenElement {
    let target = outcome.target.to_string();
    markup.empty(
        "target",
        &[
            ("specification", &*escape_for_xml(&target)),
            ("status", "skipped"),
            ("reason", "invalid"),
        ],
    );
    WrittenElement::SkippedTarget
}

/// Returns the address of the target; `None` for a name without one.
fn address(outcome: &Outcome) -> Option<IpAddr> {
    match (outcome.endpoint, &outcome.target.host) {
        (Some(endpoint), _) => Some(endpoint.ip()),
        (None, Host::Address(address)) => Some(*address),
        (None, Host::Name(_)) => None,
    }
}

fn write_host(markup: &mut Markup, outcome: &Outcome, address: IpAddr) -> WrittenElement {
    let time = unix_seconds(outcome.time).to_string();
    markup.open("host", &[("endtime", &time)]);
    let (state, reason) = status(outcome);
    markup.empty("status", &[("state", state), ("reason", &reason), ("reason_ttl", "0")]);
    let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    markup.empty("address", &[("addr", &address.to_string()), ("addrtype", kind)]);
    if let Host::Name(name) = &outcome.target.host {
        markup.open("hostnames", &[]);
        markup.empty("hostname", &[("name", &escape_for_xml(name)), ("type", "user")]);
        markup.close("hostnames");
    }
    markup.open("ports", &[]);
    write_port(markup, outcome);
    markup.close("ports");
    markup.close("host");
    match outcome.verdict.state {
        PortState::Open | PortState::Closed => WrittenElement::HostUp,
        PortState::Filtered | PortState::Unresolved | PortState::Unchecked => WrittenElement::Host,
    }
}

/// Returns the state of the host and the reason for it.
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
    let no_details = ServiceDetails::default();
    let details = verdict.details.as_deref().unwrap_or(&no_details);
    if let Some(service) = verdict.service {
        write_service(markup, service, details);
    }
    write_script(markup, outcome, details);
    markup.close("port");
}

/// Returns nmap's name of the reason; portmuster's name if nmap has none.
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

/// Writes the service with a confidence from 0 to 10.
fn write_service(markup: &mut Markup, service: Service, details: &ServiceDetails) {
    let Some((name, confidence)) = service.nmap_name() else { return };
    let protocol = details.protocol.as_deref().filter(|_| service == Service::Other);
    let name = protocol.map_or(name.into(), escape_for_xml);
    let software = details.software.as_deref();
    let claimed = details.identification.as_ref().map(ServiceVersion::new);
    let version = claimed.or_else(|| software.map(ServiceVersion::of)).unwrap_or_default();
    let fact = |fact: Option<&String>| {
        fact.map_or(String::new(), |it| escape_bytes_for_xml(it.as_bytes()).into())
    };
    let system = fact(software.and_then(|it| it.os.as_ref()));
    let cpe = fact(software.and_then(|it| it.cpe.as_ref()));
    let ServiceVersion { product, version, info } = &version;
    let all =
        [("product", product), ("version", version), ("extrainfo", info), ("ostype", &system)];
    let present = all.into_iter().filter(|(_, value)| !value.is_empty());
    let mut attributes = vec![("name", &*name)];
    attributes.extend(present.map(|(key, value)| (key, &**value)));
    attributes.extend([("method", "probed"), ("conf", confidence)]);
    if cpe.is_empty() {
        markup.empty("service", &attributes);
        return;
    }
    markup.open("service", &attributes);
    markup.text("cpe", &[], &cpe);
    markup.close("service");
}

/// The software of a server in nmap's attributes, escaped for XML.
#[derive(Default)]
struct ServiceVersion {
    product: String,
    version: String,
    info: String,
}

impl ServiceVersion {
    /// Takes the software that a fingerprint names.
    fn of(software: &Software) -> Self {
        let text = |text: &Option<String>| {
            text.as_ref().map_or(String::new(), |text| escape_bytes_for_xml(text.as_bytes()).into())
        };
        let (product, version) = (text(&software.product), text(&software.version));
        Self { product, version, info: text(&software.device) }
    }

    /// Splits the software of an ssh identification.
    fn new(identification: &Identification) -> Self {
        let software = escape_bytes_for_xml(&identification.software);
        let comment = escape_bytes_for_xml(identification.comment.as_deref().unwrap_or_default());
        let (product, version) = split_version(&software);
        Self {
            product: product.to_owned(),
            version: format!("{version} {comment}").trim().to_owned(),
            info: format!("protocol {}", escape_for_xml(&identification.protocol)),
        }
    }
}

/// Splits a product from its version, as in `OpenSSH_9.2p1` and `Cisco-1.25`.
fn split_version(software: &str) -> (&str, &str) {
    let is_end = |&(at, _): &(usize, &str)| {
        software[at + 1..].starts_with(|letter: char| letter.is_ascii_digit())
    };
    match software.match_indices(['_', '-', '/']).find(is_end) {
        Some((at, _)) => (&software[..at], &software[at + 1..]),
        None => (software, ""),
    }
}

/// Returns the algorithms like nmap's script `ssh2-enum-algos`: one list if both directions have the
/// same one.
fn algorithms(kex_init: &KexInit) -> Vec<(&'static str, &NameList)> {
    let mut lists = vec![
        ("kex_algorithms", &kex_init.kex),
        ("server_host_key_algorithms", &kex_init.host_keys),
    ];
    for (both, sent, received, one, other) in [
        (
            "encryption_algorithms",
            "encryption_algorithms_client_to_server",
            "encryption_algorithms_server_to_client",
            &kex_init.ciphers_client_to_server,
            &kex_init.ciphers_server_to_client,
        ),
        (
            "mac_algorithms",
            "mac_algorithms_client_to_server",
            "mac_algorithms_server_to_client",
            &kex_init.macs_client_to_server,
            &kex_init.macs_server_to_client,
        ),
        (
            "compression_algorithms",
            "compression_algorithms_client_to_server",
            "compression_algorithms_server_to_client",
            &kex_init.compression_client_to_server,
            &kex_init.compression_server_to_client,
        ),
    ] {
        if one == other {
            lists.push((both, one));
        } else {
            lists.extend([(sent, one), (received, other)]);
        }
    }
    lists
}

/// Formats a list for people, with its length.
fn list_text(key: &str, list: &NameList) -> String {
    let title = format!("\n  {key}: ({})", list.iter().count());
    list.iter().fold(title, |text, name| text + "\n      " + name)
}

/// Writes the fields that nmap's format lacks.
fn write_script(markup: &mut Markup, outcome: &Outcome, details: &ServiceDetails) {
    let verdict = &outcome.verdict;
    let row = details.evidence.as_ref().map(|_| Row::from(outcome));
    let evidence = row.and_then(|row| row.evidence.as_ref().map(to_escaped_json));
    let joined = |list: Vec<String>| (!list.is_empty()).then(|| list.join(" "));
    let findings = details.findings.iter().copied().map(Weakness::name).map(str::to_owned);
    // Already escaped, except for the characters that XML forbids.
    let banner = || escape_forbidden(&escape(&verdict.banner));
    let fields = [
        ("banner", (!verdict.banner.is_empty()).then(banner)),
        ("service", verdict.service.map(|service| service.name().to_owned())),
        ("rule", verdict.rule.map(|rule| rule.name().to_owned())),
        ("findings", joined(findings.collect())),
        ("host_key_missing", details.host_keys.missing.map(|failure| failure.name().to_owned())),
        ("telnet_options", joined(details.options.iter().map(ToString::to_string).collect())),
        ("telnet_daemon", details.telnet_daemon.map(|it| it.name.to_owned())),
        ("telnet_encryption", verdict.telnet_encryption().map(|it| it.name().to_owned())),
        (
            "fingerprint",
            details
                .software
                .as_deref()
                .map(|it| escape_bytes_for_xml(it.fingerprint.as_bytes()).into()),
        ),
        ("label", outcome.target.label.as_deref().map(|label| escape_for_xml(label).into_owned())),
        ("evidence", evidence.map(|json| escape_forbidden(&json))),
    ];
    let fields: Vec<_> =
        fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    if fields.is_empty() {
        return;
    }
    let lists = details.key_exchange.kex_init().map(algorithms).unwrap_or_default();
    let output: Vec<_> = fields.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    let lists_text: String = lists.iter().map(|(key, list)| list_text(key, list)).collect();
    let output = output.join("; ") + &lists_text + &host_keys::text(details);
    markup.open("script", &[("id", "portmuster"), ("output", &output)]);
    for (key, value) in &fields {
        let key: Attribute<'_> = ("key", key);
        markup.text("elem", &[key], value);
    }
    for (key, list) in lists {
        markup.open("table", &[("key", key)]);
        // The names are printable ASCII and need no escaping.
        list.iter().for_each(|name| markup.text("elem", &[], name));
        markup.close("table");
    }
    host_keys::write(markup, details);
    markup.close("script");
}

/// Escapes the characters that XML forbids in a text without invisible characters.
fn escape_forbidden(text: &str) -> String {
    text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}
