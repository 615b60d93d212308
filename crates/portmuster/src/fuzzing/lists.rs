//! Entry points for the fuzz targets that read lists of targets, one for each format.

use std::{
    io::{BufReader, Read},
    net::IpAddr,
};

use crate::targets::{
    Entries, InputFormat, InputOptions, LineError, LineRule, Lines, Ports, TargetSet,
};

/// The maximum number of characters of an error message, whatever it quotes.
const MESSAGE_MAX: usize = 1_000;
/// The maximum number of hosts of an Ansible inventory, whose host patterns expand to many names.
const INVENTORY_MAX: usize = 262_144;

/// Reads a list whose format is detected.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn auto(input: &[u8]) {
    let mut entries = Entries::new(input, InputOptions::default());
    read_all(|read| entries.next_item(read), input, INVENTORY_MAX);
}

/// Reads a list with one target and label per line, then with several targets per line.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn list(input: &[u8]) {
    let mut lines = Lines::new(input);
    for (item, label) in read_all(|read| lines.next_item(read), input, input.len()).items {
        assert_is_label(&item, label.as_deref().unwrap_or_default());
    }
    let mut lines = Lines::with_rule(input, LineRule::Targets);
    let several = read_all(|read| lines.next_item(read), input, input.len());
    assert!(several.items.iter().all(|(_, label)| label.is_none()));
    format(input, InputFormat::List);
}

/// Reads a CSV table.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn csv(input: &[u8]) {
    format(input, InputFormat::Csv);
}

/// Reads the XML output of nmap.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn nmap_xml(input: &[u8]) {
    format(input, InputFormat::NmapXml);
}

/// Reads the grepable output of nmap.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn nmap_grep(input: &[u8]) {
    format(input, InputFormat::NmapGrep);
}

/// Reads the list or JSON output of masscan.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn masscan(input: &[u8]) {
    format(input, InputFormat::Masscan);
}

/// Reads a `known_hosts` file of OpenSSH.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn known_hosts(input: &[u8]) {
    format(input, InputFormat::KnownHosts);
}

/// Reads an Ansible inventory in INI or JSON.
///
/// # Panics
/// A reader violates one of the asserted properties.
pub fn ansible(input: &[u8]) {
    format(input, InputFormat::Ansible);
}

/// Reads the input in one part and in parts of a byte, and asserts that the results are equal.
fn format(input: &[u8], format: InputFormat) {
    let items_max = if format == InputFormat::Ansible { INVENTORY_MAX } else { input.len() };
    for hosts_up in [false, true] {
        let options = InputOptions { format: Some(format), hosts_up, ..InputOptions::default() };
        let mut whole = Entries::new(input, options.clone());
        let whole = read_all(|read| whole.next_item(read), input, items_max);
        let mut parts = Entries::new(BufReader::with_capacity(3, ByteReader(input)), options);
        let parts = read_all(|read| parts.next_item(read), input, items_max);
        assert_eq!(whole, parts);
    }
}

/// A reader that returns one byte at a time.
struct ByteReader<'a>(&'a [u8]);

impl Read for ByteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// The items, with their labels, and the error messages of an input.
#[derive(Debug, PartialEq, Eq)]
struct ListContents {
    items: Vec<(String, Option<String>)>,
    errors: Vec<String>,
}

/// A function that accepts an item and its label, as [`TargetSet::add`] does.
type AcceptItem<'a> =
    &'a mut dyn FnMut(
        &str,
        Option<&str>,
    ) -> Result<(String, Option<String>), crate::targets::ItemError>;

