//! The header row and the separator of a CSV table.

/// Known titles of the column of hosts, [`simplified`], the most specific first.
pub(super) const HOST_TITLES: [&str; 24] = [
    "ip",
    "ipaddress",
    "ipaddr",
    "ipv4",
    "ipv4address",
    "hostip",
    "managementip",
    "mgmtip",
    "target",
    "host",
    "address",
    "addr",
    "fqdn",
    "hostname",
    "dnsname",
    "server",
    "servername",
    "node",
    "ips",
    "ipaddresses",
    "hosts",
    "targets",
    "addresses",
    "hostnames",
];
/// Those host titles that are a header if they are alone on their line. The others may be host
/// names.
const LONE_HOST_TITLES: [&str; 14] = [
    "ip",
    "ipaddress",
    "ipaddr",
    "ipv4address",
    "host",
    "hostname",
    "address",
    "fqdn",
    "ips",
    "ipaddresses",
    "hosts",
    "targets",
    "addresses",
    "hostnames",
];
/// Known titles of the column of ports, [`simplified`].
pub(super) const PORT_TITLES: [&str; 7] =
    ["port", "ports", "portnumber", "portid", "tcpport", "dstport", "sshport"];
/// Known titles of the column of labels, [`simplified`].
pub(super) const LABEL_TITLES: [&str; 8] =
    ["label", "name", "comment", "description", "hostname", "fqdn", "dnsname", "servername"];

/// Returns a title in lower case, without spaces and punctuation.
pub(super) fn simplified(title: &str) -> String {
    let letters = title.chars().filter(|character| character.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns whether the line is a header row with a known title for the column of hosts.
pub(super) fn is_header(line: &str) -> bool {
    header_separator(line).is_some() || LONE_HOST_TITLES.contains(&simplified_lone(line).as_str())
}

/// Returns the simplified title of a line with a single column; empty if the line is not a title.
fn simplified_lone(line: &str) -> String {
    // An address, a name with a domain or a sentence is not a title.
    if line.contains(['.', ':', '#', '[', '/']) { String::new() } else { simplified(line) }
}

/// Returns the separator of a header row with a known title for the column of hosts.
fn header_separator(line: &str) -> Option<char> {
    ['\t', ';', ','].into_iter().find(|&separator| {
        let titles = || line.split(separator).map(|title| title.trim().trim_matches('"'));
        let is_title = |title: &str| title.chars().count() <= 40 && !title.contains(['.', ':']);
        titles().count() > 1
            && titles().all(is_title)
            && titles().any(|title| HOST_TITLES.contains(&simplified(title).as_str()))
    })
}

/// Detects the separator of the columns from the beginning of a table.
///
/// It is that of a header row with a known title, or else the most frequent one in the first row, or
/// else a comma.
pub(super) fn separator(beginning: &[u8]) -> u8 {
    let beginning = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning);
    let text = String::from_utf8_lossy(beginning);
    let mut lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
    let Some(first) = lines.next() else { return b',' };
    if let Some(separator) = header_separator(first) {
        return u8::try_from(separator).unwrap_or(b',');
    }
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut is_quoted = false;
    for byte in first.bytes() {
        is_quoted ^= byte == b'"';
        for (separator, count) in &mut counts {
            *count += usize::from(byte == *separator && !is_quoted);
        }
    }
    // Of equally frequent separators, `max_by_key` returns the last.
    let most_frequent = counts.into_iter().max_by_key(|(_, count)| *count);
    most_frequent.filter(|(_, count)| *count > 0).map_or(b',', |(separator, _)| separator)
}
