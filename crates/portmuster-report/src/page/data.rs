//! The data of the page's script, compressed (RFC 1951) and in base64.
//!
//! The open targets are columns of numbers, so that a filter over a million rows is one loop; texts are
//! numbers of a list. Evidence is in chunks that are decompressed when a row is opened.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::DeflateEncoder};
use serde_json::{Value, json};

use super::drawing;
use crate::{
    class::Class,
    collect::{Collector, Entry, HostKey, OpenPort},
    map::{RowKind, SubnetMap},
    report::Report,
    text::shorten,
    texts::TextId,
};

/// Number of rows in a chunk of evidence. The script has the same number.
const CHUNK: usize = 1024;

/// The most characters of a greeting in the table.
const GREETING_MAX: usize = 48;

/// The most different greetings in the table; those after them are only in the evidence.
const GREETINGS_MAX: usize = 50_000;

/// How much evidence there is room for, if more is too large: the characters of a greeting, and whether
/// conversations and offers are kept.
const LEVELS: [(usize, bool, bool); 4] =
    [(2048, true, true), (400, true, true), (200, false, true), (60, false, false)];

/// The bytes of evidence, in all and for each open target.
const EVIDENCE_MAX: (usize, usize) = (400_000, 180);

/// A column of numbers.
struct Column {
    name: &'static str,
    values: Vec<u32>,
    /// Whether each number is the difference to the one before.
    is_delta: bool,
}

/// Texts by their numbers in the table.
#[derive(Default)]
struct Dictionary {
    texts: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Dictionary {
    fn add(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = u32::try_from(self.texts.len()).expect("the texts fit in memory");
        self.texts.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }
}

/// Returns the open targets as columns.
pub(super) fn table(report: &Report) -> String {
    let rows = &report.rows;
    let mut dictionary = Dictionary::default();
    // Number 0 is the empty text.
    dictionary.add("");
    let open: Vec<_> = rows
        .targets
        .iter()
        .filter_map(|entry| Some((entry, &rows.open[entry.open? as usize])))
        .collect();
    let mut columns = numbers(&open);
    columns.extend(texts(rows, &open, &mut dictionary));
    columns.push(changed(report, &open));
    let header = json!({
        "rows": open.len(),
        "texts": dictionary.texts,
        "classes": Class::ALL.map(|class| [class.name(), class.label()]),
        "columns": columns.iter().map(|it| json!([it.name, it.width(), it.is_delta])).collect::<Vec<_>>(),
    });
    let mut bytes = Vec::new();
    push_padded(&mut bytes, header.to_string().as_bytes());
    let mut blob =
        u32::try_from(bytes.len()).expect("the header fits in memory").to_le_bytes().to_vec();
    blob.append(&mut bytes);
    for column in &columns {
        push_padded(&mut blob, &column.bytes());
    }
    compress(&blob)
}

/// Appends bytes and fills up to a multiple of four, where a column of numbers may begin. Spaces are
/// white space in JSON.
fn push_padded(blob: &mut Vec<u8>, bytes: &[u8]) {
    blob.extend_from_slice(bytes);
    while !blob.len().is_multiple_of(4) {
        blob.push(b' ');
    }
}

impl Column {
    fn new(name: &'static str, values: impl Iterator<Item = u32>) -> Self {
        Self { name, values: values.collect(), is_delta: false }
    }

    /// Returns how many bytes a number takes.
    fn width(&self) -> usize {
        match self.stored().max().unwrap_or_default() {
            ..0x100 => 1,
            0x100..0x1_0000 => 2,
            _ => 4,
        }
    }

    /// Iterates over the numbers that are written.
    fn stored(&self) -> impl Iterator<Item = u32> {
        let mut before = 0;
        self.values.iter().map(move |&value| {
            let stored = if self.is_delta { value.wrapping_sub(before) } else { value };
            before = value;
            stored
        })
    }

