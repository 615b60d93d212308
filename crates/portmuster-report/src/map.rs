//! The subnet map: one cell for each address, in the class of its worst port.
//!
//! A row is a /24 of IPv4 with 256 cells. If there are more than [`ROWS_MAX`], a row is a /16 whose cells
//! are the /24. Further rows have a cell for each address of an IPv6 network, for each name of a domain,
//! and for each port of a host with many ports.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use crate::{
    class::Class,
    collect::{Collector, Entry, HostKey},
    network::NetworkKey,
};

/// The most rows of each kind.
pub(crate) const ROWS_MAX: usize = 64;

/// Number of cells in a row of addresses, and the most cells of any other row.
pub(crate) const CELLS: usize = 256;

/// The most /24 whose cells a folded map can unfold.
const UNFOLDED_MAX: usize = 4096;

/// A host with more targets than this has a row of its own.
const PORTS_MIN: usize = 8;

/// A /24 with at most this many hosts has no row if each of them has one.
const HOSTS_WITHOUT_NETWORK: usize = 4;

/// The cells of a row; `None`: no target has this address.
pub(crate) type Cells = Vec<Option<Class>>;

/// The map of a run.
#[derive(Debug, Default)]
pub(crate) struct SubnetMap {
    /// The rows, in the order of their addresses and names.
    pub(crate) rows: Vec<MapRow>,
    /// If the map is folded: the /24, for those who unfold one.
    pub(crate) subnets: Vec<(Ipv4Addr, Cells)>,
    /// Number of rows that are not shown.
    pub(crate) hidden: usize,
    is_folded: bool,
}

/// A row of the map.
#[derive(Debug)]
pub(crate) struct MapRow {
    pub(crate) name: String,
    pub(crate) kind: RowKind,
    pub(crate) cells: Cells,
    /// The names of the cells, where they are no addresses of a network.
    pub(crate) names: Vec<String>,
}

/// What the cells of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// The addresses of a /24.
    Subnet(Ipv4Addr),
    /// The /24 of a /16.
    Block(Ipv4Addr),
    /// The hosts of a network of IPv6 or of a domain, by their names.
    Hosts,
    /// The ports of one host, by their names.
    Ports,
}

impl RowKind {
    /// Returns whether the cells have names of their own.
    pub(crate) fn has_names(self) -> bool {
        matches!(self, Self::Hosts | Self::Ports)
    }
}

impl MapRow {
    /// Returns the number of cells of a class.
    pub(crate) fn count(&self, class: Class) -> usize {
        self.cells.iter().filter(|&&cell| cell == Some(class)).count()
    }
}

impl SubnetMap {
    /// Draws the map of targets, which are ordered.
    pub(crate) fn new(rows: &Collector) -> Self {
        let subnets = subnets(&rows.targets);
        let is_folded = subnets.len() > ROWS_MAX;
        let mut map = Self { is_folded, ..Self::default() };
        map.rows = if is_folded { blocks(&subnets) } else { rows_of(&subnets, &rows.targets) };
        if is_folded {
            map.subnets = subnets;
            map.subnets.retain(|(_, cells)| cells.iter().flatten().any(|class| class.is_open()));
            map.subnets.truncate(UNFOLDED_MAX);
        }
        let mut groups = groups(&rows.targets);
        map.hidden = limit(&mut map.rows) + limit(&mut groups);
        map.rows.extend(groups);
        map
    }

    /// Returns the number of /24 with telnet; `None`: telnet is also elsewhere, or the map does not show
    /// all of them as cells.
    pub(crate) fn telnet_subnets(&self) -> Option<u64> {
        let is_elsewhere =
            self.rows.iter().any(|row| row.kind == RowKind::Hosts && row.count(Class::Telnet) > 0);
        let cells = self.rows.iter().filter(|row| matches!(row.kind, RowKind::Block(_)));
        let count = cells.map(|row| row.count(Class::Telnet)).sum::<usize>();
        (self.is_folded && self.hidden == 0 && !is_elsewhere).then_some(count as u64)
    }

    /// Returns whether rows are /16.
    pub(crate) fn is_folded(&self) -> bool {
        self.is_folded
    }
}

