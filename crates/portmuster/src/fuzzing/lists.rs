//! Lists of targets in every format.

use std::{
    io::{BufReader, Read},
    net::IpAddr,
};

use crate::targets::{
    Entries, InputFormat, InputOptions, LineError, LineRule, Lines, Ports, TargetSet,
};

/// Characters that the message of an error may have, whatever it quotes.
const MESSAGE_MAX: usize = 1_000;
/// Items that an inventory may have, by the ranges of its names.
const INVENTORY_MAX: usize = 262_144;

/// A list whose format is not named.
///
/// # Panics
/// Something is not as it must be.
pub fn auto(input: &[u8]) {
    let mut entries = Entries::new(input, InputOptions::default());
    walk(|read| entries.next_item(read), input, INVENTORY_MAX);
}

/// A list of one target and its label a line, then of several targets a line.
///
/// # Panics
/// Something is not as it must be.
pub fn list(input: &[u8]) {
    let mut lines = Lines::new(input);
    for (item, label) in walk(|read| lines.next_item(read), input, input.len()).items {
        assert_is_label(&item, label.as_deref().unwrap_or_default());
    }
    let mut lines = Lines::with_rule(input, LineRule::Targets);
    let several = walk(|read| lines.next_item(read), input, input.len());
    assert!(several.items.iter().all(|(_, label)| label.is_none()));
    format(input, InputFormat::List);
}

/// A table.
///
/// # Panics
/// Something is not as it must be.
pub fn csv(input: &[u8]) {
    format(input, InputFormat::Csv);
}

/// XML of nmap.
///
/// # Panics
/// Something is not as it must be.
pub fn nmap_xml(input: &[u8]) {
    format(input, InputFormat::NmapXml);
}

/// Lines of nmap.
///
/// # Panics
/// Something is not as it must be.
pub fn nmap_grep(input: &[u8]) {
    format(input, InputFormat::NmapGrep);
}

/// Lines or JSON of masscan.
///
/// # Panics
/// Something is not as it must be.
pub fn masscan(input: &[u8]) {
    format(input, InputFormat::Masscan);
}

/// The known hosts of ssh.
///
/// # Panics
/// Something is not as it must be.
pub fn known_hosts(input: &[u8]) {
    format(input, InputFormat::KnownHosts);
}

/// An inventory of ansible, in INI or JSON.
///
/// # Panics
/// Something is not as it must be.
pub fn ansible(input: &[u8]) {
    format(input, InputFormat::Ansible);
}

/// Reads the input whole, and in small parts: it must be the same.
fn format(input: &[u8], format: InputFormat) {
    let most = if format == InputFormat::Ansible { INVENTORY_MAX } else { input.len() };
    for hosts_up in [false, true] {
        let options = InputOptions { format: Some(format), hosts_up, ..InputOptions::default() };
        let mut whole = Entries::new(input, options.clone());
        let whole = walk(|read| whole.next_item(read), input, most);
        // What is peeked at is taken in the same way.
        let mut parts = Entries::new(BufReader::with_capacity(3, Slow(input)), options);
        let parts = walk(|read| parts.next_item(read), input, most);
        assert_eq!(whole, parts);
    }
}

/// Gives one byte at a time.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// What an input was read as.
#[derive(Debug, PartialEq, Eq)]
struct Walked {
    items: Vec<(String, Option<String>)>,
    errors: Vec<String>,
}

/// Takes an item and its label, as the set of targets does.
type Take<'a> = &'a mut dyn FnMut(
    &str,
    Option<&str>,
) -> Result<(String, Option<String>), crate::targets::ItemError>;

/// Reads to the end, and holds each answer to what must be true.
fn walk(
    mut next: impl FnMut(Take<'_>) -> Result<Option<(String, Option<String>)>, LineError>,
    input: &[u8],
    most: usize,
) -> Walked {
    let ports = Ports::ssh_and_telnet();
    let mut set = TargetSet::default();
    let mut take = |item: &str, label: Option<&str>| {
        set.add(item, label, &ports)?;
        Ok((item.to_owned(), label.map(str::to_owned)))
    };
    let ends = input.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let mut walked = Walked { items: Vec::new(), errors: Vec::new() };
    loop {
        let count = walked.items.len() + walked.errors.len();
        assert!(count <= most + 1, "{count} answers: it does not end");
        match next(&mut take) {
            Ok(Some(item)) => walked.items.push(item),
            Ok(None) => break,
            Err(error) => {
                let message = error.to_string();
                assert!((1..=ends as u64 + 1).contains(&error.line), "{message}");
                assert!(error.column >= 1, "{message}");
                assert!(message.chars().count() <= MESSAGE_MAX, "{message}");
                walked.errors.push(message);
                if error.kind.is_final() {
                    break;
                }
            }
        }
    }
    walked
}

/// Nothing that is to be checked is taken for a label.
fn assert_is_label(item: &str, label: &str) {
    let is_address = |word: &str| word != "::" && word.parse::<IpAddr>().is_ok();
    assert!(!label.split_whitespace().any(is_address), "{item} {label}");
    let first = label.split_whitespace().next().unwrap_or_default();
    assert!(first.parse::<u16>().is_err(), "{item} {label}");
}

/// A fuzz target: its name, and inputs that it can read.
#[cfg(test)]
pub(super) type Sampled = (&'static str, fn(&[u8]), &'static [&'static str]);

/// The fuzz targets.
#[cfg(test)]
pub(super) const SAMPLES: [Sampled; 8] = [
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
