//! Values of options of other programs: which words are values, and what they are for portmuster.

use std::path::Path;

use portmuster::targets::Ports;

use crate::{command_line::file_name::is_file_name, formats};

pub(super) fn any(_: &str) -> bool {
    true
}

/// Returns whether `-iL…` can't be meant as the option `-i` with the file `L…`.
pub(super) fn is_no_file_after_l(rest: &str) -> bool {
    !Path::new(&format!("L{rest}")).exists()
}

/// Returns whether the word names a file to write to.
pub(super) fn is_output(word: &str) -> bool {
    formats::of_file(word).is_some()
}

pub(super) fn is_number(word: &str) -> bool {
    let digits = word.trim_end_matches(['k', 'K', 'M']);
    let starts_as_number = digits.starts_with(|first: char| first.is_ascii_digit());
    starts_as_number && digits.parse::<f64>().is_ok()
}

pub(super) fn is_ports(word: &str) -> bool {
    word.parse::<Ports>().is_ok()
}

/// Returns whether the text consists of nmap's letters for kinds of scans.
pub(super) fn is_scan(rest: &str) -> bool {
    !rest.is_empty() && rest.chars().all(|letter| "STVCAWMNXFYZIOU".contains(letter))
}

pub(super) fn is_scan_with_udp(rest: &str) -> bool {
    is_scan(rest) && rest.contains('U')
}

pub(super) fn is_version_scan(rest: &str) -> bool {
    is_scan(rest) && rest.contains(['V', 'C'])
}

pub(super) fn is_ping(rest: &str) -> bool {
    rest.starts_with(['n', 'N', '0', 'S', 'A', 'U', 'Y', 'E', 'P', 'M', 'R', 'O', 'D'])
}

pub(super) fn is_debug_level(rest: &str) -> bool {
    rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'd')
}

/// Returns whether the text consists of letters that netcat takes to find open ports, and more than one.
pub(super) fn is_netcat_scan(rest: &str) -> bool {
    rest.len() > 1
        && rest.contains('z')
        && rest.chars().all(|letter| ['z', 'v', 'n'].contains(&letter))
}

pub(super) fn is_timing(rest: &str) -> bool {
    timing(rest).is_some()
}

/// Returns whether the text is a time with its unit.
fn is_time(text: &str) -> bool {
    let number = text.strip_suffix("ms").or_else(|| text.strip_suffix(['s', 'm']));
    number.is_some_and(|number| number.parse::<f64>().is_ok())
}

/// Converts a value of `-T`, which is a name or a number of nmap's timing, a time in seconds of
/// ssh-keyscan or a file of ssh-audit.
pub(crate) fn timing(value: &str) -> Option<Vec<String>> {
    let profile = |name: &str| Some(vec!["--profile".to_owned(), name.to_owned()]);
    match value {
        "0" | "1" | "2" | "paranoid" | "sneaky" | "polite" => profile("gentle"),
        "3" | "normal" => profile("normal"),
        "4" | "5" | "aggressive" | "insane" => profile("fast"),
        _ if is_number(value) || is_time(value) => seconds(value),
        _ if is_file_name(value) => Some(vec!["-i".to_owned(), value.to_owned()]),
        _ => None,
    }
}

/// Converts a time whose unit is a second unless it names one.
pub(super) fn seconds(value: &str) -> Option<Vec<String>> {
    let unit = if is_number(value) { "s" } else { "" };
    let starts_as_time = value.starts_with(|first: char| first.is_ascii_digit());
    starts_as_time.then(|| vec!["--timeout".to_owned(), format!("{value}{unit}")])
}

/// Converts a SOCKS5 proxy, of which the scheme may be missing.
pub(super) fn proxy(value: &str) -> Option<Vec<String>> {
    of_scheme(value, "socks5")
}

/// Converts a SOCKS5 proxy that looks names up, of which the scheme may be missing.
pub(super) fn proxy_with_names(value: &str) -> Option<Vec<String>> {
    of_scheme(value, "socks5h")
}

fn of_scheme(value: &str, scheme: &str) -> Option<Vec<String>> {
    let url = if value.contains("://") { value.to_owned() } else { format!("{scheme}://{value}") };
    url.starts_with("socks5").then(|| vec!["--proxy".to_owned(), url])
}

/// Converts targets or the name of a list of them.
#[expect(clippy::unnecessary_wraps, reason = "other functions of the table may fail")]
pub(super) fn targets(value: &str) -> Option<Vec<String>> {
    if is_file_name(value) {
        return Some(vec!["-i".to_owned(), value.to_owned()]);
    }
    Some(vec![value.to_owned()])
}

/// Converts a range of ports or of addresses.
#[expect(clippy::unnecessary_wraps, reason = "other functions of the table may fail")]
pub(super) fn range(value: &str) -> Option<Vec<String>> {
    if is_ports(value) {
        return Some(vec!["-p".to_owned(), value.to_owned()]);
    }
    Some(vec![value.to_owned()])
}

pub(super) fn output_words(format: &str, file: Option<&str>) -> Vec<String> {
    let value = file.map_or(format.to_owned(), |file| format!("{format}={file}"));
    vec!["-o".to_owned(), value]
}

#[expect(clippy::unnecessary_wraps, reason = "other functions of the table may fail")]
pub(super) fn grepable(file: &str) -> Option<Vec<String>> {
    Some(output_words("csv", Some(file)))
}

/// Converts the start of the file names of nmap's three outputs.
#[expect(clippy::unnecessary_wraps, reason = "other functions of the table may fail")]
pub(super) fn all_outputs(start: &str) -> Option<Vec<String>> {
    let table = output_words("table", Some(&format!("{start}.nmap")));
    let xml = output_words("xml", Some(&format!("{start}.xml")));
    Some([table, xml].concat())
}

/// Converts the name of a file to write to.
pub(super) fn output(file: &str) -> Option<Vec<String>> {
    Some(output_words(formats::of_file(file)?, Some(file)))
}

/// Returns the format of this name in another program, or else the name.
pub(super) fn format_named(name: &str) -> String {
    let known = match name.to_ascii_lowercase().as_str() {
        "json" | "ndjson" | "jsonl" => "jsonl",
        "text" | "txt" | "normal" => "table",
        "grepable" | "list" => "list",
        _ => return name.to_owned(),
    };
    known.to_owned()
}
