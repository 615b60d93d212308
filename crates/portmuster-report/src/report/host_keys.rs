//! Host keys of ssh servers: those that several hosts share, and weak or unproven ones.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use serde::Serialize;

use crate::collect::{Collector, Entry, HostKey, KeyUse};

/// The most keys that are listed.
const LINES_MAX: usize = 40;

/// The most targets that are listed for a key.
const TARGETS_MAX: usize = 10;

/// The least size of an RSA key that is not weak, in bits (NIST SP 800-131A Rev. 2 §3).
const RSA_BITS_MIN: u32 = 2048;

/// The host keys of ssh servers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct HostKeySection {
    /// Number of targets whose host key is known.
    pub servers: u64,
    /// Number of different keys.
    pub keys: u64,
    /// How many of these several hosts have.
    pub shared: u64,
    /// How many of these are weak: DSA, or RSA with less than 2,048 bits.
    pub weak: u64,
    /// How many of these no server has proven to have.
    pub unproven: u64,
    /// The keys with one of these problems, those of most hosts first.
    pub lines: Vec<HostKeyLine>,
    /// Number of keys with a problem that are not listed.
    pub more: u64,
}

/// A host key with a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostKeyLine {
    /// Its fingerprint.
    pub sha256: String,
    /// Its type.
    pub r#type: String,
    /// Its size in bits.
    pub bits: u32,
    /// Its problems: `shared`, `weak` or `unproven`.
    pub problems: Vec<&'static str>,
    /// Number of hosts that have proven to have it.
    pub hosts: u64,
    /// Number of targets that sent it.
    pub count: u64,
    /// The first of these targets.
    pub targets: Vec<String>,
}

/// Where a key was found.
#[derive(Debug, Default)]
struct Found<'a> {
    uses: Vec<(&'a Entry, KeyUse)>,
}

impl HostKeySection {
    pub(super) fn new(rows: &Collector) -> Self {
        let mut found: BTreeMap<&str, Found<'_>> = BTreeMap::new();
        let mut section = Self::default();
        for entry in &rows.targets {
            let Some(open) = entry.open else { continue };
            let start = rows.keys.partition_point(|key| key.open < open);
            let keys = rows.keys[start..].iter().take_while(|key| key.open == open);
            for key in keys.clone() {
                found.entry(rows.texts.get(key.sha256)).or_default().uses.push((entry, *key));
            }
            section.servers += u64::from(keys.count() > 0);
        }
        section.keys = found.len() as u64;
        for (sha256, found) in &found {
            section.add(found.line(sha256, rows));
        }
        section.lines.sort_by_key(|line| u64::MAX - line.hosts);
        section.more = section.lines.len().saturating_sub(LINES_MAX) as u64;
        section.lines.truncate(LINES_MAX);
        section
    }

    fn add(&mut self, line: HostKeyLine) {
        for problem in &line.problems {
            match *problem {
                "shared" => self.shared += 1,
                "weak" => self.weak += 1,
                _ => self.unproven += 1,
            }
        }
        if !line.problems.is_empty() {
            self.lines.push(line);
        }
    }
}

impl Found<'_> {
    fn line(&self, sha256: &str, rows: &Collector) -> HostKeyLine {
        let proven = self.uses.iter().filter(|(_, key)| key.is_proven);
        let hosts = count_hosts(proven.map(|(entry, _)| &entry.host));
        let first = self.uses.first().map(|(_, key)| *key);
        let key_type = first.map(|key| rows.texts.get(key.key_type)).unwrap_or_default();
        let bits = first.map(|key| key.bits).unwrap_or_default();
        let is_weak = key_type == "ssh-dss" || key_type == "ssh-rsa" && bits < RSA_BITS_MIN;
        let problems = [("shared", hosts > 1), ("weak", is_weak), ("unproven", hosts == 0)];
        let targets = self.uses.iter().take(TARGETS_MAX);
        HostKeyLine {
            sha256: sha256.to_owned(),
            r#type: key_type.to_owned(),
            bits,
            problems: problems.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect(),
            hosts,
            count: self.uses.len() as u64,
            targets: targets.map(|(entry, _)| entry.host.with_port(entry.port)).collect(),
        }
    }
}