    fn bytes(&self) -> Vec<u8> {
        let width = self.width();
        self.stored().flat_map(|value| value.to_le_bytes().into_iter().take(width)).collect()
    }
}

type Open<'a> = [(&'a Entry, &'a OpenPort)];

/// Returns the columns that are numbers in the first place. Times are in hundredths of a millisecond, and
/// one more; 0 is no time.
fn numbers(open: &Open<'_>) -> Vec<Column> {
    let address = |host: &HostKey| match host {
        HostKey::V4(address) => u32::from(*address),
        HostKey::V6(_) | HostKey::Name(_) => 0,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let time = |ms: Option<f32>| ms.map_or(0, |ms| ((ms * 100.0).round() as u32).saturating_add(1));
    let mut address = Column::new("address", open.iter().map(|(entry, _)| address(&entry.host)));
    address.is_delta = true;
    vec![
        address,
        Column::new("port", open.iter().map(|(entry, _)| entry.port.into())),
        Column::new("class", open.iter().map(|(entry, _)| entry.class as u32)),
        Column::new("connect", open.iter().map(|(_, port)| time(port.connect_ms))),
        Column::new("first_byte", open.iter().map(|(_, port)| time(port.first_byte_ms))),
    ]
}

/// Returns the columns that refer to texts.
fn texts(rows: &Collector, open: &Open<'_>, dictionary: &mut Dictionary) -> Vec<Column> {
    let name = |host: &HostKey| match host {
        HostKey::V4(_) => String::new(),
        HostKey::V6(_) | HostKey::Name(_) => host.to_text(),
    };
    let names: Vec<_> = open.iter().map(|(entry, _)| dictionary.add(&name(&entry.host))).collect();
    let mut columns = vec![Column::new("name", names.into_iter())];
    let software = |port: &OpenPort| if port.protocol > 0 { port.protocol } else { port.software };
    let mut add = |name, text: &dyn Fn(&Entry, &OpenPort) -> TextId| {
        let ids: Vec<_> = open
            .iter()
            .map(|(entry, port)| dictionary.add(rows.texts.get(text(entry, port))))
            .collect();
        columns.push(Column::new(name, ids.into_iter()));
    };
    add("service", &|_, port| port.service);
    add("software", &|_, port| software(port));
    add("findings", &|_, port| port.findings);
    add("label", &|entry, _| entry.label);
    let mut greetings = HashSet::new();
    let mut greeting = |port: &OpenPort| {
        let is_kept = greetings.len() < GREETINGS_MAX || greetings.contains(&port.banner);
        if !is_kept {
            return 0;
        }
        greetings.insert(port.banner);
        dictionary.add(&shorten(rows.texts.get(port.banner), GREETING_MAX))
    };
    let greetings: Vec<_> = open.iter().map(|(_, port)| greeting(port)).collect();
    columns.push(Column::new("greeting", greetings.into_iter()));
    columns
}

/// Returns the column of changes: 1 for a target that changed, 2 for one that became telnet.
fn changed(report: &Report, open: &Open<'_>) -> Column {
    let lines = report.changes.iter().flat_map(|changes| &changes.lines);
    let lines: HashMap<_, _> =
        lines.map(|line| (line.target.as_str(), 1 + u32::from(line.is_new_telnet))).collect();
    let change = |entry: &Entry| {
        let change = lines.get(entry.host.with_port(entry.port).as_str());
        change.copied().unwrap_or_default()
    };
    let is_empty = lines.is_empty();
    Column::new("changed", open.iter().map(|(entry, _)| if is_empty { 0 } else { change(entry) }))
}

/// Returns the evidence of the open targets, in chunks, with as much of it as there is room for.
pub(super) fn details(rows: &Collector) -> Vec<String> {
    let open: Vec<_> =
        rows.targets.iter().filter_map(|entry| Some(&rows.open[entry.open? as usize])).collect();
    let (all, each) = EVIDENCE_MAX;
    let room = all + each * open.len();
    let mut chunks = Vec::new();
    for level in LEVELS {
        chunks =
            open.chunks(CHUNK).map(|chunk| compress(&detail_chunk(rows, chunk, level))).collect();
        if chunks.iter().map(String::len).sum::<usize>() <= room {
            break;
        }
    }
    chunks
}

/// Returns the evidence of some targets as JSON, in which each offer is written once.
fn detail_chunk(
    rows: &Collector,
    chunk: &[&OpenPort],
    (greeting, has_conversations, has_offers): (usize, bool, bool),
) -> Vec<u8> {
    let mut offers = Vec::new();
    let mut numbers: HashMap<TextId, usize> = HashMap::new();
    let or_null = |json: &str| if json.is_empty() { "null".to_owned() } else { json.to_owned() };
    let mut lines = Vec::new();
    for port in chunk {
        let offer = if has_offers { port.offer } else { 0 };
        let number = *numbers.entry(offer).or_insert_with(|| {
            offers.push(or_null(rows.texts.get(offer)));
            offers.len() - 1
        });
        let evidence = if has_conversations { rows.texts.get(port.evidence) } else { "" };
        lines.push(format!(
            "[{},{},{number},{},{},{},{}]",
            Value::from(rows.texts.get(port.rule)),
            Value::from(shorten(rows.texts.get(port.banner), greeting)),
            or_null(evidence),
            port.attempts,
            port.time,
            or_null(if has_offers { rows.texts.get(port.host_keys) } else { "" })
        ));
    }
    format!("{{\"offers\":[{}],\"rows\":[{}]}}", offers.join(","), lines.join(",")).into_bytes()
}

/// Returns the map: the place of each row, and the classes of its cells as letters.
pub(super) fn map(map: &SubnetMap) -> String {
    let rows = map.rows.iter().zip(drawing::places(map)).map(|(row, place)| {
        let base = match row.kind {
            RowKind::Subnet(base) | RowKind::Block(base) => base.to_string(),
            RowKind::Hosts | RowKind::Ports => String::new(),
        };
        json!({
            "name": row.name,
            "base": base,
            "folded": matches!(row.kind, RowKind::Block(_)),
            "y": place.y,
            "height": place.height,
            "line": place.line,
            "per_line": place.per_line,
            "cell": place.cell,
            "cells": letters(&row.cells),
            "names": row.names,
        })
    });
    let subnets: HashMap<_, _> =
        map.subnets.iter().map(|(base, cells)| (base.to_string(), letters(cells))).collect();
    let map = json!({
        "left": drawing::LEFT,
        "classes": Class::ALL.map(|class| [class.name(), class.label()]),
        "rows": rows.collect::<Vec<_>>(),
        "subnets": subnets,
    });
    compress(map.to_string().as_bytes())
}

/// Returns the cells as letters: `a` for the first class, and so on; `-` for no target.
fn letters(cells: &[Option<Class>]) -> String {
    let letter = |class: &Option<Class>| class.map_or('-', |class| char::from(b'a' + class as u8));
    cells.iter().map(letter).collect()
}

/// Compresses bytes and encodes them in base64.
fn compress(bytes: &[u8]) -> String {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    STANDARD.encode(compressed.expect("writing to a vector can't fail"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::DeflateDecoder;

    use super::*;
    use crate::Facts;

    fn decompress(text: &str) -> Vec<u8> {
        let compressed = STANDARD.decode(text).expect("it is base64");
        let mut bytes = Vec::new();
        DeflateDecoder::new(&*compressed).read_to_end(&mut bytes).expect("it is compressed");
        bytes
    }

    fn report(rows: usize, banner: impl Fn(usize) -> String) -> Report {
        let mut collector = Collector::default();
        for row in 0..rows {
            let line = format!(
                r#"{{"schema":1,"host":"10.{}.{}.{}","port":22,"state":"open","reason":"x","service":"unknown","banner":"{}"}}"#,
                row >> 16,
                row >> 8 & 255,
                row & 255,
                banner(row)
            );
            collector.add_line(line.as_bytes()).expect("it is a row");
        }
        Report::new(collector, Facts::default())
    }

    #[test]
    fn columns_follow_their_header_at_multiples_of_four() {
        let blob = decompress(&table(&report(300, |row| row.to_string())));
        let length = u32::from_le_bytes(blob[..4].try_into().expect("four bytes")) as usize;
        let header: Value = serde_json::from_slice(&blob[4..4 + length]).expect("it is JSON");
        assert_eq!((header["rows"].as_u64(), length % 4), (Some(300), 0));
        assert_eq!(header["columns"][0], json!(["address", 4, true]));
        let columns = header["columns"].as_array().expect("a list");
        let padded =
            |column: &Value| (column[1].as_u64().expect("a width") * 300).next_multiple_of(4);
        let columns: u64 = columns.iter().map(padded).sum();
        assert_eq!(blob.len() as u64, 4 + length as u64 + columns);
        let first = u32::from_le_bytes(blob[4 + length..8 + length].try_into().expect("4 bytes"));
        assert_eq!(first, u32::from(std::net::Ipv4Addr::new(10, 0, 0, 0)));
    }

    #[test]
    fn evidence_is_in_chunks_with_each_offer_once() {
        let chunks = details(&report(CHUNK + 1, |_| "hello".to_owned()).rows);
        assert_eq!(chunks.len(), 2);
        let chunk: Value = serde_json::from_slice(&decompress(&chunks[0])).expect("it is JSON");
        assert_eq!(chunk["rows"].as_array().map(Vec::len), Some(CHUNK));
        assert_eq!(chunk["rows"][7], json!(["", "hello", 0, null, 0, 0, null]));
        assert_eq!(chunk["offers"], json!([null]));
    }

    #[test]
    fn greetings_that_can_not_be_compressed_are_shortened_to_the_bound() {
        // A generator of Park and Miller, so that the text has no pattern.
        let noise = |seed: usize| {
            let mut state = seed as u64 * 48_271 % 2_147_483_647 + 1;
            let letter = |_| {
                state = state * 48_271 % 2_147_483_647;
                let offset = u8::try_from((state >> 8) % 90).expect("it is small");
                char::from(b'!' + offset)
            };
            (0..2_000).map(letter).filter(|it| !"\\\"".contains(*it)).collect()
        };
        let report = report(3_000, noise);
        let size: usize = details(&report.rows).iter().map(String::len).sum();
        assert!(size <= 400_000 + 180 * 3_000, "{size}");
        assert!(report.to_html().len() <= 1_000_000 + 300 * 3_000);
    }
}
