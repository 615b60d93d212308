//! Weaknesses of ssh servers by network, and their key exchange.

use std::collections::HashMap;

use serde::Serialize;

use super::tally::TallyLine;
use crate::{class::Class, collect::Collector, facts::WeaknessMeaning, network::NetworkKey};

/// The most networks with a column of their own; another column has the others.
const COLUMNS_MAX: usize = 10;

/// The most weaknesses that are listed. Rows of a later version may name any number.
const LINES_MAX: usize = 40;

/// Weaknesses of ssh servers by network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WeaknessSection {
    /// The networks with most weak servers; `others` at the end if there are more.
    pub networks: Vec<String>,
    /// The weaknesses that were found.
    pub lines: Vec<WeaknessLine>,
    /// Number of ssh servers.
    pub servers: u64,
    /// How many of these have a weakness.
    pub weak_servers: u64,
    /// How many of the other ones have an unknown offer, so their algorithms were not checked.
    pub unknown_offers: u64,
}

/// A weakness and the number of servers that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WeaknessLine {
    /// Its name.
    pub name: String,
    /// Why it is one; empty if unknown.
    pub why: String,
    /// Number of servers in all.
    pub count: u64,
    /// Number of servers in each network, in the order of the networks of the section.
    pub by_network: Vec<u64>,
}

/// How many ssh servers offer a key exchange that resists quantum computers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PostQuantum {
    /// Number of servers that offer one.
    pub offered: u64,
    /// Number of servers whose methods of key exchange are known.
    pub known: u64,
}

impl WeaknessSection {
    /// Counts the weaknesses, in the order of `meanings`; others follow by name. `is_coarse`: networks of
    /// IPv4 are /16 instead of /24.
    pub(super) fn new(
        rows: &Collector,
        meanings: &[WeaknessMeaning],
        networks: &[TallyLine],
        is_coarse: bool,
    ) -> Self {
        let columns = columns(networks);
        let has_others =
            networks.iter().filter(|it| it.classes.of(Class::WeakSsh) > 0).count() > columns.len();
        let width = columns.len() + usize::from(has_others);
        let mut counts: HashMap<&str, Vec<u64>> = HashMap::new();
        let (mut servers, mut weak_servers, mut unknown_offers) = (0, 0, 0);
        for entry in &rows.targets {
            servers += u64::from(matches!(entry.class, Class::Ssh | Class::WeakSsh));
            let is_unknown = |open: u32| rows.open[open as usize].is_post_quantum.is_none();
            unknown_offers +=
                u64::from(entry.class == Class::Ssh && entry.open.is_some_and(is_unknown));
            let Some(open) = entry.open.filter(|_| entry.class == Class::WeakSsh) else { continue };
            weak_servers += 1;
            let network = NetworkKey::new(&entry.host, is_coarse).to_text();
            let column = columns.iter().position(|name| *name == network);
            let column = column.unwrap_or(width - 1);
            for name in rows.texts.get(rows.open[open as usize].findings).split_whitespace() {
                counts.entry(name).or_insert_with(|| vec![0; width])[column] += 1;
            }
        }
        let rank = |name: &str| meanings.iter().position(|meaning| meaning.name == name);
        let mut lines: Vec<_> = counts.into_iter().collect();
        lines.sort_by_key(|(name, _)| (rank(name).unwrap_or(usize::MAX), *name));
        lines.truncate(LINES_MAX);
        let line = |(name, by_network): (&str, Vec<u64>)| WeaknessLine {
            name: name.to_owned(),
            why: rank(name).map(|rank| meanings[rank].why.clone()).unwrap_or_default(),
            count: by_network.iter().sum(),
            by_network,
        };
        let lines = lines.into_iter().map(line).collect();
        let others = has_others.then(|| "others".to_owned());
        let networks = columns.iter().map(|&name| name.to_owned()).chain(others).collect();
        Self { networks, lines, servers, weak_servers, unknown_offers }
    }
}

/// Returns the networks with most weak servers.
fn columns(networks: &[TallyLine]) -> Vec<&str> {
    let mut weak: Vec<_> = networks.iter().filter(|it| it.classes.of(Class::WeakSsh) > 0).collect();
    // The last line may sum up networks, which have no name of their own.
    weak.retain(|line| !line.name.ends_with(" others"));
    weak.sort_by_key(|line| u64::MAX - line.classes.of(Class::WeakSsh));
    weak.into_iter().take(COLUMNS_MAX).map(|line| line.name.as_str()).collect()
}

impl PostQuantum {
    pub(super) fn new(rows: &Collector) -> Self {
        let open = rows.targets.iter().filter_map(|entry| entry.open);
        let offers = open.filter_map(|open| rows.open[open as usize].is_post_quantum);
        offers.fold(Self::default(), |sum, is_offered| Self {
            offered: sum.offered + u64::from(is_offered),
            known: sum.known + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tally::Tallies;

    #[test]
    fn ssh_server_without_an_offer_was_not_checked_for_weaknesses() {
        let mut rows = Collector::default();
        for (host, more) in [("a", ""), ("b", r#","kex_algorithms":["x"]"#)] {
            let row = format!(
                r#"{{"schema":1,"host":"{host}","port":22,"state":"open","reason":"x","service":"ssh"{more}}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        let section = WeaknessSection::new(&rows, &[], &[], false);
        assert_eq!((section.servers, section.unknown_offers), (2, 1));
    }

    #[test]
    fn weaknesses_are_counted_by_network_and_the_rest_in_a_column() {
        let mut rows = Collector::default();
        for network in 0..14 {
            for host in 0..=network {
                let findings = if host == 0 { r#""cbc","zzz""# } else { r#""rc4""# };
                let row = format!(
                    r#"{{"schema":1,"host":"10.0.{network}.{host}","port":22,"state":"open","reason":"x","service":"ssh","findings":[{findings}]}}"#
                );
                rows.add_line(row.as_bytes()).expect("it is a row");
            }
        }
        rows.sort();
        let networks = Tallies::new(&rows, false).networks;
        let meanings = [WeaknessMeaning::new("rc4", "why"), WeaknessMeaning::new("cbc", "")];
        let section = WeaknessSection::new(&rows, &meanings, &networks, false);
        let names: Vec<_> = section.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["rc4", "cbc", "zzz"]);
        assert_eq!(section.unknown_offers, 0, "only servers without a weakness count");
        assert_eq!(section.networks.len(), COLUMNS_MAX + 1);
        assert_eq!(
            (section.networks[0].as_str(), section.lines[0].by_network[0]),
            ("10.0.13.0/24", 13)
        );
        let cbc = &section.lines[1];
        assert_eq!((cbc.count, cbc.by_network.last()), (14, Some(&4)));
        assert_eq!((section.weak_servers, section.servers), (105, 105));
    }
}
