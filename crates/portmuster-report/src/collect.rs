//! Collects the rows of a run in a compact form.
//!
//! Invariant: a target takes about 50 bytes, and an open one 100 more; equal texts are stored once. All
//! texts are visible: nothing that a server sent leaves this module unescaped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    class::{Class, Doubt, classify},
    facts::RunRecord,
    row::{EvidenceRecord, KeyRecord, Row, RowError},
    text::{shorten, visible},
    texts::{TextId, Texts},
};

/// The most characters of a host name, a label and the name of a piece of software.
const NAME_MAX: usize = 120;

/// The most characters of a greeting, and of one part of a recorded conversation.
const BANNER_MAX: usize = 2048;

/// The most parts of a recorded conversation.
const PARTS_MAX: usize = 40;

/// The most names of one list of algorithms or options.
const LIST_MAX: usize = 100;

/// The most host keys of a server: as many types as there are, and room for later ones.
const KEYS_MAX: usize = 16;

/// The rows of a run. If several have the same host, port and address, the last one counts.
#[derive(Debug, Default)]
pub struct Collector {
    pub(crate) targets: Vec<Entry>,
    pub(crate) open: Vec<OpenPort>,
    pub(crate) texts: Texts,
    /// The host keys of the open ports, in the order of these.
    pub(crate) keys: Vec<KeyUse>,
    /// What the summaries among the rows say.
    pub(crate) record: RunRecord,
}

/// One target.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) host: HostKey,
    pub(crate) port: u16,
    pub(crate) class: Class,
    pub(crate) doubt: Option<Doubt>,
    /// Text of the label; 0 if it has none.
    pub(crate) label: TextId,
    /// Index in the open ports; `None`: it is not open.
    pub(crate) open: Option<u32>,
    /// Position among the rows.
    row: u32,
}

/// The host of a target. Addresses come before names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HostKey {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// A name in lower case, and the address that was checked.
    Name(Box<(String, Option<IpAddr>)>),
}

/// What is known of an open port. The numbers refer to [`Texts`].
#[derive(Debug, Default, Clone)]
pub(crate) struct OpenPort {
    pub(crate) service: TextId,
    pub(crate) protocol: TextId,
    pub(crate) software: TextId,
    /// The names of the weaknesses, joined by spaces.
    pub(crate) findings: TextId,
    pub(crate) banner: TextId,
    /// What the server offers, as a JSON array of `[name, text]`; 0 if it offers nothing.
    pub(crate) offer: TextId,
    /// The host keys, as a JSON array of `[name, text]`; 0 if there are none.
    pub(crate) host_keys: TextId,
    /// The recorded conversation, as a JSON array; 0 if none was recorded.
    pub(crate) evidence: TextId,
    pub(crate) rule: TextId,
    /// Whether a post-quantum key exchange is offered; `None`: the offer is unknown.
    pub(crate) is_post_quantum: Option<bool>,
    pub(crate) connect_ms: Option<f32>,
    pub(crate) first_byte_ms: Option<f32>,
    pub(crate) attempts: u32,
    /// The time of the verdict, in milliseconds since 1970; 0 if unknown.
    pub(crate) time: i64,
}

/// A host key of an open port. The numbers refer to [`Texts`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyUse {
    /// Index in the open ports.
    pub(crate) open: u32,
    pub(crate) sha256: TextId,
    pub(crate) key_type: TextId,
    pub(crate) bits: u32,
    pub(crate) is_proven: bool,
}

