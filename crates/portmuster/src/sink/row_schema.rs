//! The JSON Schema of a row of JSON lines.
//!
//! Words come from the enums that rows are written from, so that the schema always has all of them.

use serde_json::{Map, Value, json};

use super::{
    host_key_row::{host_key_missing_schema, host_keys_schema},
    row::SCHEMA,
};
use crate::{
    outcome::{
        Fault, KexFailure, PortState, Reason, Rule, Service, Side, TelnetEncryption, Weakness,
    },
    probe::known_protocols,
    software::known_telnet_daemons,
};

/// A field of a row.
struct Field {
    name: &'static str,
    /// Whether every row has it.
    presence: Presence,
    about: &'static str,
    /// Returns the schema of its values.
    values: fn() -> Value,
}

/// Which rows have a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// All of them.
    Always,
    /// Those of open ports, and no others.
    Open,
    /// Some of them.
    Sometimes,
}

use Presence::{Always, Open, Sometimes};

/// The fields, in the order of a row.
#[rustfmt::skip]
const FIELDS: [Field; 45] = [
    field("schema", Always, "The version of the fields.", || json!({ "const": SCHEMA })),
    field("host", Always, "The host as it was named: an address or a name.", text),
    field("port", Always, "The TCP port.", || json!({ "type": "integer", "minimum": 0, "maximum": 65_535 })),
    field("open", Always, "Whether a connection was accepted.", || json!({ "type": "boolean" })),
    field("state", Always, "The port state.", || one_of(PortState::ALL.map(PortState::name))),
    field("reason", Always, "The reason for the state.", reason),
    field("address", Sometimes, "The address that the row is about. Absent if no connection was tried.", text),
    field("service", Open, "The service of an open port.", || one_of(Service::ALL.map(Service::name))),
    field("banner", Sometimes, "The greeting, if it is UTF-8.", text),
    field("banner_base64", Sometimes, "The greeting, if it is not UTF-8.", base64),
    field("ssh_protocol", Sometimes, "The version of the ssh protocol.", text),
    field("ssh_software", Sometimes, "The software in the ssh identification, with its version.", text),
    field("ssh_comment", Sometimes, "The comment in the ssh identification.", text),
    field("kex_algorithms", Sometimes, "Key exchange methods, in the order of the server.", list),
    field("host_key_algorithms", Sometimes, "Host key algorithms, in the order of the server.", list),
    field("ciphers_client_to_server", Sometimes, "Ciphers from client to server, in the order of the server.", list),
    field("ciphers_server_to_client", Sometimes, "Ciphers from server to client, in the order of the server.", list),
    field("macs_client_to_server", Sometimes, "Message authentication codes from client to server, in the order of the server.", list),
    field("macs_server_to_client", Sometimes, "Message authentication codes from server to client, in the order of the server.", list),
    field("compression_client_to_server", Sometimes, "Compression methods from client to server, in the order of the server.", list),
    field("compression_server_to_client", Sometimes, "Compression methods from server to client, in the order of the server.", list),
    field("kex_missing", Sometimes, "Why the lists are absent although they were asked for.", || one_of(KexFailure::ALL.map(KexFailure::name))),
    field("telnet_options", Sometimes, "The options that a telnet server offered (will) or requested (do).", || list_of(&json!({ "type": "string", "pattern": "^(will|do) " }))),
    field("protocol", Sometimes, "The protocol of the service other.", || one_of(known_protocols())),
    field("findings", Sometimes, "The weaknesses of an ssh or telnet server.", || list_of(&one_of(Weakness::ALL.map(Weakness::name)))),
    field("connect_ms", Open, "Milliseconds until the connection was accepted.", milliseconds),
    field("first_byte_ms", Sometimes, "Milliseconds until the first byte arrived.", milliseconds),
    field("total_ms", Sometimes, "Milliseconds until the verdict. Absent if no connection was tried.", milliseconds),
    field("label", Sometimes, "The label of the target.", text),
    field("attempts", Always, "How many connections were started.", count),
    field("time", Always, "The time of the verdict: UTC, with milliseconds.", || json!({ "type": "string", "format": "date-time" })),
    field("evidence", Sometimes, "The conversation, if recording was requested.", evidence),
    field("rule", Open, "The rule that decided on the service.", rule),
    field("vendor", Sometimes, "The maker of the software, or of the device.", text),
    field("product", Sometimes, "The software of the server, as a fingerprint names it.", text),
    field("version", Sometimes, "The version of the software, as the server states it.", text),
    field("os", Sometimes, "The operating system.", text),
    field("device", Sometimes, "The kind or the model of the device.", text),
    field("cpe", Sometimes, "The name of the software, the system or the device in the Common Platform Enumeration.", text),
    field("fingerprint", Sometimes, "The fingerprint that names the software.", text),
    field("telnet_daemon", Sometimes, "Which daemon a telnet server is, by the order of its options.", || one_of(known_telnet_daemons())),
    field("telnet_daemon_confidence_percent", Sometimes, "How certain the daemon is, in percent.", || json!({ "type": "integer", "minimum": 1, "maximum": 100 })),
    field("telnet_encryption", Sometimes, "Whether a telnet server offers to encrypt the session.", || one_of(TelnetEncryption::ALL.map(TelnetEncryption::name))),
    field("host_keys", Sometimes, "The host keys of an ssh server, if they were asked for.", host_keys_schema),
    field("host_key_missing", Sometimes, "Why a host key is absent although it was asked for.", host_key_missing_schema),
];

