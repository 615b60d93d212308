//! The CSV columns, declared independently of the program, and appending to existing CSV files.

use serde::Deserialize;

use crate::{
    folder::{Folder, output, read},
    program::{Ended, check},
    row::{Evidence, HostKey, Row},
};

/// The header line that the documentation specifies.
const HEADER: &str = "schema,host,port,open,state,reason,address,\
    service,banner,banner_base64,ssh_protocol,ssh_software,ssh_comment,\
    kex_algorithms,host_key_algorithms,ciphers_client_to_server,ciphers_server_to_client,\
    macs_client_to_server,macs_server_to_client,compression_client_to_server,compression_server_to_client,\
    kex_missing,telnet_options,protocol,findings,connect_ms,first_byte_ms,total_ms,label,attempts,time,evidence,rule,\
    vendor,product,version,os,device,cpe,fingerprint,\
    telnet_daemon,telnet_daemon_confidence_percent,telnet_encryption,\
    host_keys,host_key_missing\n";

/// One CSV line. `None` is an empty field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvRow {
    pub(crate) schema: u32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) open: bool,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) address: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) banner: Option<String>,
    pub(crate) banner_base64: Option<String>,
    pub(crate) ssh_protocol: Option<String>,
    pub(crate) ssh_software: Option<String>,
    pub(crate) ssh_comment: Option<String>,
    pub(crate) kex_algorithms: Option<String>,
    pub(crate) host_key_algorithms: Option<String>,
    pub(crate) ciphers_client_to_server: Option<String>,
    pub(crate) ciphers_server_to_client: Option<String>,
    pub(crate) macs_client_to_server: Option<String>,
    pub(crate) macs_server_to_client: Option<String>,
    pub(crate) compression_client_to_server: Option<String>,
    pub(crate) compression_server_to_client: Option<String>,
    pub(crate) kex_missing: Option<String>,
    pub(crate) telnet_options: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) findings: Option<String>,
    pub(crate) connect_ms: Option<f64>,
    pub(crate) first_byte_ms: Option<f64>,
    pub(crate) total_ms: Option<f64>,
    pub(crate) label: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) time: String,
    pub(crate) evidence: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) vendor: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) cpe: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) telnet_daemon: Option<String>,
    pub(crate) telnet_daemon_confidence_percent: Option<u8>,
    pub(crate) telnet_encryption: Option<String>,
    pub(crate) host_keys: Option<String>,
    pub(crate) host_key_missing: Option<String>,
}

impl CsvRow {
    /// Converts a JSON row to the expected CSV row: text is escaped, and evidence is omitted.
    fn of(row: &Row) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(escaped);
        // A banner that is not UTF-8 is already escaped in JSON, so every format has the same text.
        let is_escaped = row.banner_base64.is_some();
        let identification = |it: &Option<String>| if is_escaped { it.clone() } else { text(it) };
        let list = |list: &Option<Vec<String>>| list.as_ref().map(|list| list.join(" "));
        Self {
            schema: row.schema,
            host: row.host.clone(),
            port: row.port,
            open: row.open,
            state: row.state.clone(),
            reason: row.reason.clone(),
            address: row.address.map(|address| address.to_string()),
            service: text(&row.service),
            banner: text(&row.banner),
            banner_base64: text(&row.banner_base64),
            ssh_protocol: text(&row.ssh_protocol),
            ssh_software: identification(&row.ssh_software),
            ssh_comment: identification(&row.ssh_comment),
            kex_algorithms: list(&row.kex_algorithms),
            host_key_algorithms: list(&row.host_key_algorithms),
            ciphers_client_to_server: list(&row.ciphers_client_to_server),
            ciphers_server_to_client: list(&row.ciphers_server_to_client),
            macs_client_to_server: list(&row.macs_client_to_server),
            macs_server_to_client: list(&row.macs_server_to_client),
            compression_client_to_server: list(&row.compression_client_to_server),
            compression_server_to_client: list(&row.compression_server_to_client),
            kex_missing: text(&row.kex_missing),
            telnet_options: list(&row.telnet_options),
            protocol: text(&row.protocol),
            findings: list(&row.findings),
            connect_ms: row.connect_ms,
            first_byte_ms: row.first_byte_ms,
            total_ms: row.total_ms,
            label: text(&row.label),
            attempts: row.attempts,
            time: row.time.clone(),
            // `assert_same` compares the evidence as JSON.
            evidence: None,
            rule: text(&row.rule),
            vendor: text(&row.vendor),
            product: text(&row.product),
            version: text(&row.version),
            os: text(&row.os),
            device: text(&row.device),
            cpe: text(&row.cpe),
            fingerprint: text(&row.fingerprint),
            telnet_daemon: text(&row.telnet_daemon),
            telnet_daemon_confidence_percent: row.telnet_daemon_confidence_percent,
            telnet_encryption: text(&row.telnet_encryption),
            // `assert_same` compares the host keys as JSON.
            host_keys: None,
            host_key_missing: text(&row.host_key_missing),
        }
    }
}

