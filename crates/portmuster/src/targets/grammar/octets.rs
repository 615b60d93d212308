//! IPv4 addresses whose octets may be ranges, lists or `*`, as in nmap.

use super::{error::ItemErrorKind, quote::excerpt};
use crate::targets::range::AddressRange;

/// The maximum number of separate ranges that one item may stand for, as many as the /24 networks
/// of a /8.
const RANGES_MAX: usize = 65_536;

/// The values of one octet, as ascending, disjoint ranges; at least one.
type Octet = Vec<(u32, u32)>;

/// Returns whether the text consists of digits, dots and the signs of ranges and lists, so that it can
/// only be such an address.
pub(super) fn looks_like(text: &str) -> bool {
    text.contains('.')
        && text.contains(['-', ',', '*'])
        && text.bytes().all(|byte| byte.is_ascii_digit() || b".-,*".contains(&byte))
}

/// Parses the text into disjoint ranges in ascending order.
pub(super) fn parse(text: &str) -> Result<Vec<AddressRange>, ItemErrorKind> {
    let error = || ItemErrorKind::Range(excerpt(text));
    let mut octets = Vec::new();
    for text in text.split('.') {
        if octets.len() == 4 {
            return Err(error());
        }
        octets.push(parse_octet(text, &error)?);
    }
    let octets = <[Octet; 4]>::try_from(octets).map_err(|_| error())?;
    ranges(&octets).ok_or_else(|| ItemErrorKind::TooManyRanges(excerpt(text)))
}

fn parse_octet(text: &str, error: &dyn Fn() -> ItemErrorKind) -> Result<Octet, ItemErrorKind> {
    let mut ranges = Vec::new();
    for text in text.split(',') {
        if text == "*" {
            ranges.push((0, 255));
            continue;
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let are_numbers = is_number(first) && is_number(last);
        let bounds = (first.parse::<u8>(), last.parse::<u8>());
        let (true, (Ok(first), Ok(last))) = (are_numbers, bounds) else { return Err(error()) };
        if first > last {
            return Err(ItemErrorKind::Backwards(text.to_owned()));
        }
        ranges.push((u32::from(first), u32::from(last)));
    }
    Ok(merged(ranges))
}

/// Sorts ranges and joins those that overlap or are adjacent.
fn merged(mut ranges: Octet) -> Octet {
    ranges.sort_unstable();
    let mut merged: Octet = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Returns whether the text is a number without a leading zero, which some programs read as octal.
pub(super) fn is_number(text: &str) -> bool {
    let has_leading_zero = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !has_leading_zero && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the ranges of all combinations of the octets; `None` if there are too many.
///
/// Trailing octets that take all values do not split a range.
fn ranges(octets: &[Octet; 4]) -> Option<Vec<AddressRange>> {
    let complete = octets.iter().rev().take_while(|octet| octet[..] == [(0, 255)]).count();
    if complete == octets.len() {
        return Some(vec![AddressRange::V4(0, u32::MAX)]);
    }
    // Each range of the last incomplete octet is one range of addresses. Each value of an octet
    // before it starts new ranges.
    let (last, leading) = octets[..octets.len() - complete].split_last()?;
    let size = |octet: &Octet| {
        octet.iter().map(|(first, last)| (last - first + 1) as usize).sum::<usize>()
    };
    let count = leading.iter().map(size).product::<usize>() * last.len();
    if count > RANGES_MAX {
        return None;
    }
    let mut starts = vec![0_u32];
    for octet in leading {
        let values = || octet.iter().flat_map(|&(first, last)| first..=last);
        starts = starts
            .iter()
            .flat_map(|start| values().map(move |value| (start << 8) | value))
            .collect();
    }
    let shift = 8 * u32::try_from(complete).ok()?;
    let range = |start: u32, &(low, high): &(u32, u32)| {
        let above = start << 8;
        let below = (1_u32 << shift) - 1;
        AddressRange::V4((above | low) << shift, (above | high) << shift | below)
    };
    Some(
        starts
            .iter()
            .flat_map(|&start| last.iter().map(move |bounds| range(start, bounds)))
            .collect(),
    )
}