const fn field(
    name: &'static str,
    presence: Presence,
    about: &'static str,
    values: fn() -> Value,
) -> Field {
    Field { name, presence, about, values }
}

/// Returns the JSON Schema (2020-12) of a row that [`Jsonl`](super::Jsonl) writes.
///
/// It describes the rows of this version exactly: another field or an unknown word is invalid. A later
/// version may add fields and words, so validate rows with the schema of the version that wrote them.
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(&portmuster::sink::row_schema())?;
/// assert_eq!(schema["properties"]["state"]["enum"][0], "open");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn row_schema() -> String {
    let property = |field: &Field| {
        let mut schema = Map::from_iter([("description".to_owned(), field.about.into())]);
        if let Value::Object(values) = (field.values)() {
            schema.extend(values);
        }
        (field.name.to_owned(), Value::Object(schema))
    };
    let properties: Map<_, _> = FIELDS.iter().map(property).collect();
    let absent: Map<_, _> = names(Open).map(|name| (name.to_owned(), Value::Bool(false))).collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:portmuster:row:{SCHEMA}"),
        "title": "A row of portmuster check -o jsonl",
        "description": format!(
            "The outcome of one target, by portmuster {}. Fields that do not apply are absent.",
            env!("CARGO_PKG_VERSION")
        ),
        "type": "object",
        "properties": properties,
        "required": names(Always).collect::<Vec<_>>(),
        "additionalProperties": false,
        "if": { "properties": { "open": { "const": true } } },
        "then": {
            "properties": { "state": { "const": PortState::Open.name() } },
            "required": names(Open).collect::<Vec<_>>(),
        },
        "else": {
            "properties": {
                "state": { "not": { "const": PortState::Open.name() } },
            },
            "allOf": [{ "properties": absent }],
        },
    });
    format!("{schema:#}\n")
}

/// Iterates over the names of all fields of a row and what they contain, in the order of a row.
///
/// ```
/// let fields: Vec<_> = portmuster::sink::row_fields().collect();
/// assert_eq!(fields[1], ("host", "The host as it was named: an address or a name."));
/// ```
pub fn row_fields() -> impl Iterator<Item = (&'static str, &'static str)> {
    FIELDS.iter().map(|field| (field.name, field.about))
}