/// Reads all items, and asserts what must hold for each item and error.
fn read_all(
    mut next: impl FnMut(AcceptItem<'_>) -> Result<Option<(String, Option<String>)>, LineError>,
    input: &[u8],
    items_max: usize,
) -> ListContents {
    let ports = Ports::ssh_and_telnet();
    let mut set = TargetSet::default();
    let mut accept = |item: &str, label: Option<&str>| {
        set.add(item, label, &ports)?;
        Ok((item.to_owned(), label.map(str::to_owned)))
    };
    let line_ends = input.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let mut contents = ListContents { items: Vec::new(), errors: Vec::new() };
    loop {
        let count = contents.items.len() + contents.errors.len();
        assert!(count <= items_max + 1, "the reader does not end after {count} items");
        match next(&mut accept) {
            Ok(Some(item)) => contents.items.push(item),
            Ok(None) => break,
            Err(error) => {
                let message = error.to_string();
                assert!((1..=line_ends as u64 + 1).contains(&error.line()), "{message}");
                assert!(error.column() >= 1, "{message}");
                assert!(message.chars().count() <= MESSAGE_MAX, "{message}");
                contents.errors.push(message);
                if error.kind().is_final() {
                    break;
                }
            }
        }
    }
    contents
}

/// Asserts that a label contains no target or port that the user may want checked.
fn assert_is_label(item: &str, label: &str) {
    let is_address = |word: &str| word != "::" && word.parse::<IpAddr>().is_ok();
    assert!(!label.split_whitespace().any(is_address), "{item} {label}");
    let first = label.split_whitespace().next().unwrap_or_default();
    assert!(first.parse::<u16>().is_err(), "{item} {label}");
}

/// The name of a fuzz target, its function, and sample inputs in its format.
#[cfg(test)]
pub(super) type ListTarget = (&'static str, fn(&[u8]), &'static [&'static str]);

/// The fuzz targets of this module.
#[cfg(test)]
pub(super) const LIST_TARGETS: [ListTarget; 8] = [
    (
        "auto",
        auto,
        &["10.0.0.1\n", "ip,port\n10.0.0.1,22\n", "#masscan\n", "[web]\na\n", "<nmaprun>"],
    ),
    (
        "list",
        list,
        &[
            "# inventory\n10.0.0.5:22 core sw 1\r\na.example\t2222\r10.0.0.1 - 10.0.0.5\n",
            "10.0.0.1,3,5\n10.0-1.0.*:22,2222-2230\n[2001:db8::1]:ssh # x\nssh://root@a:2222/\n- b\n",
            "a:22 b:23\nb\u{fc}cher.example 2001:db8::/120\n10.0.0.0 255.255.255.0\na to b\n10.0.0.1,22\n",
        ],
    ),
    (
        "csv",
        csv,
        &[
            "ip,port,name\n10.0.0.1,22,core\n\"10.0.0.2\",\"22,23\",\"a \"\"b\"\"\nc\"\n,,\n",
            "Host;Port\r\n10.0.0.1;\r\n",
            "10.0.0.1\t22\tx\n2001:db8::1\t23\n",
        ],
    ),
    (
        "nmap_xml",
        nmap_xml,
        &["<?xml version=\"1.0\"?>\n<!DOCTYPE nmaprun>\n<nmaprun>\n<host><status state=\"up\"/>\n\
         <address addr=\"10.0.0.1\" addrtype=\"ipv4\"/><hostnames><hostname name=\"a&amp;b\" \
         type=\"user\"/></hostnames><ports><extraports state=\"open|filtered\" count=\"9\"/>\
         <port protocol=\"tcp\" portid=\"22\"><state state=\"open\"/></port></ports></host>\n\
         <!-- x --><host><address addr=\"2001:db8::1\" addrtype=\"ipv6\"/></host></nmaprun>\n"],
    ),
    (
        "nmap_grep",
        nmap_grep,
        &["# Nmap 7.93 scan\nHost: 10.0.0.1 (a)\tStatus: Up\nHost: 10.0.0.1 (a)\tPorts: \
         22/open/tcp//ssh//x, y/, 23/closed/tcp////\tIgnored State: closed (9)\n\
         Timestamp: 17\tHost: 2001:db8::1 ()\tPorts: 22/open/tcp//ssh//\n"],
    ),
    (
        "masscan",
        masscan,
        &[
            "#masscan\nopen tcp 22 10.0.0.1 17\nbanner tcp 22 10.0.0.1 17 ssh SSH-2.0-x\n# end\n",
            "[\n{ \"ip\": \"10.0.0.1\", \"ports\": [ {\"port\": 22, \"proto\": \"tcp\", \"status\": \
         \"open\"} ] }\n,\n{\"ip\":\"2001:db8::1\",\"ports\":[]},\n{finished: 1}\n]\n",
        ],
    ),
    (
        "known_hosts",
        known_hosts,
        &["a.example,10.0.0.1 ssh-ed25519 AAAA x\n[b]:2222 ssh-rsa AAAA\n|1|a=|b= ssh-rsa AAAA\n\
         *.example,!c ssh-rsa AAAA\n@revoked * ssh-rsa AAAA\n# x\n"],
    ),
    (
        "ansible",
        ansible,
        &[
            "a ansible_host=10.0.0.1 ansible_port=2222\n[web]\nb[01:03].example x='y z' # c\n\
         [2001:db8::1]:22\n[web:vars]\nansible_port = \"23\"\n[all:children]\nweb\n",
            "{\"_meta\": {\"hostvars\": {\"a\": {\"ansible_host\": \"10.0.0.1\", \"ansible_port\": 22, \
         \"x\": [1, {}]}}}, \"all\": {\"children\": [\"web\"]}, \"web\": {\"hosts\": [\"a\", \"b\"], \
         \"vars\": {\"ansible_port\": \"23\"}}, \"old\": [\"c\"]}",
        ],
    ),
];
