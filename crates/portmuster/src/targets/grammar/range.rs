//! Ranges of an item: `10.0.0.1-10.0.3.9`, `10.0.0-3.1-254`, `10.0.0.1,3,5` and `10.0.0.*`.

use std::net::{IpAddr, Ipv4Addr};

use super::{error::ItemErrorKind, octets, quote::excerpt};
use crate::targets::range::AddressRange;

/// Parses a range into disjoint ranges in ascending order; `None` if the text can't be a range.
///
/// `has_ports` is whether the item names ports. If not, a number after a comma may be a port.
pub(super) fn parse(
    text: &str,
    has_ports: bool,
) -> Result<Option<Vec<AddressRange>>, ItemErrorKind> {
    if let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse::<IpAddr>(), last.parse::<IpAddr>())
    {
        if first.is_ipv4() != last.is_ipv4() {
            return Err(ItemErrorKind::Range(excerpt(text)));
        }
        if first > last {
            return Err(ItemErrorKind::Backwards(excerpt(text)));
        }
        return Ok(Some(vec![AddressRange::between(first, last)]));
    }
    if !octets::looks_like(text) {
        return Ok(None);
    }
    if !has_ports && let Some(kind) = octet_or_port(text) {
        return Err(kind);
    }
    octets::parse(text).map(Some)
}

/// Suggests the correct spelling of a range that is written with a typographic dash or with dots.
///
/// Returns the error and its index in characters from 0; `None` if the text is not such a range.
pub(super) fn misspelled(text: &str) -> Option<(usize, ItemErrorKind)> {
    if text.is_ascii() && !text.contains("..") {
        return None;
    }
    let signs = ["\u{2013}", "\u{2014}", "\u{2212}", "\u{2010}", "\u{2011}", "..", "\u{2026}"];
    let sign = signs.into_iter().find(|sign| text.contains(sign))?;
    let (first, last) = text.split_once(sign)?;
    let meant = format!("{}-{}", first, last.trim_start_matches('.'));
    matches!(parse(&meant, false), Ok(Some(_)))
        .then(|| (first.chars().count(), ItemErrorKind::RangeSign(excerpt(&meant))))
}

/// Returns the error for an address, one comma and a number, which may be an octet or a port.
fn octet_or_port(text: &str) -> Option<ItemErrorKind> {
    let (address, number) = text.split_once(',')?;
    let start = address.parse::<Ipv4Addr>().ok()?;
    if !octets::is_number(number) {
        return None;
    }
    let (address, number) = (address.to_owned(), excerpt(number));
    let Ok(last) = number.parse() else {
        return Some(ItemErrorKind::CommaPort { address, number });
    };
    let [a, b, c, _] = start.octets();
    let other = Ipv4Addr::from([a, b, c, last]).to_string();
    Some(ItemErrorKind::OctetOrPort { address, number, other })
}
