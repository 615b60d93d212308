//! Open targets by software or protocol.

use std::collections::HashMap;

use serde::Serialize;

use crate::{class::Class, collect::Collector};

/// The most lines; the last one sums up the others.
const LINES_MAX: usize = 40;

/// A piece of software, or another protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SoftwareLine {
    /// The software with its version, the name of the protocol, or the service if neither is known. The last
    /// line may sum up others.
    pub name: String,
    /// The service.
    pub service: String,
    /// Number of open targets.
    pub count: u64,
    /// How many of these have a weakness.
    pub weak: u64,
}

/// Counts the open targets by software, the most frequent first.
pub(super) fn lines(rows: &Collector) -> Vec<SoftwareLine> {
    let mut counts: HashMap<(u32, u32), (u64, u64)> = HashMap::new();
    for entry in &rows.targets {
        let Some(open) = entry.open else { continue };
        let port = &rows.open[open as usize];
        let name = if port.protocol > 0 { port.protocol } else { port.software };
        let (count, weak) = counts.entry((port.service, name)).or_default();
        *count += 1;
        *weak += u64::from(entry.class == Class::WeakSsh);
    }
    let line = |((service, name), (count, weak)): ((u32, u32), (u64, u64))| {
        let service = rows.texts.get(service).to_owned();
        let name = rows.texts.get(name);
        let name = if name.is_empty() { service.clone() } else { name.to_owned() };
        SoftwareLine { name, service, count, weak }
    };
    let mut lines: Vec<_> = counts.into_iter().map(line).collect();
    lines.sort_by(|one, other| {
        other
            .count
            .cmp(&one.count)
            .then_with(|| (&one.name, &one.service).cmp(&(&other.name, &other.service)))
    });
    limited(lines)
}

fn limited(mut lines: Vec<SoftwareLine>) -> Vec<SoftwareLine> {
    if lines.len() > LINES_MAX {
        let rest = lines.split_off(LINES_MAX - 1);
        lines.push(SoftwareLine {
            name: format!("{} others", rest.len()),
            service: String::new(),
            count: rest.iter().map(|line| line.count).sum(),
            weak: rest.iter().map(|line| line.weak).sum(),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_that_the_server_does_not_name_is_that_of_the_fingerprint() {
        let mut rows = Collector::default();
        for (port, more) in [
            (
                1,
                r#""service":"telnet","telnet_daemon":"gnu-inetutils","telnet_daemon_confidence_percent":90"#,
            ),
            (
                2,
                r#""service":"telnet","vendor":"Cisco","product":"IOS telnet","telnet_daemon":"cisco""#,
            ),
            (3, r#""service":"telnet","vendor":"Acme","device":"router""#),
            (
                4,
                r#""service":"ssh","ssh_software":"OpenSSH_9.2","vendor":"OpenBSD","product":"OpenSSH""#,
            ),
        ] {
            let row = format!(
                r#"{{"schema":1,"host":"a","port":{port},"state":"open","reason":"x",{more}}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        let mut names: Vec<_> = lines(&rows).into_iter().map(|line| line.name).collect();
        names.sort();
        assert_eq!(names, ["Cisco IOS telnet", "OpenSSH_9.2", "gnu-inetutils", "telnet"]);
    }

    #[test]
    fn software_is_ordered_by_count_and_others_are_summed_up() {
        let mut rows = Collector::default();
        let mut add = |port: usize, service: &str, software: &str| {
            let row = format!(
                r#"{{"schema":1,"host":"a","port":{port},"state":"open","reason":"x","service":"{service}","ssh_software":"{software}"}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        };
        (0..50).for_each(|port| add(port, "ssh", &format!("software {port}")));
        add(50, "ssh", "software 7");
        add(51, "silent", "");
        rows.sort();
        let lines = lines(&rows);
        assert_eq!((lines[0].name.as_str(), lines[0].count), ("software 7", 2));
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!(lines.iter().map(|line| line.count).sum::<u64>(), 52);
        assert!(lines.iter().any(|line| line.name == "silent"));
    }
}
