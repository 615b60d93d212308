//! Lists of ports, such as `22`, `22,23`, `2222-2230` and `ssh,telnet`.

use std::{fmt, ops::RangeInclusive, str::FromStr, sync::Arc};

use thiserror::Error;

/// A list of distinct ports in ascending order. It is never empty, and cheap to clone.
///
/// It is parsed from numbers, ranges and service names, separated by commas. `ssh` is always 22 and
/// `telnet` always 23, in lower or upper case; other names are looked up in `/etc/services`.
///
/// ```
/// use portmuster::targets::Ports;
///
/// let ports: Ports = "ssh,2222-2224".parse()?;
/// assert_eq!((ports.len(), ports.contains(2223)), (4, true));
///
/// let error = "22,70000".parse::<Ports>().expect_err("no such port");
/// assert_eq!(error.to_string(), "column 4: port 70000 is not from 1 to 65535");
/// # Ok::<(), portmuster::targets::PortsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ports(PortRanges);

/// Ascending, disjoint ranges of ports.
///
/// Invariant: `Many` has at least two ranges, so each list has one representation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PortRanges {
    // Not boxed, because lists with a port on every line have millions of these.
    One(RangeInclusive<u16>),
    Many(Arc<[RangeInclusive<u16>]>),
}

/// A text that is not a list of ports: the problem and its column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {kind}")]
pub struct PortsError {
    column: usize,
    kind: PortsErrorKind,
}

/// Why a text is not a list of ports.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortsErrorKind {
    /// A port is missing: the text, or an item of the list, is empty.
    #[error("a port is missing")]
    Missing,
    /// The number is outside of 1 to 65535.
    #[error("port {0} is not from 1 to 65535")]
    OutOfRange(String),
    /// The range has no end.
    #[error("the range {0}- has no end: up to the last port, write {0}-65535")]
    NoEnd(u16),
    /// The range has no start.
    #[error("the range -{0} has no start: from the first port, write 1-{0}")]
    NoStart(u16),
    /// The range ends before it starts.
    #[error("the range {0}-{1} ends before it starts")]
    Backwards(u16, u16),
    /// The text is neither a number nor the name of a service that this system knows.
    #[error("{0:?} is neither a port number nor a service that this system knows")]
    Unknown(String),
}

impl PortsError {
    /// Returns the column of the problem, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns the problem.
    #[must_use]
    pub fn kind(&self) -> &PortsErrorKind {
        &self.kind
    }

    /// Returns the problem, without its column.
    pub(super) fn into_kind(self) -> PortsErrorKind {
        self.kind
    }
}

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, PortsError> {
        let mut ranges = Vec::new();
        let mut column = 1;
        for item in text.split(',') {
            let range = parse_range(item.trim()).map_err(|kind| PortsError { column, kind })?;
            ranges.push(range);
            column += item.chars().count() + 1;
        }
        Ok(Self::union(ranges))
    }
}

impl Ports {
    /// Returns the default ports of ssh and telnet: 22 and 23.
    #[must_use]
    pub fn ssh_and_telnet() -> Self {
        Self(PortRanges::One(22..=23))
    }

    /// Returns the number of ports: 1 to 65,535.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a list of ports is never empty")]
    pub fn len(&self) -> usize {
        self.ranges().iter().map(length).sum()
    }

    /// Returns the port at `index` in ascending order; `None` beyond the last.
    pub(crate) fn get(&self, index: usize) -> Option<u16> {
        let mut index = index;
        for range in self.ranges() {
            if index < length(range) {
                return u16::try_from(usize::from(*range.start()) + index).ok();
            }
            index -= length(range);
        }
        None
    }

    /// Creates a list of these ports, in any order; `None` if there are none, or one of them is 0.
    ///
    /// ```
    /// use portmuster::targets::Ports;
    ///
    /// let ports = Ports::new([2222, 22]).expect("ports other than 0");
    /// assert_eq!(ports.iter().collect::<Vec<_>>(), [22, 2222]);
    /// ```
    #[must_use]
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Option<Self> {
        Self::from_numbers(ports.into_iter()).filter(|ports| !ports.contains(0))
    }