/// Iterates over the names of the fields that these rows have.
fn names(presence: Presence) -> impl Iterator<Item = &'static str> {
    FIELDS.iter().filter(move |field| field.presence == presence).map(|field| field.name)
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn base64() -> Value {
    json!({ "type": "string", "contentEncoding": "base64" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn milliseconds() -> Value {
    json!({ "type": "number", "minimum": 0 })
}

fn list() -> Value {
    list_of(&text())
}

fn list_of(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn one_of(words: impl IntoIterator<Item = &'static str>) -> Value {
    json!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

fn reason() -> Value {
    let fixed = Reason::FIXED.map(|(_, name)| name).into_iter();
    let number = json!({ "type": "string", "pattern": "^errno-[0-9]+$" });
    json!({ "anyOf": [one_of(fixed.chain(Fault::ALL.map(Fault::name))), number] })
}

fn rule() -> Value {
    one_of(Rule::ALL.map(Rule::name))
}

/// Returns the schema of the recorded conversation.
fn evidence() -> Value {
    let part = json!({
        "type": "object",
        "properties": {
            "at_ms": milliseconds(),
            "side": one_of(Side::ALL.map(Side::name)),
            "text": text(),
            "base64": base64(),
        },
        "required": ["at_ms", "side"],
        "oneOf": [{ "required": ["text"] }, { "required": ["base64"] }],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "rule": rule(),
            "parts": list_of(&part),
            "left_out_bytes": count(),
        },
        "required": ["rule", "parts", "left_out_bytes"],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use boon::{Compiler, Draft, SchemaIndex, Schemas};

    use super::*;
    use crate::{
        outcome::Outcome,
        sink::{columns::COLUMNS, row::Row, samples},
    };

    /// The schema, ready to validate.
    struct Validator {
        schemas: Schemas,
        index: SchemaIndex,
    }

    impl Validator {
        fn new() -> Self {
            let schema = serde_json::from_str(&row_schema()).expect("it is JSON");
            let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
            compiler.set_default_draft(Draft::V2020_12);
            compiler.enable_format_assertions();
            compiler.add_resource("row.json", schema).expect("it is a resource");
            let index = compiler.compile("row.json", &mut schemas).expect("it is a schema");
            Self { schemas, index }
        }

        fn check(&self, row: &Value) -> Result<(), String> {
            self.schemas.validate(row, self.index).map_err(|error| format!("{error:#}"))
        }
    }

    fn row(outcome: &Outcome) -> Value {
        serde_json::to_value(Row::from(outcome)).expect("rows are serializable")
    }

    fn outcomes() -> Vec<Outcome> {
        let not_open =
            Reason::known().chain([Reason::Errno(95)]).filter(|it| *it != Reason::Accepted);
        let states = PortState::ALL.into_iter().filter(|state| *state != PortState::Open);
        let services = Service::ALL.into_iter().zip(Rule::ALL.into_iter().cycle());
        let open = services.map(|(service, rule)| {
            let mut outcome = samples::open(b"", None);
            outcome.verdict.service = Some(service);
            outcome.verdict.rule = Some(rule);
            outcome
        });
        let special = [samples::everything(), samples::binary(), samples::no_utf8()];
        let not_open = not_open
            .flat_map(|reason| states.clone().map(move |state| samples::not_open(state, reason)));
        not_open.chain(open).chain(special).chain([samples::unresolved()]).collect()
    }

    #[test]
    fn rows_of_every_kind_are_valid() {
        let validator = Validator::new();
        for outcome in outcomes() {
            let row = row(&outcome);
            validator.check(&row).unwrap_or_else(|error| panic!("{error}\n{row:#}"));
        }
    }

    #[test]
    fn schema_has_every_field_of_a_row_in_order() {
        assert_eq!(FIELDS.map(|field| field.name), COLUMNS);
        let Value::Object(row) = row(&samples::everything()) else { panic!("a row is an object") };
        for field in row.keys() {
            assert!(COLUMNS.contains(&field.as_str()), "{field}");
        }
    }

    #[test]
    fn rows_with_unknown_missing_or_wrong_fields_are_invalid() {
        let validator = Validator::new();
        let (open, closed) = (row(&samples::everything()), row(&samples::unresolved()));
        let changed = |row: &Value, field: &str, value: Option<Value>| {
            let mut row = row.clone();
            let fields = row.as_object_mut().expect("a row is an object");
            match value {
                Some(value) => fields.insert(field.to_owned(), value),
                None => fields.remove(field),
            };
            row
        };
        for (base, field, value) in [
            (&open, "colour", Some(json!("red"))),
            (&open, "host", None),
            (&open, "service", None),
            (&open, "rule", None),
            (&open, "service", Some(json!("ftp"))),
            (&open, "state", Some(json!("closed"))),
            (&open, "port", Some(json!("22"))),
            (&open, "port", Some(json!(65_536))),
            (&open, "schema", Some(json!(SCHEMA + 1))),
            (&open, "findings", Some(json!(["no-such"]))),
            (&open, "telnet_options", Some(json!(["echo"]))),
            (&open, "time", Some(json!("today"))),
            (
                &open,
                "evidence",
                Some(json!({ "rule": "menu", "parts": [], "left_out_bytes": 0, "x": 1 })),
            ),
            (&closed, "service", Some(json!("ssh"))),
            (&closed, "state", Some(json!("open"))),
            (&closed, "reason", Some(json!("errno-x"))),
        ] {
            let row = changed(base, field, value);
            assert!(validator.check(&row).is_err(), "{field}: {row:#}");
        }
    }
}
