//! A row as values of a fixed set of columns, for formats with columns.

use std::borrow::Cow;

use serde::Serialize;

use super::{json::to_escaped_json, row::Row, row_text::RowText};

/// The names of the columns: the field names in JSON, in the same order. New columns are appended, so
/// that the position of a column never changes.
pub(crate) const COLUMNS: [&str; 45] = [
    "schema",
    "host",
    "port",
    "open",
    "state",
    "reason",
    "address",
    "service",
    "banner",
    "banner_base64",
    "ssh_protocol",
    "ssh_software",
    "ssh_comment",
    "kex_algorithms",
    "host_key_algorithms",
    "ciphers_client_to_server",
    "ciphers_server_to_client",
    "macs_client_to_server",
    "macs_server_to_client",
    "compression_client_to_server",
    "compression_server_to_client",
    "kex_missing",
    "telnet_options",
    "protocol",
    "findings",
    "connect_ms",
    "first_byte_ms",
    "total_ms",
    "label",
    "attempts",
    "time",
    "evidence",
    "rule",
    "vendor",
    "product",
    "version",
    "os",
    "device",
    "cpe",
    "fingerprint",
    "telnet_daemon",
    "telnet_daemon_confidence_percent",
    "telnet_encryption",
    "host_keys",
    "host_key_missing",
];

/// The value of one column in one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ColumnValue<'a> {
    /// The field is absent.
    Empty,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Number(u32),
    /// A number of milliseconds.
    Milliseconds(f64),
    /// A name that this program defines, which starts with a letter or a digit, or an address.
    Word(&'a str),
    /// Untrusted text. Base64 is among it, because its first byte is untrusted, too.
    Text(Cow<'a, str>),
    /// Untrusted text that is [escaped](super::escape) already, because it is not UTF-8.
    Escaped(&'a str),
    /// JSON with invisible characters escaped.
    Json(String),
}

/// Returns the values of a row, one for each of [`COLUMNS`]. Lists are joined by spaces; the evidence
/// is JSON, as in JSON lines.
pub(super) fn column_values<'a>(row: &'a Row<'_>) -> [ColumnValue<'a>; COLUMNS.len()] {
    [
        ColumnValue::Number(row.schema),
        ColumnValue::Text((&*row.host).into()),
        ColumnValue::Number(row.port.into()),
        ColumnValue::Bool(row.open),
        ColumnValue::Word(row.state),
        ColumnValue::Word(&row.reason),
        word(row.address.as_deref()),
        word(row.service),
        text(row.banner),
        text(row.banner_base64.as_deref()),
        text(row.ssh_protocol),
        row_text(row.ssh_software.as_ref()),
        row_text(row.ssh_comment.as_ref()),
        list(row.kex_algorithms.as_deref()),
        list(row.host_key_algorithms.as_deref()),
        list(row.ciphers_client_to_server.as_deref()),
        list(row.ciphers_server_to_client.as_deref()),
        list(row.macs_client_to_server.as_deref()),
        list(row.macs_server_to_client.as_deref()),
        list(row.compression_client_to_server.as_deref()),
        list(row.compression_server_to_client.as_deref()),
        word(row.kex_missing),
        list(row.telnet_options.as_deref()),
        text(row.protocol),
        list(row.findings.as_deref()),
        milliseconds(row.connect_ms),
        milliseconds(row.first_byte_ms),
        milliseconds(row.total_ms),
        text(row.label),
        ColumnValue::Number(row.attempts),
        ColumnValue::Word(&row.time),
        json(row.evidence.as_ref()),
        word(row.rule),
        text(row.vendor),
        text(row.product),
        text(row.version),
        text(row.os),
        text(row.device),
        text(row.cpe),
        text(row.fingerprint),
        word(row.telnet_daemon),
        number(row.telnet_daemon_confidence_percent),
        word(row.telnet_encryption),
        json(row.host_keys.as_ref()),
        word(row.host_key_missing),
    ]
}

fn json<'a>(value: Option<&impl Serialize>) -> ColumnValue<'a> {
    value.map_or(ColumnValue::Empty, |value| ColumnValue::Json(to_escaped_json(value)))
}

fn word(word: Option<&str>) -> ColumnValue<'_> {
    word.map_or(ColumnValue::Empty, ColumnValue::Word)
}