/// Keeps the rows whose worst cells are worst, in their order. Returns how many it has removed.
fn limit(rows: &mut Vec<MapRow>) -> usize {
    let hidden = rows.len().saturating_sub(ROWS_MAX);
    if hidden > 0 {
        let need = |row: &MapRow| Class::ALL.map(|class| row.count(class));
        let mut order: Vec<_> = (0..rows.len()).collect();
        order.sort_by_key(|&row| std::cmp::Reverse(need(&rows[row])));
        let mut is_kept = vec![false; order.len()];
        order[..ROWS_MAX].iter().for_each(|&row| is_kept[row] = true);
        let mut is_kept = is_kept.into_iter();
        rows.retain(|_| is_kept.next().unwrap_or_default());
    }
    hidden
}

/// Marks a cell, unless it has a worse class.
fn mark(cell: &mut Option<Class>, class: Class) {
    *cell = Some(cell.map_or(class, |worst| worst.min(class)));
}

/// Returns the /24 of all IPv4 targets.
fn subnets(targets: &[Entry]) -> Vec<(Ipv4Addr, Cells)> {
    let mut subnets: Vec<(Ipv4Addr, Cells)> = Vec::new();
    for entry in targets {
        let HostKey::V4(address) = entry.host else { continue };
        let [first, second, third, last] = address.octets();
        let base = Ipv4Addr::new(first, second, third, 0);
        if subnets.last().is_none_or(|(latest, _)| *latest != base) {
            subnets.push((base, vec![None; CELLS]));
        }
        if let Some((_, cells)) = subnets.last_mut() {
            mark(&mut cells[usize::from(last)], entry.class);
        }
    }
    subnets
}

/// Returns a row for each /24, except those whose few hosts all have a row of ports.
fn rows_of(subnets: &[(Ipv4Addr, Cells)], targets: &[Entry]) -> Vec<MapRow> {
    let mut with_row: HashMap<Ipv4Addr, usize> = HashMap::new();
    for of_host in targets.chunk_by(|one, next| one.host == next.host) {
        let HostKey::V4(address) = of_host[0].host else { continue };
        if of_host.len() > PORTS_MIN {
            let [first, second, third, _] = address.octets();
            *with_row.entry(Ipv4Addr::new(first, second, third, 0)).or_default() += 1;
        }
    }
    let is_needed = |base: &Ipv4Addr, cells: &Cells| {
        let hosts = cells.iter().flatten().count();
        hosts > HOSTS_WITHOUT_NETWORK || with_row.get(base).is_none_or(|&count| count < hosts)
    };
    let subnets = subnets.iter().filter(|(base, cells)| is_needed(base, cells));
    let row = |(base, cells): &(Ipv4Addr, Cells)| MapRow {
        name: format!("{base}/24"),
        kind: RowKind::Subnet(*base),
        cells: cells.clone(),
        names: Vec::new(),
    };
    subnets.map(row).collect()
}

/// Folds /24 into rows of /16.
fn blocks(subnets: &[(Ipv4Addr, Cells)]) -> Vec<MapRow> {
    let mut rows: Vec<MapRow> = Vec::new();
    for (subnet, cells) in subnets {
        let [first, second, third, _] = subnet.octets();
        let base = Ipv4Addr::new(first, second, 0, 0);
        if rows.last().is_none_or(|row| row.kind != RowKind::Block(base)) {
            let (name, kind) = (format!("{base}/16"), RowKind::Block(base));
            rows.push(MapRow { name, kind, cells: vec![None; CELLS], names: Vec::new() });
        }
        if let (Some(row), Some(worst)) = (rows.last_mut(), cells.iter().flatten().min()) {
            mark(&mut row.cells[usize::from(third)], *worst);
        }
    }
    rows
}

/// Returns rows for networks of IPv6, domains of names, and hosts with many ports.
fn groups(targets: &[Entry]) -> Vec<MapRow> {
    let mut rows: BTreeMap<NetworkKey, MapRow> = BTreeMap::new();
    let mut hosts = Vec::new();
    for of_host in targets.chunk_by(|one, next| one.host == next.host) {
        let host = &of_host[0].host;
        if of_host.len() > PORTS_MIN {
            let cells = of_host.iter().map(|entry| (entry.host.with_port(entry.port), entry.class));
            hosts.push(named_row(format!("{}, ports", host.to_text()), RowKind::Ports, cells));
        }
        let Some(worst) = of_host.iter().map(|entry| entry.class).min() else { continue };
        if matches!(host, HostKey::V4(_)) {
            continue;
        }
        let network = NetworkKey::new(host, false);
        let row = rows.entry(network).or_insert_with_key(|network| {
            named_row(network.to_text(), RowKind::Hosts, [].into_iter())
        });
        if row.cells.len() < CELLS {
            row.cells.push(Some(worst));
            row.names.push(host.to_text());
        }
    }
    rows.into_values().chain(hosts).collect()
}

