//! Lists of ports: `22`, `22,23`, `2222-2230`, `ssh,telnet`.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use thiserror::Error;

/// A list of ports in ascending order, each once; never empty. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Ranges);

/// Ranges, ascending and disjoint.
///
/// Invariant: a single one is never among `Many`, so that equal lists are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ranges {
    // In place: lists with a port on every line have millions of these.
    One(RangeInclusive<u16>),
    Many(Arc<[RangeInclusive<u16>]>),
}

/// Why a text is no list of ports.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortsError {
    /// Nothing stands where a port should.
    #[error("a port is missing")]
    Missing,
    /// The number is not from 1 to 65535.
    #[error("port {0} is not from 1 to 65535")]
    OutOfRange(String),
    /// The range ends before it starts.
    #[error("the range {0}-{1} ends before it starts")]
    Backwards(u16, u16),
    /// It is neither a number nor a service that this system knows.
    #[error("{0:?} is neither a port number nor a service that this system knows")]
    Unknown(String),
}

impl Ports {
    /// ssh and telnet: 22 and 23.
    #[must_use]
    pub fn ssh_and_telnet() -> Self {
        Self(Ranges::One(22..=23))
    }

    /// Reads a list of numbers, ranges and service names, with commas between them. `ssh` is 22
    /// and `telnet` is 23 everywhere; other names are looked up in the system's services file.
    ///
    /// # Errors
    /// Where, in characters from 0, and what can't be read.
    pub fn parse(text: &str) -> Result<Self, (usize, PortsError)> {
        let mut ranges = Vec::new();
        let mut at = 0;
        for item in text.split(',') {
            ranges.push(range(item.trim()).map_err(|error| (at, error))?);
            at += item.chars().count() + 1;
        }
        Ok(Self::union(ranges))
    }

    /// How many ports there are: 1 to 65,535.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a list of ports is never empty")]
    pub fn len(&self) -> usize {
        self.ranges().iter().map(length).sum()
    }

    /// The port at this place, in ascending order; `None` beyond the last.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<u16> {
        let mut place = place;
        for range in self.ranges() {
            if place < length(range) {
                return u16::try_from(usize::from(*range.start()) + place).ok();
            }
            place -= length(range);
        }
        None
    }

    /// These ports, none of which is 0; `None` when there is none.
    pub(super) fn of_numbers(ports: impl Iterator<Item = u16>) -> Option<Self> {
        let ports: Vec<_> = ports.map(|port| port..=port).collect();
        (!ports.is_empty()).then(|| Self::union(ports))
    }

    /// This one port, which is not 0.
    pub(super) fn one(port: u16) -> Self {
        Self(Ranges::One(port..=port))
    }

    /// The ranges, ascending and disjoint.
    pub(crate) fn ranges(&self) -> &[RangeInclusive<u16>] {
        match &self.0 {
            Ranges::One(range) => std::slice::from_ref(range),
            Ranges::Many(ranges) => ranges,
        }
    }

    /// Every port.
    pub(crate) fn all() -> Self {
        Self(Ranges::One(1..=u16::MAX))
    }

    /// Whether the port is among them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let ranges = self.ranges();
        let place = ranges.partition_point(|range| *range.end() < port);
        ranges.get(place).is_some_and(|range| range.contains(&port))
    }

    /// These and the others.
    pub(crate) fn with(&self, others: &Self) -> Self {
        if self == others {
            return self.clone();
        }
        Self::union(self.ranges().iter().chain(others.ranges()).cloned().collect())
    }

    /// These and the others, where both are single ranges and the others begin right behind these.
    pub(super) fn followed_by(&self, others: &Self) -> Option<Self> {
        let (Ranges::One(these), Ranges::One(others)) = (&self.0, &others.0) else { return None };
        let is_next = these.end().checked_add(1) == Some(*others.start());
        is_next.then(|| Self(Ranges::One(*these.start()..=*others.end())))
    }

    /// These without the others; `None` when no port is left.
    pub(crate) fn without(&self, others: &Self) -> Option<Self> {
        if self == others {
            return None;
        }
        let mut left = Vec::new();
        let mut others = others.ranges().iter().peekable();
        for range in self.ranges() {
            let mut first = Some(*range.start());
            while others.next_if(|other| other.end() < range.start()).is_some() {}
            while let (Some(start), Some(other)) = (first, others.peek())
                && other.start() <= range.end()
            {
                if start < *other.start() {
                    left.push(start..=other.start() - 1);
                }
                first = other.end().checked_add(1).filter(|next| next <= range.end());
                // What reaches behind this range may go on in the next.
                if other.end() > range.end() {
                    break;
                }
                others.next();
            }
            left.extend(first.map(|start| start..=*range.end()));
        }
        (!left.is_empty()).then(|| Self::of(left))
    }

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
        Self::of(merged)
    }

    /// At least one range, ascending and disjoint.
    fn of(ranges: Vec<RangeInclusive<u16>>) -> Self {
        Self(match <[_; 1]>::try_from(ranges) {
            Ok([range]) => Ranges::One(range),
            Err(ranges) => Ranges::Many(ranges.into()),
        })
    }
}

