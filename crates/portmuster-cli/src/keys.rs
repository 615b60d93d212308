//! `portmuster keys`: which host keys of runs have a problem, and which hosts have them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Write,
    fs,
    io::{self, Write as _},
    net::IpAddr,
    path::PathBuf,
};

use anyhow::{Context, bail};
use portmuster::{
    gates::count_hosts,
    outcome::{HostKey, KeyType},
    sink::{escape, shorten},
};
use serde::{Deserialize, Serialize};

use crate::{
    args::{KeyFormat, Keys},
    read_files::ReadFiles,
    run_source::Source,
    signals,
    status::Status,
    terminal::{self, Screen},
};

/// The fewest columns of the list of targets.
const TARGETS_COLUMNS_MIN: usize = 20;

/// The size of a SHA-256 hash in hexadecimal digits.
const HEX_DIGITS: usize = 64;

/// The fields of a row that are read.
#[derive(Debug, Deserialize)]
struct KeyedRow<'a> {
    host: String,
    port: u16,
    #[serde(borrow)]
    address: Option<&'a str>,
    #[serde(default)]
    host_keys: Vec<RowKey>,
}

/// A host key of a row.
#[derive(Debug, Deserialize)]
struct RowKey {
    #[serde(rename = "type")]
    key_type: String,
    bits: u32,
    sha256: String,
    proven: bool,
}

/// A key, and where it was found.
#[derive(Debug)]
struct KeyUse {
    key_type: String,
    bits: u32,
    is_proven: bool,
    /// The names and the addresses of the servers that have proven to have it.
    hosts: HashSet<(Option<String>, Option<IpAddr>)>,
    targets: BTreeSet<String>,
}

/// A line of JSON.
#[derive(Debug, Serialize)]
struct KeyLine<'a> {
    schema: u32,
    sha256: &'a str,
    #[serde(rename = "type")]
    key_type: &'a str,
    bits: u32,
    problems: &'a [&'static str],
    hosts: usize,
    targets: &'a BTreeSet<String>,
}

/// Reads runs and prints the host keys that have a problem.
///
/// # Errors
/// A run or a file can't be read.
pub(crate) fn run(keys: &Keys) -> anyhow::Result<Status> {
    let sources = keys.runs.iter().map(|run| Source::parse(run));
    let sources = sources.collect::<anyhow::Result<Vec<_>>>()?;
    if sources.iter().filter(|source| source.is_stdin()).count() > 1 {
        bail!("only one run can be read from stdin: name files for the others");
    }
    let mut reads = ReadFiles::default();
    for source in &sources {
        reads.add(source.path(), "a run");
    }
    reads.refuse_stdout()?;
    let databases = sources.iter().filter(|source| source.is_database());
    signals::exit_on_truncated_mapping(databases.map(Source::path));
    let bad = read_fingerprints(&keys.bad)?;
    let mut uses = HashMap::new();
    for source in &sources {
        source.read_lines(false, |_, line| add_row(&mut uses, line))?;
    }
    if uses.is_empty() {
        terminal::note("the runs have no host keys: check with --host-keys first or all");
    }
    Ok(print(keys, &uses, &bad))
}

/// Reads the fingerprints in files, in the form that rows have.
fn read_fingerprints(files: &[PathBuf]) -> anyhow::Result<HashSet<String>> {
    let mut all = HashSet::new();
    for path in files {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("reading fingerprints in {}", path.display()))?;
        for (index, line) in text.lines().enumerate() {
            let Some(word) = line.split_whitespace().next().filter(|it| !it.starts_with('#'))
            else {
                continue;
            };
            let fingerprint = fingerprint(word).with_context(|| {
                format!(
                    "line {} of {}: {:?} is no fingerprint: expected SHA256: and base64, or 64 \
                     hexadecimal digits",
                    index + 1,
                    path.display(),
                    shorten(word, 70)
                )
            })?;
            all.insert(fingerprint);
        }
    }
    Ok(all)
}

/// Returns a fingerprint in the form that rows have.
fn fingerprint(word: &str) -> Option<String> {
    if word.starts_with("SHA256:") {
        return Some(word.trim_end_matches('=').to_owned());
    }
    let digits = word.as_bytes();
    let is_hex = digits.len() == HEX_DIGITS && digits.iter().all(u8::is_ascii_hexdigit);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let hash: Option<Vec<_>> = digits.chunks(2).map(byte).collect();
    let hash = hash.filter(|_| is_hex)?.try_into().ok()?;
    Some(portmuster::outcome::key_fingerprint(&hash))
}