fn named_row(name: String, kind: RowKind, cells: impl Iterator<Item = (String, Class)>) -> MapRow {
    let (names, cells) = cells.take(CELLS).map(|(name, class)| (name, Some(class))).unzip();
    MapRow { name, kind, cells, names }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(targets: impl IntoIterator<Item = (String, u16, &'static str)>) -> SubnetMap {
        let mut rows = Collector::default();
        for (host, port, service) in targets {
            let state = if service.is_empty() { "closed" } else { "open" };
            let row = format!(
                r#"{{"schema":1,"host":"{host}","port":{port},"state":"{state}","reason":"x","service":"{service}"}}"#
            );
            rows.add_line(row.as_bytes()).expect("it is a row");
        }
        rows.sort();
        SubnetMap::new(&rows)
    }

    #[test]
    fn cell_has_the_class_of_the_worst_port() {
        let targets = [("10.0.0.7", 22, "ssh"), ("10.0.0.7", 23, "telnet"), ("10.0.0.9", 23, "")];
        let map = map(targets.map(|(host, port, service)| (host.to_owned(), port, service)));
        assert_eq!(map.rows.len(), 1);
        let row = &map.rows[0];
        assert_eq!((row.name.as_str(), row.cells[7]), ("10.0.0.0/24", Some(Class::Telnet)));
        assert_eq!((row.cells[8], row.cells[9]), (None, Some(Class::Refused)));
    }

    #[test]
    fn map_folds_when_it_has_too_many_rows() {
        let subnets = |count| {
            map((0..count).map(|it| (format!("10.{}.{}.1", it / 256, it % 256), 22, "ssh")))
        };
        assert!(!subnets(ROWS_MAX).is_folded());
        let folded = subnets(300);
        assert!(folded.is_folded());
        let names: Vec<_> = folded.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["10.0.0.0/16", "10.1.0.0/16"]);
        assert_eq!(folded.rows[1].count(Class::Ssh), 44);
        assert_eq!((folded.telnet_subnets(), subnets(3).telnet_subnets()), (Some(0), None));
        assert_eq!(folded.subnets.len(), 300);
    }

    #[test]
    fn network_has_a_row_unless_each_of_its_few_hosts_has_one() {
        let ports =
            |host: &'static str, count| (0..count).map(move |port| (host.to_owned(), port, "ssh"));
        let names = |targets: Vec<_>| -> Vec<_> {
            map(targets).rows.into_iter().map(|row| row.name).collect()
        };
        assert_eq!(names(ports("10.0.0.1", 9).collect()), ["10.0.0.1, ports"]);
        let with_another = ports("10.0.0.1", 9).chain(ports("10.0.0.2", 1)).collect();
        assert_eq!(names(with_another), ["10.0.0.0/24", "10.0.0.1, ports"]);
    }

    #[test]
    fn host_with_telnet_is_drawn_before_others_with_many_ports() {
        let host = |host: usize, service| {
            (0..9).map(move |port| (format!("10.0.0.{host}"), port, service))
        };
        let many = (0..=ROWS_MAX).flat_map(|it| host(it, "ssh")).chain(host(200, "telnet"));
        let map = map(many);
        assert_eq!(map.hidden, 2);
        assert!(map.rows.iter().any(|row| row.name == "10.0.0.200, ports"));
    }

    #[test]
    fn row_with_telnet_is_never_hidden() {
        let mut targets: Vec<_> =
            (0..ROWS_MAX + 9).map(|it| (format!("10.{it}.0.1"), 22, "ssh")).collect();
        targets.push(("11.0.0.1".to_owned(), 23, "telnet"));
        let map = map(targets);
        assert_eq!((map.rows.len(), map.hidden), (ROWS_MAX, 10));
        assert!(map.rows.iter().any(|row| row.name == "11.0.0.0/16"));
    }

    #[test]
    fn names_networks_of_ipv6_and_ports_of_one_host_have_rows_of_named_cells() {
        let ports = (0..20).map(|port| ("10.0.0.1".to_owned(), port, "ssh"));
        let others = ["a.example.org", "b.example.org", "2001:db8::1"];
        let others = others.map(|host| (host.to_owned(), 22, "telnet"));
        let map = map(ports.chain(others));
        let rows: Vec<_> =
            map.rows.iter().map(|row| (row.name.as_str(), row.names.len())).collect();
        let expected = [("2001:db8::/64", 1), ("*.example.org", 2), ("10.0.0.1, ports", 20)];
        assert_eq!(rows, expected);
    }
}