fn length(range: &RangeInclusive<u16>) -> usize {
    usize::from(range.end() - range.start()) + 1
}

fn range(item: &str) -> Result<RangeInclusive<u16>, PortsError> {
    if item.is_empty() {
        return Err(PortsError::Missing);
    }
    if item.starts_with(|first: char| first.is_ascii_digit())
        && let Some((first, last)) = item.split_once('-')
    {
        let (first, last) = (number(first)?, number(last)?);
        return if first <= last {
            Ok(first..=last)
        } else {
            Err(PortsError::Backwards(first, last))
        };
    }
    let port = match item {
        "ssh" => 22,
        "telnet" => 23,
        _ if item.bytes().all(|byte| byte.is_ascii_digit()) => number(item)?,
        _ => service(item).ok_or_else(|| PortsError::Unknown(item.to_owned()))?,
    };
    Ok(port..=port)
}

fn number(text: &str) -> Result<u16, PortsError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PortsError::Missing);
    }
    // `parse` would take a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PortsError::Unknown(text.to_owned()));
    }
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(PortsError::OutOfRange(text.to_owned())),
    }
}

/// The TCP port of a service, from services(5): `name port/protocol alias…`.
fn service(name: &str) -> Option<u16> {
    let services = std::fs::read_to_string("/etc/services").ok()?;
    services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        let known = official == name || words.any(|alias| alias == name);
        known.then(|| port.parse().ok())?
    })
}

/// As [`Ports::parse`] reads it.
impl fmt::Display for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.ranges().iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
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
        let ports = Ports::parse(text).expect("a list of ports");
        (0..ports.len()).map(|place| ports.get(place).expect("within the length")).collect()
    }

    #[test]
    fn lists_are_sorted_and_hold_each_port_once() {
        assert_eq!(ports("23,22,2222-2224,2223,22"), [22, 23, 2222, 2223, 2224]);
        assert_eq!(ports("telnet, ssh"), [22, 23]);
        assert_eq!(ports("65535,65534-65535"), [65534, 65535]);
        assert_eq!(Ports::parse("1-65535").expect("all").len(), 65_535);
        assert_eq!(Ports::ssh_and_telnet(), Ports::parse("22,23").expect("two"));
    }

    #[test]
    fn lists_are_added_and_taken_away() {
        let list = |text| Ports::parse(text).expect("a list of ports");
        assert_eq!(list("22-25").without(&list("23")), Some(list("22,24-25")));
        assert_eq!(list("22-25,80").without(&list("1-23,25-90")), Some(list("24")));
        assert_eq!(list("22").without(&Ports::all()), None);
        assert_eq!(list("1-10").without(&list("3,5-6,10")), Some(list("1-2,4,7-9")));
        assert_eq!(list("22").with(&list("21,23-24")), list("21-24"));
        assert!(list("22,80-90").contains(85) && !list("22,80-90").contains(23));
        assert!(Ports::all().contains(u16::MAX));
    }

    #[test]
    fn what_is_no_port_is_named_with_its_place() {
        use PortsError::{Backwards, Missing, OutOfRange, Unknown};
        for (text, at, error) in [
            ("", 0, Missing),
            ("22,", 3, Missing),
            ("0", 0, OutOfRange("0".into())),
            ("22,70000", 3, OutOfRange("70000".into())),
            ("99999999999999999999", 0, OutOfRange("99999999999999999999".into())),
            ("30-20", 0, Backwards(30, 20)),
            ("1-", 0, Missing),
            ("+22", 0, Unknown("+22".into())),
            ("22,no-such-service", 3, Unknown("no-such-service".into())),
        ] {
            assert_eq!(Ports::parse(text), Err((at, error)), "{text:?}");
        }
    }
}
