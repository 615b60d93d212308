//! The objects of a SARIF document, with the names of the specification.
//!
//! | object | content |
//! |---|---|
//! | `tool.driver.rules` | what is forbidden, then every weakness |
//! | `results` | what was found, one line for each |
//! | `invocations` | whether the run has reached its end, and what it could not examine |

use std::{collections::BTreeMap, io};

use serde::Serialize;
use twox_hash::XxHash3_128;

use super::rules::SarifRules;
use crate::{
    outcome::{Outcome, PortState, Weakness},
    sink::{
        interface::Ending, json::push_json_line, short_text::ShortText, text::escape,
        timestamp::timestamp,
    },
    targets::Host,
};

/// The published schema of the format.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The version of what fingerprints are computed from.
const FINGERPRINT: &str = "portmusterTarget/v1";

/// Maximum number of algorithms that a message lists. A hostile server may send thousands.
const ALGORITHMS_MAX: usize = 8;

/// How serious a result is.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warning,
    Note,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Message>,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: Level,
}

/// What was found on one target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SarifResult<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: Level,
    message: Message,
    locations: [Location; 1],
    partial_fingerprints: BTreeMap<&'static str, String>,
    properties: Properties<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    logical_locations: [LogicalLocation; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    fully_qualified_name: String,
    kind: &'static str,
}

/// The parts of the target, for programs that filter results.
#[derive(Debug, Serialize)]
struct Properties<'a> {
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    end_time_utc: ShortText,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Debug, Serialize)]
struct Notification {
    level: Level,
    message: Message,
}

impl SarifRules {
    /// Returns the names of what is forbidden and is no weakness, each once.
    fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.services.values().copied().collect();
        names.sort_unstable();
        names.dedup();
        let open = self.open.then_some("open");
        open.into_iter().chain(names).collect()
    }

    fn level(&self, weakness: Weakness) -> Level {
        if self.weaknesses.contains(&weakness) { Level::Error } else { Level::Warning }
    }
}

impl Rule {
    fn all_of(rules: &SarifRules) -> Vec<Self> {
        let forbidden = |id| {
            let text = match id {
                "open" => "a port accepts connections, and open ports are forbidden".into(),
                service => format!("a port serves {service}, which is forbidden"),
            };
            let default_configuration = Configuration { level: Level::Error };
            Self { id, short_description: Message { text }, help: None, default_configuration }
        };
        let weak = |weakness: Weakness| Self {
            id: weakness.name(),
            short_description: Message { text: weakness.why().into() },
            help: Some(Message { text: format!("Source: {}", weakness.source()) }),
            default_configuration: Configuration { level: rules.level(weakness) },
        };
        rules.names().into_iter().map(forbidden).chain(Weakness::ALL.map(weak)).collect()
    }
}

impl<'a> SarifResult<'a> {
    /// Returns what was found on an open port.
    pub(super) fn all_of(outcome: &'a Outcome, rules: &SarifRules) -> Vec<Self> {
        let location = location(outcome, rules.has_addresses);
        let names = rules.names();
        let service = outcome.verdict.service.and_then(|service| rules.services.get(&service));
        let open = rules.open.then_some("open");
        let forbidden = open.into_iter().chain(service.copied()).map(|name| {
            let index = names.iter().position(|other| *other == name).unwrap_or_default();
            let text = match name {
                "open" => format!("{location} accepts connections"),
                service => format!("{location} serves {service}"),
            };
            Self::new(outcome, &location, (name, index), Level::Error, text)
        });
        let findings = outcome.verdict.details.iter().flat_map(|details| &details.findings);
        let weak = findings.map(|&weakness| {
            let rule = (weakness.name(), names.len() + weakness as usize);
            let text = describe(weakness, outcome, &location);
            Self::new(outcome, &location, rule, rules.level(weakness), text)
        });
        forbidden.chain(weak).collect()
    }

