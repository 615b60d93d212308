//! What was checked: hosts, ports and targets.

use std::{collections::BTreeSet, fmt::Write};

use serde::Serialize;

use super::tally::TallyLine;
use crate::{
    class::{Class, Doubt},
    collect::{Collector, Entry},
    text::{counted, grouped},
};

/// The most ports that are named.
const PORTS_MAX: usize = 10;

/// What was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Scope {
    /// Number of hosts with a row.
    pub hosts: u64,
    /// Number of hosts of which at least one target was open or refused.
    pub hosts_answered: u64,
    /// Number of different ports.
    pub port_count: u64,
    /// The lowest ports, at most ten.
    pub ports: Vec<u16>,
    /// The same in one sentence, with what a target is.
    pub sentence: String,
}

impl Scope {
    /// Describes the rows, which are ordered. `targets` also counts those without a row.
    pub(super) fn new(rows: &Collector, networks: &[TallyLine], targets: u64) -> Self {
        let hosts = rows.targets.chunk_by(|one, next| one.host == next.host).count() as u64;
        let answered = rows.targets.chunk_by(|one, next| one.host == next.host);
        let hosts_answered = answered.filter(|host| host.iter().any(has_answered)).count() as u64;
        let ports: BTreeSet<_> = rows.targets.iter().map(|entry| entry.port).collect();
        let port_count = ports.len() as u64;
        let ports: Vec<_> = ports.into_iter().take(PORTS_MAX).collect();
        let with_row = rows.targets.len() as u64;
        let mut sentence = describe_hosts(rows, hosts, networks);
        if hosts > 0 {
            let each = if hosts > 1 && hosts * port_count == with_row { " on each" } else { "" };
            sentence = format!("{sentence}, {}{each}: ", describe_ports(&ports, port_count));
        }
        sentence.push_str(&counted(targets, "target", "targets"));
        if let Some(without @ 1..) = targets.checked_sub(with_row) {
            let _ = write!(sentence, ", of which {} no row here", counted(without, "has", "have"));
        }
        let open = rows.targets.iter().find(|entry| entry.class.is_open());
        let example = open.or(rows.targets.first()).map(|entry| entry.host.with_port(entry.port));
        let example = example.unwrap_or_else(|| "10.0.0.5:23".to_owned());
        let _ = write!(sentence, ". A target is one host and port, such as {example}.");
        Self { hosts, hosts_answered, port_count, ports, sentence }
    }

    /// Says how many hosts answered; empty if there are none.
    pub(super) fn answered(&self) -> String {
        match self.hosts {
            0 | 1 => String::new(),
            hosts => {
                format!("{} of {} hosts answered.", grouped(self.hosts_answered), grouped(hosts))
            }
        }
    }

    /// Says which ports were not checked; empty if no port was.
    pub(super) fn unchecked_ports(&self) -> String {
        match self.port_count {
            0 => String::new(),
            count if count > self.ports.len() as u64 => {
                format!("Not checked: other ports than the {} of this run.", grouped(count))
            }
            1 => format!("Not checked: other ports than {}.", self.ports[0]),
            count => {
                let ports = describe_ports(&self.ports, count);
                let ports = ports.strip_prefix("ports ").unwrap_or(&ports);
                format!("Not checked: other ports than {ports}.")
            }
        }
    }
}

/// Returns whether something at the address of a target sent an answer of its own.
fn has_answered(entry: &Entry) -> bool {
    entry.class.is_open()
        || entry.class == Class::Refused
        || entry.doubt == Some(Doubt::RefusedInPart)
}

/// Returns the number of hosts, and their name or network if they have only one.
fn describe_hosts(rows: &Collector, hosts: u64, networks: &[TallyLine]) -> String {
    match (hosts, networks, rows.targets.first()) {
        (0, ..) => String::new(),
        (1, _, Some(entry)) => format!("1 host ({})", entry.host.to_text()),
        (_, [network], _) => format!("{} hosts in {}", grouped(hosts), network.name),
        _ => format!("{} hosts", grouped(hosts)),
    }
}

/// Returns the ports as text: `port 23`, `ports 22 and 23`, `36 different ports`.
fn describe_ports(ports: &[u16], count: u64) -> String {
    match ports {
        [only] => format!("port {only}"),
        [_, ..] if count > ports.len() as u64 => {
            format!("{} different ports", grouped(count))
        }
        [others @ .., last] => {
            let others: Vec<_> = others.iter().map(u16::to_string).collect();
            format!("ports {} and {last}", others.join(", "))
        }
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, Report};

    fn sentence(targets: impl IntoIterator<Item = (&'static str, u16)>) -> String {
        let mut rows = Collector::default();
        for (host, port) in targets {
            let row = format!(
                r#"{{"schema":1,"host":"{host}","port":{port},"state":"closed","reason":"refused"}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        let sentence = Report::new(rows, Facts::default()).scope.sentence;
        let (counts, _) = sentence.split_once(". A target is").expect("it says what a target is");
        counts.to_owned()
    }

    #[test]
    fn scope_names_hosts_ports_and_targets() {
        let every = [("10.0.0.1", 22), ("10.0.0.1", 23), ("10.0.0.2", 22), ("10.0.0.2", 23)];
        assert_eq!(sentence(every), "2 hosts in 10.0.0.0/24, ports 22 and 23 on each: 4 targets");
        let some = [("10.0.0.1", 22), ("10.0.1.1", 23), ("10.0.1.1", 25)];
        assert_eq!(sentence(some), "2 hosts, ports 22, 23 and 25: 3 targets");
        assert_eq!(sentence([("a.example", 23)]), "1 host (a.example), port 23: 1 target");
        let many = (100..140).map(|port| ("10.0.0.1", port));
        assert_eq!(sentence(many), "1 host (10.0.0.1), 40 different ports: 40 targets");
        assert_eq!(sentence([]), "0 targets");
    }

    #[test]
    fn hosts_that_answered_and_ports_that_were_not_checked_are_stated() {
        let mut rows = Collector::default();
        for (host, port, state) in
            [("10.0.0.1", 22, "closed"), ("10.0.0.1", 23, "filtered"), ("10.0.0.2", 23, "filtered")]
        {
            let row = format!(
                r#"{{"schema":1,"host":"{host}","port":{port},"state":"{state}","reason":"x"}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        let scope = Report::new(rows, Facts::default()).scope;
        assert_eq!(scope.answered(), "1 of 2 hosts answered.");
        assert_eq!(scope.unchecked_ports(), "Not checked: other ports than 22 and 23.");
        assert!(scope.sentence.ends_with("such as 10.0.0.1:22."), "{}", scope.sentence);
    }

    #[test]
    fn targets_without_a_row_are_counted() {
        let networks = [];
        let scope = Scope::new(&Collector::default(), &networks, 3);
        assert!(scope.sentence.starts_with("3 targets, of which 3 have no row here."), "{scope:?}");
    }
}