/// Adds the host keys of a row.
fn add_row(uses: &mut HashMap<String, KeyUse>, line: &[u8]) -> anyhow::Result<()> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    let row: KeyedRow<'_> =
        serde_json::from_slice(line).context("not a row as portmuster check -o jsonl writes it")?;
    let KeyedRow { host, port, address, host_keys } = row;
    let name = escape(host.as_bytes());
    let address = address.or(Some(host.as_str())).and_then(|address| address.parse().ok());
    let name_of_host = host.parse::<IpAddr>().is_err().then(|| host.to_lowercase());
    let target =
        if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
    for RowKey { key_type, bits, sha256, proven } in host_keys {
        let new = || KeyUse {
            key_type: escape(key_type.as_bytes()),
            bits,
            is_proven: false,
            hosts: HashSet::new(),
            targets: BTreeSet::new(),
        };
        let found = uses.entry(escape(sha256.as_bytes())).or_insert_with(new);
        found.targets.insert(target.clone());
        if proven {
            found.is_proven = true;
            found.hosts.insert((name_of_host.clone(), address));
        }
    }
    Ok(())
}

impl KeyUse {
    /// Counts the hosts that have proven to have the key.
    fn host_count(&self) -> usize {
        count_hosts(self.hosts.iter().map(|(name, address)| (name.as_deref(), *address)))
    }

    /// Returns the problems of the key, in the order of the help.
    fn problems(&self, is_bad: bool) -> Vec<&'static str> {
        let is_short = self.key_type == KeyType::Rsa.name() && self.bits < HostKey::RSA_BITS_MIN;
        let all = [
            ("shared", self.host_count() > 1),
            ("weak", self.key_type == KeyType::Dss.name() || is_short),
            ("bad", is_bad),
            ("unproven", !self.is_proven),
        ];
        all.into_iter().filter_map(|(problem, has)| has.then_some(problem)).collect()
    }
}

/// Prints the keys, those of most hosts first.
fn print(keys: &Keys, uses: &HashMap<String, KeyUse>, bad: &HashSet<String>) -> Status {
    let mut lines: Vec<_> = uses
        .iter()
        .map(|(sha256, found)| (sha256, found, found.problems(bad.contains(sha256))))
        .collect();
    let has_problems = lines.iter().any(|(.., problems)| !problems.is_empty());
    lines.retain(|(.., problems)| keys.all || !problems.is_empty());
    lines.sort_by(|(sha256, one, _), (other_sha256, other, _)| {
        other.targets.len().cmp(&one.targets.len()).then(sha256.cmp(other_sha256))
    });
    let text = match keys.output {
        KeyFormat::Table => table(&lines, Screen::stdout().width),
        KeyFormat::Jsonl => {
            lines.iter().map(|(sha256, found, problems)| json(sha256, found, problems)).collect()
        }
    };
    let status = if has_problems { Status::Finding } else { Status::Complete };
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Ok(()) => status,
        Err(error) => terminal::status_of(Err(error)),
    }
}

