//! Numbers of targets by class: in all, and by network, label and port.

use std::collections::HashMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    class::Class,
    collect::{Collector, Entry},
    network::NetworkKey,
    text::{counted, grouped},
};

/// The most networks, labels and ports that are listed; the last line sums up the others.
const LINES_MAX: usize = 64;

/// Number of targets by [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCounts(pub(crate) [u64; Class::ALL.len()]);

/// A line of a table: a network, label or port, with its targets by class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TallyLine {
    /// The network, label or port; `others` for those that are not listed.
    pub name: String,
    /// Its targets.
    pub classes: ClassCounts,
}

/// All tallies of a run.
#[derive(Debug)]
pub(super) struct Tallies {
    pub(super) all: ClassCounts,
    pub(super) networks: Vec<TallyLine>,
    pub(super) labels: Vec<TallyLine>,
    pub(super) ports: Vec<TallyLine>,
}

impl ClassCounts {
    /// Returns the number of targets of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Returns the number of all targets.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the number of open targets.
    #[must_use]
    pub fn open(&self) -> u64 {
        Class::ALL.into_iter().filter(|class| class.is_open()).map(|class| self.of(class)).sum()
    }

    pub(crate) fn add(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }

    fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}

impl Serialize for ClassCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Class::ALL.len()))?;
        for class in Class::ALL {
            map.serialize_entry(class.name(), &self.of(class))?;
        }
        map.end()
    }
}

impl Tallies {
    /// Counts the targets. `is_coarse`: networks of IPv4 are /16 instead of /24.
    pub(super) fn new(rows: &Collector, is_coarse: bool) -> Self {
        let mut all = ClassCounts::default();
        let mut networks: HashMap<NetworkKey, ClassCounts> = HashMap::new();
        let mut labels: HashMap<u32, ClassCounts> = HashMap::new();
        let mut ports: HashMap<u16, ClassCounts> = HashMap::new();
        for entry in &rows.targets {
            all.add(entry.class);
            let network = NetworkKey::new(&entry.host, is_coarse);
            networks.entry(network).or_default().add(entry.class);
            ports.entry(entry.port).or_default().add(entry.class);
            if entry.label > 0 {
                labels.entry(entry.label).or_default().add(entry.class);
            }
        }
        let networks = networks.into_iter().map(|(network, it)| (network.to_text(), it));
        let labels = labels.into_iter().map(|(label, it)| (rows.texts.get(label).to_owned(), it));
        let mut ports: Vec<_> = ports.into_iter().collect();
        ports.sort_by_key(|(port, counts)| (u64::MAX - counts.open(), *port));
        let ports = ports.into_iter().map(|(port, it)| (port.to_string(), it));
        Self {
            all,
            networks: limited(by_need(networks)),
            labels: limited(by_need(labels)),
            ports: limited(ports.map(line).collect()),
        }
    }
}

/// Orders lines by what needs attention most, then by name.
fn by_need(lines: impl Iterator<Item = (String, ClassCounts)>) -> Vec<TallyLine> {
    let mut lines: Vec<_> = lines.map(line).collect();
    // The numbers of a class decide only where those of all worse classes are equal.
    lines.sort_by(|one, other| {
        other.classes.0.cmp(&one.classes.0).then_with(|| one.name.cmp(&other.name))
    });
    lines
}

/// The most networks that a sentence names.
const NAMED_MAX: usize = 3;

/// Says in which networks telnet was found, or else what looks like it; empty if it is in none. The networks are those
/// of [`Tallies`].
pub(super) fn place(networks: &[TallyLine]) -> String {
    let with = |class| networks.iter().filter(move |it| it.classes.of(class) > 0).collect();
    let mut class = Class::Telnet;
    let mut networks: Vec<&TallyLine> = with(class);
    if networks.is_empty() {
        class = Class::Likely;
        networks = with(class);
    }
    let name = |(at, line): (usize, &&TallyLine)| {
        let count = line.classes.of(class);
        // The first number says what the others are numbers of.
        let count = if at == 0 { counted(count, "target", "targets") } else { grouped(count) };
        format!("{} ({count})", line.name)
    };
    let named: Vec<_> = networks.iter().take(NAMED_MAX).enumerate().map(name).collect();
    let what = if class == Class::Telnet { "Telnet is" } else { "What looks like telnet is" };
    match (networks.len(), networks.len().saturating_sub(NAMED_MAX)) {
        (0, _) => String::new(),
        (_, 0) => format!("{what} in {}.", named.join(", ")),
        (_, more) => {
            let more = counted(more as u64, "more network", "more networks");
            format!("{what} in {} and {more}.", named.join(", "))
        }
    }
}