    fn new(
        outcome: &'a Outcome,
        location: &str,
        (rule_id, rule_index): (&'static str, usize),
        level: Level,
        text: String,
    ) -> Self {
        let hash = XxHash3_128::oneshot(format!("{rule_id}\0{location}").as_bytes());
        let (fully_qualified_name, kind) = (location.to_owned(), "resource");
        Self {
            rule_id,
            rule_index,
            level,
            message: Message { text },
            locations: [Location {
                logical_locations: [LogicalLocation { fully_qualified_name, kind }],
            }],
            partial_fingerprints: [(FINGERPRINT, format!("{hash:032x}"))].into(),
            properties: Properties {
                host: escape(outcome.target.host.to_string().as_bytes()),
                port: outcome.target.port,
                address: outcome.endpoint.map(|endpoint| endpoint.ip().to_string()),
                service: outcome.verdict.service.map(crate::outcome::Service::name),
                label: outcome.target.label.as_deref(),
            },
        }
    }
}

/// Names the target, with the address if each address of a name is a target.
fn location(outcome: &Outcome, has_addresses: bool) -> String {
    let target = escape(outcome.target.to_string().as_bytes());
    match (&outcome.target.host, outcome.endpoint) {
        (Host::Name(_), Some(endpoint)) if has_addresses => {
            format!("{target} at {}", endpoint.ip())
        }
        _ => target,
    }
}

/// Describes the weakness of a server, with the algorithms that have it.
fn describe(weakness: Weakness, outcome: &Outcome, location: &str) -> String {
    let kex_init = outcome.verdict.details.as_ref().and_then(|it| it.key_exchange.kex_init());
    let names = kex_init.map(|kex_init| weakness.algorithms(kex_init)).unwrap_or_default();
    let more = match names.len().saturating_sub(ALGORITHMS_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let listed = names.iter().take(ALGORITHMS_MAX).copied().collect::<Vec<_>>().join(", ");
    let offered = match weakness {
        Weakness::NoPostQuantum => "offers no post-quantum key exchange",
        Weakness::TelnetNewEnviron => "requests new-environ",
        Weakness::HostKeyUnproven => "sends a host key without a valid signature",
        Weakness::HostKeyShort => "has a short RSA host key",
        Weakness::HostKeyRevoked => "has a revoked host key",
        Weakness::HostKeyChanged => "has another host key than the known one",
        Weakness::HostKeyUnknown => "has an unknown host key",
        _ if listed.is_empty() => &format!("offers {weakness}"),
        _ => &format!("offers {listed}"),
    };
    format!("{location} {offered}{more}: {}", weakness.why())
}

/// Returns the part of the document before the first result: complete lines.
///
/// # Errors
/// None in practice: the rules are text.
pub(super) fn head(rules: &SarifRules) -> io::Result<Vec<u8>> {
    let driver = Driver {
        name: "portmuster",
        version: env!("CARGO_PKG_VERSION"),
        rules: Rule::all_of(rules),
    };
    let start = format!(
        "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{{\"driver\":\n"
    );
    let mut head = start.into_bytes();
    push_json_line(&mut head, &driver)?;
    head.extend(b"},\"results\":[\n");
    Ok(head)
}

/// Returns the part of the document after the last result.
///
/// # Errors
/// None in practice: the ending is text.
pub(super) fn tail(ending: &Ending) -> io::Result<Vec<u8>> {
    let count = |state| u128::from(ending.account.state(state));
    let left = ending.left();
    let unexamined = [
        (left, Level::Error, "not examined, because the run was stopped"),
        (
            count(PortState::Unchecked),
            Level::Warning,
            "not checked, because this machine could not",
        ),
        (
            count(PortState::Filtered),
            Level::Note,
            "silent or shielded, so nothing is known of them",
        ),
        (count(PortState::Unresolved), Level::Note, "names without an address"),
    ];
    let notification = |(count, level, what)| {
        let text = match count {
            0 => return None,
            1 => format!("1 target was {what}").replace("names without", "a name without"),
            _ => format!("{count} targets were {what}"),
        };
        Some(Notification { level, message: Message { text } })
    };
    let invocation = Invocation {
        execution_successful: left == 0,
        end_time_utc: timestamp(ending.time),
        tool_execution_notifications: unexamined.into_iter().filter_map(notification).collect(),
    };
    let mut tail = b"],\"invocations\":[\n".to_vec();
    push_json_line(&mut tail, &invocation)?;
    tail.extend(b"]}]}\n");
    Ok(tail)
}