fn json(sha256: &str, found: &KeyUse, problems: &[&'static str]) -> String {
    let KeyUse { key_type, bits, targets, .. } = found;
    let (bits, hosts) = (*bits, found.host_count());
    let line = KeyLine { schema: 1, sha256, key_type, bits, problems, hosts, targets };
    serde_json::to_string(&line).expect("texts and numbers are JSON") + "\n"
}

/// Returns the table. On a terminal of this width the lists of targets are shortened, then the keys, then
/// the types.
fn table(lines: &[(&String, &KeyUse, Vec<&'static str>)], width: Option<usize>) -> String {
    let mut text = String::new();
    if lines.is_empty() {
        return text;
    }
    let cells: Vec<_> =
        lines.iter().map(|(sha256, found, names)| cells(sha256, found, names)).collect();
    let header = ["KEY", "TYPE", "BITS", "HOSTS", "PROBLEMS", "TARGETS"].map(str::to_owned);
    let widest = |column: usize| {
        let rows = [&header].into_iter().chain(&cells);
        rows.map(|row| columns(&row[column])).max().unwrap_or_default()
    };
    let mut widths: [usize; COLUMNS] = std::array::from_fn(widest);
    let gaps = 2 * (COLUMNS - 1);
    for (column, least) in SHRINKING {
        let over =
            (widths.iter().sum::<usize>() + gaps).saturating_sub(width.unwrap_or(usize::MAX));
        widths[column] -= over.min(widths[column].saturating_sub(least));
    }
    for row in [&header].into_iter().chain(&cells) {
        let cell = |(column, cell): (usize, &String)| {
            let width = widths[column];
            // Of a part of a key the digits say more than the name of the hash.
            let whole =
                if columns(cell) > width { cell.trim_start_matches("SHA256:") } else { cell };
            let cell = shorten(whole, width);
            if NUMBERS.contains(&column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        };
        let line: Vec<_> = row.iter().enumerate().map(cell).collect();
        // A String accepts every write.
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}

/// Number of columns of the table.
const COLUMNS: usize = 6;

/// The columns with numbers.
const NUMBERS: [usize; 2] = [2, 3];

/// Returns the characters of a text, which are as many columns, unless a name has letters of East Asia.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// The columns that are shortened, in this order, each down to so many columns of the terminal.
const SHRINKING: [(usize, usize); 4] =
    [(5, TARGETS_COLUMNS_MIN), (0, 10), (1, "ssh-ed25519".len()), (5, "TARGETS".len())];

/// Returns the cells of a key.
fn cells(sha256: &str, found: &KeyUse, problems: &[&str]) -> [String; COLUMNS] {
    let KeyUse { key_type, bits, targets, .. } = found;
    let targets = targets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    [
        sha256.to_owned(),
        key_type.clone(),
        bits.to_string(),
        found.host_count().to_string(),
        problems.join(","),
        targets,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(rows: &[(&str, u16, &str, u32, bool)]) -> HashMap<String, KeyUse> {
        let mut uses = HashMap::new();
        for (host, port, key_type, bits, proven) in rows {
            let row = serde_json::json!({
                "host": host, "port": port, "address": host,
                "host_keys": [{ "type": key_type, "bits": bits, "sha256": "SHA256:a", "proven": proven }]
            });
            add_row(&mut uses, row.to_string().as_bytes()).expect("it is a row");
        }
        uses
    }

    fn problems(rows: &[(&str, u16, &str, u32, bool)]) -> Vec<&'static str> {
        uses(rows)["SHA256:a"].problems(false)
    }

    #[test]
    fn table_fits_the_terminal() {
        let sk = "sk-ecdsa-sha2-nistp256@openssh.com";
        let hosts: Vec<_> = (0..9).map(|it| format!("db-{it}.a-long-name.example")).collect();
        let rows: Vec<_> = hosts.iter().map(|it| (it.as_str(), 2222, sk, 256, true)).collect();
        let uses = uses(&rows);
        let key = format!("SHA256:{}", "x".repeat(43));
        let lines = [(&key, &uses["SHA256:a"], vec!["shared", "short"])];
        for width in [60, 80, 100, 160, 200] {
            let table = table(&lines, Some(width));
            assert!(table.lines().all(|line| columns(line) <= width), "{width}:\n{table}");
            assert!(table.contains("shared,short"), "{table}");
        }
        let whole = table(&lines, None);
        assert!(whole.contains(&key) && whole.contains(sk) && whole.contains(&hosts[8]), "{whole}");
    }

    #[test]
    fn key_is_shared_by_hosts_and_not_by_ports_or_without_proof() {
        let ed = "ssh-ed25519";
        let one = ("10.0.0.5", 22, ed, 256, true);
        assert_eq!(problems(&[one, ("10.0.0.5", 2222, ed, 256, true)]), [""; 0]);
        assert_eq!(problems(&[one, ("10.0.0.6", 22, ed, 256, true)]), ["shared"]);
        assert_eq!(problems(&[one, ("10.0.0.6", 22, ed, 256, false)]), [""; 0]);
        assert_eq!(problems(&[("10.0.0.6", 22, ed, 256, false)]), ["unproven"]);
        let mut uses = HashMap::new();
        for (host, address) in
            [("a.example", "10.0.0.5"), ("A.example", "2001:db8::5"), ("10.0.0.5", "10.0.0.5")]
        {
            let key = serde_json::json!({ "type": ed, "bits": 256, "sha256": "SHA256:a", "proven": true });
            let row = serde_json::json!({
                "host": host, "port": 22, "address": address, "host_keys": [key]
            });
            add_row(&mut uses, row.to_string().as_bytes()).expect("it is a row");
        }
        assert_eq!(uses["SHA256:a"].problems(false), [""; 0], "names and addresses of one host");
    }

    #[test]
    fn short_rsa_and_dsa_keys_are_weak() {
        let weak = |key_type, bits| problems(&[("10.0.0.5", 22, key_type, bits, true)]);
        assert_eq!(weak("ssh-rsa", 2047), ["weak"]);
        assert_eq!(weak("ssh-rsa", 2048), [""; 0]);
        assert_eq!(weak("ssh-dss", 1024), ["weak"]);
        assert_eq!(weak("ecdsa-sha2-nistp256", 256), [""; 0]);
    }

    #[test]
    fn fingerprints_are_read_in_both_forms() {
        let base64 = "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint(hex).as_deref(), Some(base64));
        assert_eq!(fingerprint(base64).as_deref(), Some(base64));
        for wrong in ["", "MD5:00", &hex[1..], "SHA1:x"] {
            assert_eq!(fingerprint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn table_lists_keys_with_their_targets() {
        let uses =
            uses(&[("10.0.0.5", 22, "ssh-rsa", 1024, true), ("::1", 22, "ssh-rsa", 1024, true)]);
        let found = &uses["SHA256:a"];
        let key = "SHA256:a".to_owned();
        let text = table(&[(&key, found, found.problems(true))], Some(200));
        let line = text.lines().nth(1).expect("a line for the key");
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            ["SHA256:a", "ssh-rsa", "1024", "2", "shared,weak,bad", "10.0.0.5:22,", "[::1]:22"]
        );
    }
}
