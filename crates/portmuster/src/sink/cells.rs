//! A row as formats write it that have a fixed set of columns: cells, some of them empty.

use std::borrow::Cow;

use super::{Row, RowText, jsonl::visible};

/// The columns: the names of the fields in JSON, in their order there. New ones come last, so that
/// the position of a column never changes.
pub(super) const COLUMNS: [&str; 33] = [
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
];

/// What stands in one column of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// The field is absent.
    Empty,
    Truth(bool),
    Number(u32),
    /// Milliseconds.
    Time(f64),
    /// One of our own words, whose first character is a letter or a digit, or an address.
    Word(&'a str),
    /// Text that a stranger may have chosen, also in base64: with one byte, how it begins.
    Text(Cow<'a, str>),
    /// Such a text that was [escaped](super::escape) already, because it is not UTF-8.
    Spelled(&'a str),
    /// A value in JSON, in which everything can be seen.
    Json(String),
}

/// The cells of a row, one for each of [`COLUMNS`]. Lists are joined by spaces; the evidence is
/// JSON, as it is in JSON lines.
pub(super) fn cells<'a>(row: &'a Row<'_>) -> [Cell<'a>; COLUMNS.len()] {
    [
        Cell::Number(row.schema),
        Cell::Text((&*row.host).into()),
        Cell::Number(row.port.into()),
        Cell::Truth(row.open),
        Cell::Word(row.state),
        Cell::Word(&row.reason),
        word(row.address.as_deref()),
        word(row.service),
        text(row.banner),
        text(row.banner_base64.as_deref()),
        text(row.ssh_protocol),
        said(row.ssh_software.as_ref()),
        said(row.ssh_comment.as_ref()),
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
        time(row.connect_ms),
        time(row.first_byte_ms),
        time(row.total_ms),
        text(row.label),
        Cell::Number(row.attempts),
        Cell::Word(&row.time),
        row.evidence.as_ref().map_or(Cell::Empty, |evidence| Cell::Json(visible(evidence))),
        word(row.rule),
    ]
}

fn word(word: Option<&str>) -> Cell<'_> {
    word.map_or(Cell::Empty, Cell::Word)
}

fn text(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Empty, |text| Cell::Text(text.into()))
}

fn said<'a>(text: Option<&'a RowText<'_>>) -> Cell<'a> {
    match text {
        None => Cell::Empty,
        Some(RowText::Utf8(text)) => Cell::Text((*text).into()),
        Some(RowText::Spelled(text)) => Cell::Spelled(text),
    }
}

fn time<'a>(time: Option<f64>) -> Cell<'a> {
    time.map_or(Cell::Empty, Cell::Time)
}

fn list<S: AsRef<str>>(list: Option<&[S]>) -> Cell<'_> {
    let Some(list) = list else { return Cell::Empty };
    let names: Vec<_> = list.iter().map(AsRef::as_ref).collect();
    Cell::Text(names.join(" ").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::samples;

    #[test]
    fn the_columns_are_the_fields_of_json_in_their_order() {
        let everything = samples::everything();
        let json = visible(&Row::from(&everything));
        let places: Vec<_> = COLUMNS
            .iter()
            .filter(|&&column| column != "banner_base64" && column != "kex_missing")
            .map(|column| json.rfind(&format!("\"{column}\":")).expect("it is in the row"))
            .collect();
        assert!(places.is_sorted(), "{json}");
    }

    #[test]
    fn every_field_of_json_has_a_column_with_what_it_says() {
        for outcome in
            [samples::everything(), samples::binary(), samples::no_utf8(), samples::unresolved()]
        {
            let row = Row::from(&outcome);
            let json = serde_json::to_value(&row).expect("it is JSON");
            let json = json.as_object().expect("it is an object");
            assert!(json.keys().all(|key| COLUMNS.contains(&key.as_str())), "{json:?}");
            for (column, cell) in COLUMNS.into_iter().zip(cells(&row)) {
                assert_eq!(told(cell), json.get(column).map(flat), "{column}");
            }
        }
    }

    fn told(cell: Cell<'_>) -> Option<String> {
        Some(match cell {
            Cell::Empty => return None,
            Cell::Truth(truth) => truth.to_string(),
            Cell::Number(number) => number.to_string(),
            Cell::Time(time) => time.to_string(),
            Cell::Word(word) => word.to_owned(),
            Cell::Text(text) => text.into_owned(),
            Cell::Spelled(text) => text.to_owned(),
            Cell::Json(json) => json,
        })
    }

    fn flat(value: &serde_json::Value) -> String {
        use serde_json::Value;

        match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => match number.as_u64() {
                Some(whole) => whole.to_string(),
                None => number.as_f64().expect("it is a number").to_string(),
            },
            Value::Array(names) => names.iter().map(flat).collect::<Vec<_>>().join(" "),
            Value::Object(_) => {
                // The keys' order is the row's, which a map does not keep.
                let everything = samples::everything();
                let row = Row::from(&everything);
                visible(row.evidence.as_ref().expect("it was asked for"))
            }
            Value::Bool(truth) => truth.to_string(),
            Value::Null => panic!("what is absent is null"),
        }
    }
}