impl Collector {
    /// Adds a row, which is a line of JSON. A blank line is ignored.
    ///
    /// A line may also be a summary, as `portmuster check --summary json` writes it; a later one adds to an
    /// earlier one.
    ///
    /// # Errors
    /// The line is neither, or one of another version.
    ///
    /// # Panics
    /// After 4,294,967,295 rows, which do not fit in memory.
    pub fn add_line(&mut self, line: &[u8]) -> Result<(), RowError> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        match Row::parse(line) {
            Ok(row) => self.add(&row),
            Err(error) => match RunRecord::parse(line) {
                Ok(record) => self.record.add(record),
                Err(_) => return Err(error),
            },
        }
        Ok(())
    }

    /// Returns the number of rows that were added.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.targets.len() as u64
    }

    fn add(&mut self, row: &Row<'_>) {
        // The page has a picture of its own for what may be decrypted in the future, and a key that is not
        // known is no weakness.
        let is_weakness =
            |finding: &str| !["no-post-quantum", "host-key-unknown"].contains(&finding);
        let has_findings = row.findings.iter().any(|finding| is_weakness(finding));
        let (class, doubt) =
            classify(&row.state, &row.reason, row.service.as_deref(), has_findings);
        let open = class.is_open().then(|| {
            let open = self.open_port(row);
            self.open.push(open);
            let index = u32::try_from(self.open.len() - 1).expect("the rows fit in memory");
            self.add_keys(index, &row.host_keys);
            index
        });
        let label = self.name(row.label.as_deref());
        let position = u32::try_from(self.targets.len()).expect("the rows fit in memory");
        let host = HostKey::new(&row.host, row.address.as_deref());
        self.targets.push(Entry { host, port: row.port, class, doubt, label, open, row: position });
    }

    fn open_port(&mut self, row: &Row<'_>) -> OpenPort {
        let banner = shorten(&visible(&row.banner()), BANNER_MAX);
        let evidence = row.evidence.as_ref().map(conversation).unwrap_or_default();
        OpenPort {
            service: self.name(row.service.as_deref()),
            protocol: self.name(row.protocol.as_deref()),
            software: self.name(row.software().as_deref()),
            findings: self.texts.add(&joined(&row.findings, " ")),
            banner: self.texts.add(&banner),
            offer: self.texts.add(&offer(row)),
            host_keys: self.texts.add(&host_keys(row)),
            evidence: self.texts.add(&evidence),
            rule: self.name(row.rule.as_deref()),
            is_post_quantum: row.kex_algorithms.as_deref().map(is_post_quantum),
            connect_ms: row.connect_ms.and_then(plausible),
            first_byte_ms: row.first_byte_ms.and_then(plausible),
            attempts: row.attempts,
            time: row.time.as_deref().map(milliseconds_since_1970).unwrap_or_default(),
        }
    }

    fn add_keys(&mut self, open: u32, keys: &[KeyRecord]) {
        for KeyRecord { key_type, bits, sha256, proven, .. } in keys.iter().take(KEYS_MAX) {
            let (sha256, key_type) = (self.name(Some(sha256)), self.name(Some(key_type)));
            self.keys.push(KeyUse { open, sha256, key_type, bits: *bits, is_proven: *proven });
        }
    }

    fn name(&mut self, text: Option<&str>) -> TextId {
        self.texts.add(&shorten(&visible(text.unwrap_or_default().as_bytes()), NAME_MAX))
    }

    /// Orders the targets by host and port, and keeps the last row of each.
    pub(crate) fn sort(&mut self) {
        // The last row of each target first, because `dedup_by` keeps the first.
        self.targets.sort_unstable_by(|one, other| {
            (&one.host, one.port).cmp(&(&other.host, other.port)).then(other.row.cmp(&one.row))
        });
        self.targets.dedup_by(|one, kept| (&one.host, one.port) == (&kept.host, kept.port));
    }
}

impl HostKey {
    fn new(host: &str, address: Option<&str>) -> Self {
        match host.parse() {
            Ok(IpAddr::V4(address)) => Self::V4(address),
            Ok(IpAddr::V6(address)) => Self::V6(address),
            Err(_) => {
                let name = shorten(&visible(host.to_lowercase().as_bytes()), NAME_MAX);
                Self::Name(Box::new((name, address.and_then(|address| address.parse().ok()))))
            }
        }
    }