/// Escapes remote text as CSV and the database do.
fn escaped(text: &str) -> String {
    portmuster::sink::escape(text.as_bytes())
}

/// Parses the rows below the header.
pub(crate) fn read_rows(text: &str) -> Vec<CsvRow> {
    assert!(text.starts_with(HEADER), "{text}");
    assert!(text.ends_with('\n'), "the last line is cut off: {text}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("it is a row of this schema")).collect()
}

/// Asserts that the CSV rows equal the JSON rows, in any order.
pub(crate) fn assert_same(mut rows: Vec<CsvRow>, json: &[Row]) {
    let key = |row: &CsvRow| (row.host.clone(), row.port);
    rows.sort_by_key(key);
    let mut expected: Vec<_> = json.iter().map(|row| (CsvRow::of(row), row)).collect();
    expected.sort_by_key(|(row, _)| key(row));
    assert_eq!(rows.len(), expected.len());
    for (mut row, (expected, json)) in rows.into_iter().zip(expected) {
        let evidence: Option<Evidence> =
            row.evidence.take().map(|json| serde_json::from_str(&json).expect("it is JSON"));
        assert_eq!(evidence, json.evidence);
        let host_keys: Option<Vec<HostKey>> =
            row.host_keys.take().map(|json| serde_json::from_str(&json).expect("it is JSON"));
        assert_eq!(host_keys, json.host_keys);
        assert_eq!(row, expected);
    }
}

fn check_into(folder: &Folder, arguments: &[&str]) -> Ended {
    let output = output("csv", &folder.file("rows.csv"));
    check([&["127.0.0.1:1", "-o", output.as_str()], arguments].concat())
}

#[test]
fn append_keeps_existing_header() {
    let folder = Folder::new();
    folder.write("rows.csv", "");
    for rows in 1..=3 {
        let ended = check_into(&folder, &["--append"]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(read_rows(&read(&folder.file("rows.csv"))).len(), rows);
    }
}

#[test]
fn append_refuses_other_columns() {
    for old in ["schema,host\n", &format!("x{HEADER}"), "1,127.0.0.1\n"] {
        let folder = Folder::new();
        let file = folder.write("rows.csv", old);
        let ended = check_into(&folder, &["--append"]);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("its columns are not those"), "{}", ended.stderr);
        assert_eq!(read(&file), old);
    }
}

#[test]
fn run_without_rows_writes_header() {
    let ended = check(["127.0.0.1:1", "-o=csv", "--show=open"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), HEADER));
}

#[test]
fn formula_label_is_quoted_for_spreadsheets() {
    let folder = Folder::new();
    let list = folder.write("list", "127.0.0.1:1 =HYPERLINK(\"http://evil.example\")\n");
    let list = list.to_str().expect("temporary paths are UTF-8");
    let ended = check(["-i", list, "--labels", "-o=csv"]);
    let rows = read_rows(&ended.stdout);
    assert_eq!(rows[0].label.as_deref(), Some("'=HYPERLINK(\"http://evil.example\")"));
}

#[test]
fn existing_file_is_replaced_only_with_force() {
    let folder = Folder::new();
    assert_eq!(check_into(&folder, &[]).status, Some(0));
    let before = read(&folder.file("rows.csv"));
    assert_eq!(check_into(&folder, &[]).status, Some(2));
    assert_eq!(read(&folder.file("rows.csv")), before);
    assert_eq!(check_into(&folder, &["--force"]).status, Some(0));
    assert_eq!(read_rows(&read(&folder.file("rows.csv"))).len(), 1);
}

#[test]
fn csv_for_excel_begins_with_one_byte_order_mark() {
    let folder = Folder::new();
    let file = folder.file("rows.csv");
    let rows = output("csv", &file);
    let run = |flags: &[&str]| check([&["127.0.0.1:1", "-o", &rows], flags].concat());
    assert_eq!(run(&["--excel"]).status, Some(0));
    let content = read(&file);
    let without = content.strip_prefix('\u{feff}').expect("it begins with a byte order mark");
    assert_eq!(read_rows(without).len(), 1);
    // Rows are appended with and without the flag, and never a second mark.
    for (flags, count) in [(&["--append"][..], 2), (&["--append", "--excel"], 3)] {
        let ended = run(flags);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let content = read(&file);
        let without = content.strip_prefix('\u{feff}').expect("the mark is still there");
        assert_eq!(read_rows(without).len(), count);
    }
    let again = check(["-i", &file.display().to_string(), "-o", "csv", "--excel"]);
    assert_eq!(again.status, Some(0), "it can be read: {again:?}");
    assert!(again.stdout.starts_with("\u{feff}schema,host,"), "{}", again.stdout);
    assert_eq!(run(&["--force"]).status, Some(0));
    assert!(read(&file).starts_with("schema,host,"), "only with the flag");
    let ended = check(["127.0.0.1:1", "-o", "jsonl", "--excel"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--excel is about CSV"), "{ended:?}");
}