    /// Creates a list of these ports, none of which may be 0; `None` if there is no port.
    pub(super) fn from_numbers(ports: impl Iterator<Item = u16>) -> Option<Self> {
        let ports: Vec<_> = ports.map(|port| port..=port).collect();
        (!ports.is_empty()).then(|| Self::union(ports))
    }

    /// Iterates over the ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.ranges().iter().cloned().flatten()
    }

    /// Creates a list of one port, which must not be 0.
    pub(super) fn one(port: u16) -> Self {
        Self(PortRanges::One(port..=port))
    }

    /// Returns the port of a list of one port; `None` for a list of several.
    pub(super) fn single(&self) -> Option<u16> {
        match &self.0 {
            PortRanges::One(range) if range.start() == range.end() => Some(*range.start()),
            _ => None,
        }
    }

    /// Returns the ascending, disjoint ranges of the list.
    pub(crate) fn ranges(&self) -> &[RangeInclusive<u16>] {
        match &self.0 {
            PortRanges::One(range) => std::slice::from_ref(range),
            PortRanges::Many(ranges) => ranges,
        }
    }

    /// Returns the list of all ports.
    pub(crate) fn all() -> Self {
        Self(PortRanges::One(1..=u16::MAX))
    }

    /// Returns whether the list contains the port.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let ranges = self.ranges();
        let index = ranges.partition_point(|range| *range.end() < port);
        ranges.get(index).is_some_and(|range| range.contains(&port))
    }

    /// Returns the union of two lists.
    pub(crate) fn with(&self, others: &Self) -> Self {
        if self == others {
            return self.clone();
        }
        Self::union(self.ranges().iter().chain(others.ranges()).cloned().collect())
    }

    /// Returns the union of two lists that are one range each, if the other range directly follows
    /// this one; `None` otherwise.
    pub(super) fn extended_by(&self, others: &Self) -> Option<Self> {
        let (PortRanges::One(these), PortRanges::One(others)) = (&self.0, &others.0) else {
            return None;
        };
        let is_next = these.end().checked_add(1) == Some(*others.start());
        is_next.then(|| Self(PortRanges::One(*these.start()..=*others.end())))
    }

    /// Returns the ports of this list that the other does not contain; `None` if there is none.
    pub(crate) fn without(&self, others: &Self) -> Option<Self> {
        if self == others {
            return None;
        }
        let mut kept = Vec::new();
        let mut others = others.ranges().iter().peekable();
        for range in self.ranges() {
            let mut first = Some(*range.start());
            while others.next_if(|other| other.end() < range.start()).is_some() {}
            while let (Some(start), Some(other)) = (first, others.peek())
                && other.start() <= range.end()
            {
                if start < *other.start() {
                    kept.push(start..=other.start() - 1);
                }
                first = other.end().checked_add(1).filter(|next| next <= range.end());
                // A range that ends after this one may also overlap the next one.
                if other.end() > range.end() {
                    break;
                }
                others.next();
            }
            kept.extend(first.map(|start| start..=*range.end()));
        }
        (!kept.is_empty()).then(|| Self::from_ranges(kept))
    }

    /// Creates a list of ranges, at least one, in any order and possibly overlapping.
    fn union(mut ranges: Vec<RangeInclusive<u16>>) -> Self {
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        Self::from_ranges(merged)
    }

    /// Creates a list of ascending, disjoint ranges, at least one.
    fn from_ranges(ranges: Vec<RangeInclusive<u16>>) -> Self {
        Self(match <[_; 1]>::try_from(ranges) {
            Ok([range]) => PortRanges::One(range),
            Err(ranges) => PortRanges::Many(ranges.into()),
        })
    }
}

fn length(range: &RangeInclusive<u16>) -> usize {
    usize::from(range.end() - range.start()) + 1
}