/// Names the first of these targets, or their host if they have only one, and says on how many hosts they
/// are; empty if there are none. The targets are those of telnet, or else those that look like it.
pub(super) fn addresses(rows: &Collector) -> String {
    let of = |class| rows.targets.iter().filter(move |it| it.class == class).collect();
    let mut targets: Vec<&Entry> = of(Class::Telnet);
    if targets.is_empty() {
        targets = of(Class::Likely);
    }
    let hosts = targets.chunk_by(|one, next| one.host == next.host).count() as u64;
    let more = targets.len().saturating_sub(NAMED_MAX) as u64;
    let first = targets.iter().take(NAMED_MAX);
    match (hosts, targets.first()) {
        (0, _) | (_, None) => String::new(),
        (1, Some(only)) => {
            let ports: Vec<_> = first.map(|it| it.port.to_string()).collect();
            let noun = if targets.len() == 1 { "port" } else { "ports" };
            let more =
                if more > 0 { format!(" and {} more", grouped(more)) } else { String::new() };
            format!("Its host is {}, {noun} {}{more}.", only.host.to_text(), ports.join(", "))
        }
        _ => {
            let first: Vec<_> = first.map(|it| it.host.with_port(it.port)).collect();
            format!("It is on {} hosts; the first: {}.", grouped(hosts), first.join(", "))
        }
    }
}

fn line((name, classes): (String, ClassCounts)) -> TallyLine {
    TallyLine { name, classes }
}

/// Sums up the lines after the first ones.
fn limited(mut lines: Vec<TallyLine>) -> Vec<TallyLine> {
    if lines.len() > LINES_MAX {
        let rest = lines.split_off(LINES_MAX - 1);
        let mut classes = ClassCounts::default();
        for line in &rest {
            classes.add_all(&line.classes);
        }
        lines.push(TallyLine { name: format!("{} others", rest.len()), classes });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_with_telnet_comes_before_larger_ones() {
        let counts = |telnet, ssh| {
            let mut counts = ClassCounts::default();
            counts.0[Class::Telnet as usize] = telnet;
            counts.0[Class::Ssh as usize] = ssh;
            counts
        };
        let lines = [("a", counts(0, 900)), ("b", counts(1, 0)), ("c", counts(0, 900))];
        let lines = by_need(lines.into_iter().map(|(name, it)| (name.to_owned(), it)));
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
    }

    #[test]
    fn place_names_the_networks_with_most_telnet() {
        let lines = |counts: &[(&str, u64, u64)]| -> Vec<_> {
            let line = |&(name, telnet, likely): &(&str, u64, u64)| {
                let mut classes = ClassCounts::default();
                classes.0[Class::Telnet as usize] = telnet;
                classes.0[Class::Likely as usize] = likely;
                TallyLine { name: name.to_owned(), classes }
            };
            counts.iter().map(line).collect()
        };
        assert_eq!(place(&lines(&[("a", 9, 0), ("b", 0, 4)])), "Telnet is in a (9 targets).");
        assert_eq!(
            place(&lines(&[("a", 0, 2), ("b", 0, 0)])),
            "What looks like telnet is in a (2 targets)."
        );
        let many = lines(&[("a", 5, 0), ("b", 4, 0), ("c", 3, 0), ("d", 2, 0), ("e", 1, 0)]);
        assert_eq!(place(&many), "Telnet is in a (5 targets), b (4), c (3) and 2 more networks.");
        assert_eq!(place(&lines(&[("a", 0, 0)])), "");
    }

    #[test]
    fn addresses_are_the_first_targets_or_the_only_host() {
        let text = |targets: &[(&str, u16)]| {
            let mut rows = Collector::default();
            for (host, port) in targets {
                let row = format!(
                    r#"{{"schema":1,"host":"{host}","port":{port},"state":"open","reason":"x","service":"telnet"}}"#
                );
                rows.add_line(row.as_bytes()).expect("it is a row");
            }
            rows.sort();
            addresses(&rows)
        };
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[("10.0.0.1", 23)]), "Its host is 10.0.0.1, port 23.");
        let ports = text(&[("a", 1), ("a", 2), ("a", 3), ("a", 4)]);
        assert_eq!(ports, "Its host is a, ports 1, 2, 3 and 1 more.");
        let hosts = text(&[("10.0.0.1", 23), ("10.0.0.2", 23)]);
        assert_eq!(hosts, "It is on 2 hosts; the first: 10.0.0.1:23, 10.0.0.2:23.");
    }

    #[test]
    fn lines_after_the_limit_are_summed_up() {
        let mut ssh = ClassCounts::default();
        ssh.add(Class::Ssh);
        let many = (0..LINES_MAX + 6).map(|name| line((name.to_string(), ssh))).collect();
        let lines = limited(many);
        assert_eq!(lines.len(), LINES_MAX);
        let last = lines.last().expect("there are lines");
        assert_eq!((last.name.as_str(), last.classes.all()), ("7 others", 7));
    }
}