    /// Returns the host as text.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::V4(address) => address.to_string(),
            Self::V6(address) => address.to_string(),
            Self::Name(named) => named.0.clone(),
        }
    }

    /// Returns the host and port as one text.
    pub(crate) fn with_port(&self, port: u16) -> String {
        match self {
            Self::V6(address) => format!("[{address}]:{port}"),
            _ => format!("{}:{port}", self.to_text()),
        }
    }
}

/// Returns a time that fits in a chart; `None`: it is none.
fn plausible(time: f64) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "a chart needs few digits")]
    (time.is_finite() && (0.0..1e9).contains(&time)).then_some(time as f32)
}

fn milliseconds_since_1970(text: &str) -> i64 {
    text.parse().map(Timestamp::as_millisecond).unwrap_or_default()
}

/// Returns whether a key exchange method resists quantum computers: ML-KEM (FIPS 203) or Streamlined NTRU
/// Prime, each combined with a classical method.
fn is_post_quantum(methods: &[String]) -> bool {
    methods.iter().any(|method| method.contains("mlkem") || method.contains("sntrup761"))
}

/// Joins names.
fn joined(names: &[String], separator: &str) -> String {
    let short = |name: &String| shorten(&visible(name.as_bytes()), NAME_MAX);
    let names = names.iter().take(LIST_MAX).map(short);
    shorten(&names.collect::<Vec<_>>().join(separator), BANNER_MAX)
}