/// Parses a port, a service name or a range.
fn parse_range(item: &str) -> Result<RangeInclusive<u16>, PortsErrorKind> {
    if item.is_empty() {
        return Err(PortsErrorKind::Missing);
    }
    if let Some(last) = item.strip_prefix('-').and_then(|last| parse_port(last).ok()) {
        return Err(PortsErrorKind::NoStart(last));
    }
    if item.starts_with(|first: char| first.is_ascii_digit())
        && let Some((first, last)) = item.split_once('-')
    {
        let first = parse_port(first)?;
        if last.trim().is_empty() {
            return Err(PortsErrorKind::NoEnd(first));
        }
        let last = parse_port(last)?;
        return if first <= last {
            Ok(first..=last)
        } else {
            Err(PortsErrorKind::Backwards(first, last))
        };
    }
    let port = match item {
        _ if item.eq_ignore_ascii_case("ssh") => 22,
        _ if item.eq_ignore_ascii_case("telnet") => 23,
        _ if item.bytes().all(|byte| byte.is_ascii_digit()) => parse_port(item)?,
        _ => service_port(item).ok_or_else(|| PortsErrorKind::Unknown(item.to_owned()))?,
    };
    Ok(port..=port)
}

fn parse_port(text: &str) -> Result<u16, PortsErrorKind> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PortsErrorKind::Missing);
    }
    // `parse` would accept a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortsErrorKind::Unknown(text.to_owned()));
    }
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(PortsErrorKind::OutOfRange(text.to_owned())),
    }
}

/// Looks up the TCP port of a service in `/etc/services`, whose lines are `name port/protocol
/// alias…` (services(5)).
fn service_port(name: &str) -> Option<u16> {
    let services = std::fs::read_to_string("/etc/services").ok()?;
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        let matches = official == name || words.any(|alias| alias == name);
        matches.then(|| port.parse().ok())?
    })
}

/// Writes the list in the form that it is parsed from.
impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges().iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(formatter, "{comma}{first}")?,
                (first, last) => write!(formatter, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Vec<u16> {
        let ports = text.parse::<Ports>().expect("a list of ports");
        (0..ports.len()).map(|index| ports.get(index).expect("within the length")).collect()
    }

    #[test]
    fn parsed_lists_are_sorted_and_contain_each_port_once() {
        assert_eq!(ports("23,22,2222-2224,2223,22"), [22, 23, 2222, 2223, 2224]);
        assert_eq!(ports("telnet, SSH"), [22, 23]);
        assert_eq!(ports("65535,65534-65535"), [65534, 65535]);
        assert_eq!("1-65535".parse::<Ports>().expect("all").len(), 65_535);
        assert_eq!(Ports::ssh_and_telnet(), "22,23".parse::<Ports>().expect("two"));
    }

    #[test]
    fn unions_and_differences_are_those_of_sets() {
        let list = |text: &str| text.parse::<Ports>().expect("a list of ports");
        assert_eq!(list("22-25").without(&list("23")), Some(list("22,24-25")));
        assert_eq!(list("22-25,80").without(&list("1-23,25-90")), Some(list("24")));
        assert_eq!(list("22").without(&Ports::all()), None);
        assert_eq!(list("1-10").without(&list("3,5-6,10")), Some(list("1-2,4,7-9")));
        assert_eq!(list("22").with(&list("21,23-24")), list("21-24"));
        assert!(list("22,80-90").contains(85) && !list("22,80-90").contains(23));
        assert!(Ports::all().contains(u16::MAX));
    }

    #[test]
    fn errors_have_the_problem_and_its_column() {
        use PortsErrorKind::{Backwards, Missing, NoEnd, NoStart, OutOfRange, Unknown};
        for (text, column, kind) in [
            ("", 1, Missing),
            ("22,", 4, Missing),
            ("0", 1, OutOfRange("0".into())),
            ("22,70000", 4, OutOfRange("70000".into())),
            ("99999999999999999999", 1, OutOfRange("99999999999999999999".into())),
            ("30-20", 1, Backwards(30, 20)),
            ("1-", 1, NoEnd(1)),
            ("22,-1024", 4, NoStart(1024)),
            ("-", 1, Unknown("-".into())),
            ("+22", 1, Unknown("+22".into())),
            ("22,no-such-service", 4, Unknown("no-such-service".into())),
        ] {
            assert_eq!(text.parse::<Ports>(), Err(PortsError { column, kind }), "{text:?}");
        }
    }
}