/// Counts hosts. Targets with one name, and targets with one address, are one host.
fn count_hosts<'a>(hosts: impl Iterator<Item = &'a HostKey>) -> u64 {
    let mut groups: Vec<usize> = Vec::new();
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut addresses: HashMap<IpAddr, usize> = HashMap::new();
    for host in hosts {
        let (name, address) = match host {
            HostKey::V4(address) => (None, Some(IpAddr::from(*address))),
            HostKey::V6(address) => (None, Some(IpAddr::from(*address))),
            HostKey::Name(it) => (Some(it.0.as_str()), it.1),
        };
        let new = groups.len();
        groups.push(new);
        let by_name = name.map(|name| *names.entry(name).or_insert(new));
        let by_address = address.map(|address| *addresses.entry(address).or_insert(new));
        for known in by_name.into_iter().chain(by_address) {
            let (one, other) = (root(&mut groups, known), root(&mut groups, new));
            groups[one.max(other)] = one.min(other);
        }
    }
    groups.iter().enumerate().filter(|(index, group)| index == *group).count() as u64
}

/// Returns the first member of a group, and shortens the way to it.
fn root(groups: &mut [usize], mut member: usize) -> usize {
    while groups[member] != member {
        groups[member] = groups[groups[member]];
        member = groups[member];
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(rows: &[(&str, &str, &str, u32, bool)]) -> HostKeySection {
        let mut collector = Collector::default();
        for (host, address, key, bits, proven) in rows {
            let key_type = if *bits == 256 { "ssh-ed25519" } else { "ssh-rsa" };
            let row = format!(
                r#"{{"schema":1,"host":"{host}","address":"{address}","port":22,"state":"open","reason":"x","service":"ssh","host_keys":[{{"type":"{key_type}","bits":{bits},"sha256":"{key}","proven":{proven}}}]}}"#
            );
            collector.add_line(row.as_bytes()).expect("it is a row");
        }
        collector.sort();
        HostKeySection::new(&collector)
    }

    #[test]
    fn keys_of_several_hosts_come_first() {
        let section = section(&[
            ("10.0.0.1", "10.0.0.1", "SHA256:weak", 1024, true),
            ("10.0.0.2", "10.0.0.2", "SHA256:shared", 256, true),
            ("10.0.0.3", "10.0.0.3", "SHA256:shared", 256, true),
            ("10.0.0.4", "10.0.0.4", "SHA256:stolen", 256, false),
            ("10.0.0.5", "10.0.0.5", "SHA256:good", 2048, true),
        ]);
        let lines: Vec<_> =
            section.lines.iter().map(|it| (&*it.sha256, it.hosts, it.problems.clone())).collect();
        assert_eq!(
            lines,
            [
                ("SHA256:shared", 2, vec!["shared"]),
                ("SHA256:weak", 1, vec!["weak"]),
                ("SHA256:stolen", 0, vec!["unproven"]),
            ]
        );
        assert_eq!(section.lines[0].targets, ["10.0.0.2:22", "10.0.0.3:22"]);
        let HostKeySection { servers, keys, shared, weak, unproven, .. } = section;
        assert_eq!((servers, keys, shared, weak, unproven), (5, 4, 1, 1, 1));
    }

    #[test]
    fn names_and_addresses_of_one_host_do_not_share_its_key() {
        let hosts = |rows: &[(&str, &str)]| {
            let rows: Vec<_> = rows.iter().map(|(a, b)| (*a, *b, "SHA256:a", 256, true)).collect();
            section(&rows).shared
        };
        assert_eq!(hosts(&[("a.example", "10.0.0.1"), ("a.example", "2001:db8::1")]), 0);
        assert_eq!(hosts(&[("a.example", "10.0.0.1"), ("10.0.0.1", "10.0.0.1")]), 0);
        let rows =
            [("a.example", "10.0.0.1"), ("a.example", "10.0.0.2"), ("b.example", "10.0.0.2")];
        assert_eq!(hosts(&rows), 0);
        assert_eq!(hosts(&[("a.example", "10.0.0.1"), ("b.example", "10.0.0.2")]), 1);
    }

    #[test]
    fn many_keys_are_counted_and_not_all_listed() {
        let rows: Vec<_> = (0..100).map(|row| format!("10.0.0.{row}")).collect();
        let rows: Vec<_> = rows.iter().map(|host| (&**host, &**host, &**host, 512, true)).collect();
        let section = section(&rows);
        assert_eq!((section.lines.len(), section.more, section.weak), (40, 60, 100));
    }
}