/// Returns what a server is and offers, as a JSON array of `[name, text]`; empty if it offers nothing.
fn offer(row: &Row<'_>) -> String {
    let lists = [
        ("key exchange", &row.kex_algorithms),
        ("host keys", &row.host_key_algorithms),
        ("ciphers", &row.ciphers_server_to_client),
        ("macs", &row.macs_server_to_client),
        ("telnet options", &row.telnet_options),
    ];
    let lists = lists.into_iter().filter_map(|(name, list)| Some((name, list.as_deref()?)));
    let lists = lists.map(|(name, list)| (name, joined(list, ", ")));
    let (software, daemon) = (row.named_software(), row.daemon());
    let texts = [
        ("software", &software),
        ("device", &row.device),
        ("system", &row.os),
        ("telnet daemon", &daemon),
        ("telnet encryption", &row.telnet_encryption),
        ("known by", &row.fingerprint),
        ("cpe", &row.cpe),
        ("ssh version", &row.ssh_protocol),
        ("comment", &row.ssh_comment),
        ("no algorithms", &row.kex_missing),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
    let texts = texts.map(|(name, text)| (name, shorten(&visible(text.as_bytes()), NAME_MAX)));
    let pairs: Vec<_> = texts.chain(lists).collect();
    if pairs.is_empty() { String::new() } else { json!(pairs).to_string() }
}

/// Returns the host keys of a server, as a JSON array of `[name, text]`; empty if there are none.
fn host_keys(row: &Row<'_>) -> String {
    let short = |text: &str| shorten(&visible(text.as_bytes()), NAME_MAX);
    let key = |key: &KeyRecord| {
        let proof = match &key.unproven {
            Some(reason) if !key.proven => format!("not proven: {}", short(reason)),
            _ if key.proven => "proven".to_owned(),
            _ => "not proven".to_owned(),
        };
        let KeyRecord { key_type, bits, sha256, .. } = key;
        let text = format!("{}, {bits} bits, {proof}, {}", short(key_type), short(sha256));
        ("host key".to_owned(), text)
    };
    let missing = row.host_key_missing.as_deref();
    let missing = missing.map(|reason| ("no host key".to_owned(), short(reason)));
    let pairs: Vec<_> = row.host_keys.iter().take(KEYS_MAX).map(key).chain(missing).collect();
    if pairs.is_empty() { String::new() } else { json!(pairs).to_string() }
}

/// Returns a recorded conversation as a JSON array of `[milliseconds, side, text]`.
fn conversation(evidence: &EvidenceRecord) -> String {
    let part = |part: &crate::row::PartRecord| {
        let text = shorten(&visible(&part.bytes()), BANNER_MAX);
        json!([part.at_ms, shorten(&visible(part.side.as_bytes()), NAME_MAX), text])
    };
    let mut parts: Vec<_> = evidence.parts.iter().take(PARTS_MAX).map(part).collect();
    let left_out = evidence.parts.len().saturating_sub(PARTS_MAX);
    if left_out > 0 || evidence.left_out_bytes > 0 {
        let rest = format!("{left_out} parts and {} bytes more", evidence.left_out_bytes);
        parts.push(json!([null, "", rest]));
    }
    json!(parts).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(rows: &[&str]) -> Collector {
        let mut collector = Collector::default();
        for row in rows {
            let line = format!(r#"{{"schema":1,"reason":"accepted",{row}}}"#);
            collector.add_line(line.as_bytes()).expect("it is a row");
        }
        collector.sort();
        collector
    }

    #[test]
    fn last_row_of_a_target_counts_and_addresses_come_before_names() {
        let rows = collect(&[
            r#""host":"b.example","port":22,"state":"closed""#,
            r#""host":"10.0.0.2","port":22,"state":"filtered""#,
            r#""host":"2001:db8::1","port":22,"state":"closed""#,
            r#""host":"10.0.0.2","port":22,"state":"open","service":"ssh""#,
            r#""host":"10.0.0.2","port":21,"state":"closed""#,
        ]);
        let targets: Vec<_> =
            rows.targets.iter().map(|it| (it.host.with_port(it.port), it.class)).collect();
        assert_eq!(
            targets,
            [
                ("10.0.0.2:21".to_owned(), Class::Refused),
                ("10.0.0.2:22".to_owned(), Class::Ssh),
                ("[2001:db8::1]:22".to_owned(), Class::Refused),
                ("b.example:22".to_owned(), Class::Refused),
            ]
        );
    }

    #[test]
    fn names_of_one_host_are_compared_without_case_and_by_address() {
        let rows = collect(&[
            r#""host":"A.example","port":22,"state":"closed","address":"10.0.0.1""#,
            r#""host":"a.example","port":22,"state":"closed","address":"10.0.0.1""#,
            r#""host":"a.example","port":22,"state":"closed","address":"10.0.0.2""#,
        ]);
        assert_eq!(rows.targets.len(), 2);
    }

    #[test]
    fn text_of_a_server_is_stored_visible_and_bounded() {
        let banner = "\\u202e\\u0000<script>".repeat(1_000);
        let row = format!(r#""host":"\u202ex","port":1,"state":"open","banner":"{banner}""#);
        let rows = collect(&[&row]);
        let banner = rows.texts.get(rows.open[0].banner);
        assert!(banner.starts_with(r"\u{202e}\x00<script>"), "{banner}");
        assert_eq!(banner.chars().count(), BANNER_MAX);
        assert_eq!(rows.targets[0].host.to_text(), r"\u{202e}x");
    }

    #[test]
    fn summaries_among_the_rows_add_up() {
        let mut rows = Collector::default();
        for line in [
            r#"{"schema":1,"type":"summary","started":"a","version":"b"}"#,
            r#"{"schema":1,"type":"summary","version":"c","account":{"targets":3}}"#,
        ] {
            rows.add_line(line.as_bytes()).expect("it is a summary");
        }
        assert_eq!(rows.rows(), 0);
        let record = rows.record;
        assert_eq!((record.started.as_deref(), record.version.as_deref()), (Some("a"), Some("c")));
        assert_eq!(record.account.map(|account| account.targets), Some(3));
    }

    #[test]
    fn post_quantum_exchange_is_recognised_by_its_method() {
        let offers = |method: &str| is_post_quantum(&["x".to_owned(), method.to_owned()]);
        assert!(offers("mlkem768x25519-sha256") && offers("sntrup761x25519-sha512@openssh.com"));
        assert!(!offers("curve25519-sha256"));
    }
}
