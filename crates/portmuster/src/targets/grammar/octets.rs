//! IPv4 addresses of which every part may be a range, a list or `*`, as nmap reads them.

use super::{super::region::Range, ItemErrorKind, excerpt};

/// Separate ranges that one item may stand for: the first address of every /24 of a /8.
const RANGES_MAX: usize = 65_536;

/// The numbers of one part, as ascending, disjoint ranges; at least one.
type Part = Vec<(u32, u32)>;

/// Whether the text can be nothing else: digits and dots with signs of ranges and lists.
pub(super) fn looks_like(text: &str) -> bool {
    text.contains('.')
        && text.contains(['-', ',', '*'])
        && text.bytes().all(|byte| byte.is_ascii_digit() || b".-,*".contains(&byte))
}

/// Reads the ranges that the text stands for.
pub(super) fn parse(text: &str) -> Result<Vec<Range>, ItemErrorKind> {
    let error = || ItemErrorKind::Range(excerpt(text));
    let mut parts = Vec::new();
    for text in text.split('.') {
        if parts.len() == 4 {
            return Err(error());
        }
        parts.push(part(text, &error)?);
    }
    let parts = <[Part; 4]>::try_from(parts).map_err(|_| error())?;
    joined(&parts).ok_or_else(|| ItemErrorKind::TooManyRanges(excerpt(text)))
}

fn part(text: &str, error: &dyn Fn() -> ItemErrorKind) -> Result<Part, ItemErrorKind> {
    let mut ranges = Vec::new();
    for text in text.split(',') {
        if text == "*" {
            ranges.push((0, 255));
            continue;
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let digits = is_number(first) && is_number(last);
        let bounds = (first.parse::<u8>(), last.parse::<u8>());
        let (true, (Ok(first), Ok(last))) = (digits, bounds) else { return Err(error()) };
        if first > last {
            return Err(ItemErrorKind::Backwards(text.to_owned()));
        }
        ranges.push((u32::from(first), u32::from(last)));
    }
    Ok(merged(ranges))
}

fn merged(mut ranges: Part) -> Part {
    ranges.sort_unstable();
    let mut merged: Part = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Digits without a leading zero, which some would take for octal.
pub(super) fn is_number(text: &str) -> bool {
    let leads = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !leads && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ranges that the parts make; whole parts at the end belong to one range. `None`: too many.
fn joined(parts: &[Part; 4]) -> Option<Vec<Range>> {
    let whole = parts.iter().rev().take_while(|part| part[..] == [(0, 255)]).count();
    if whole == parts.len() {
        return Some(vec![Range::V4(0, u32::MAX)]);
    }
    // The last part that is not whole still makes neighbours of the numbers of each of its ranges.
    let (last, apart) = parts[..parts.len() - whole].split_last()?;
    let size =
        |part: &Part| part.iter().map(|(first, last)| (last - first + 1) as usize).sum::<usize>();
    let count = apart.iter().map(size).product::<usize>() * last.len();
    if count > RANGES_MAX {
        return None;
    }
    let mut starts = vec![0_u32];
    for part in apart {
        let numbers = || part.iter().flat_map(|&(first, last)| first..=last);
        starts = starts
            .iter()
            .flat_map(|start| numbers().map(move |number| (start << 8) | number))
            .collect();
    }
    let shift = 8 * u32::try_from(whole).ok()?;
    let range = |start: u32, &(low, high): &(u32, u32)| {
        let above = start << 8;
        let below = (1_u32 << shift) - 1;
        Range::V4((above | low) << shift, (above | high) << shift | below)
    };
    Some(starts.iter().flat_map(|&start| last.iter().map(move |it| range(start, it))).collect())
}