fn text(text: Option<&str>) -> ColumnValue<'_> {
    text.map_or(ColumnValue::Empty, |text| ColumnValue::Text(text.into()))
}

fn row_text<'a>(text: Option<&'a RowText<'_>>) -> ColumnValue<'a> {
    match text {
        None => ColumnValue::Empty,
        Some(RowText::Utf8(text)) => ColumnValue::Text((*text).into()),
        Some(RowText::Escaped(text)) => ColumnValue::Escaped(text),
    }
}

fn number<'a>(number: Option<u8>) -> ColumnValue<'a> {
    number.map_or(ColumnValue::Empty, |number| ColumnValue::Number(number.into()))
}

fn milliseconds<'a>(milliseconds: Option<f64>) -> ColumnValue<'a> {
    milliseconds.map_or(ColumnValue::Empty, ColumnValue::Milliseconds)
}

fn list<S: AsRef<str>>(list: Option<&[S]>) -> ColumnValue<'_> {
    let Some(list) = list else { return ColumnValue::Empty };
    let names: Vec<_> = list.iter().map(AsRef::as_ref).collect();
    ColumnValue::Text(names.join(" ").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::samples;

    /// The fields that the sample lacks.
    const ABSENT: [&str; 4] =
        ["banner_base64", "kex_missing", "telnet_encryption", "host_key_missing"];

    #[test]
    fn columns_are_the_json_fields_in_order() {
        let everything = samples::everything();
        let json = to_escaped_json(&Row::from(&everything));
        let positions: Vec<_> = COLUMNS
            .iter()
            .filter(|&&column| !ABSENT.contains(&column))
            .map(|column| json.rfind(&format!("\"{column}\":")).expect("the row has the field"))
            .collect();
        assert!(positions.is_sorted(), "{json}");
    }

    #[test]
    fn every_json_field_has_a_column_with_the_same_value() {
        for outcome in
            [samples::everything(), samples::binary(), samples::no_utf8(), samples::unresolved()]
        {
            let row = Row::from(&outcome);
            let json = serde_json::to_value(&row).expect("a row is JSON");
            let json = json.as_object().expect("a row is an object");
            assert!(json.keys().all(|key| COLUMNS.contains(&key.as_str())), "{json:?}");
            for (column, value) in COLUMNS.into_iter().zip(column_values(&row)) {
                let host_keys = || row.host_keys.as_ref().map(to_escaped_json);
                let expected = || json.get(column).map(flat);
                let expected = if column == "host_keys" { host_keys() } else { expected() };
                assert_eq!(text_of(value), expected, "{column}");
            }
        }
    }

    fn text_of(value: ColumnValue<'_>) -> Option<String> {
        Some(match value {
            ColumnValue::Empty => return None,
            ColumnValue::Bool(value) => value.to_string(),
            ColumnValue::Number(number) => number.to_string(),
            ColumnValue::Milliseconds(milliseconds) => milliseconds.to_string(),
            ColumnValue::Word(word) => word.to_owned(),
            ColumnValue::Text(text) => text.into_owned(),
            ColumnValue::Escaped(text) => text.to_owned(),
            ColumnValue::Json(json) => json,
        })
    }

    fn flat(value: &serde_json::Value) -> String {
        use serde_json::Value;

        match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => match number.as_u64() {
                Some(whole) => whole.to_string(),
                None => number.as_f64().expect("every number fits in f64").to_string(),
            },
            Value::Array(names) => names.iter().map(flat).collect::<Vec<_>>().join(" "),
            Value::Object(_) => {
                // The map does not keep the order of the keys, so serialize the field of the row.
                let everything = samples::everything();
                let row = Row::from(&everything);
                to_escaped_json(row.evidence.as_ref().expect("the sample has evidence"))
            }
            Value::Bool(value) => value.to_string(),
            Value::Null => panic!("an absent field is null"),
        }
    }
}
