//! Addresses and networks of an item.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, PrefixLenError, ipv4_mask_to_prefix};

use super::{error::ItemErrorKind, quote::excerpt};
use crate::targets::range::AddressRange;

/// Returns whether the text is an IPv6 address with a zone (RFC 4007 §11), such as `fe80::1%eth0`.
///
/// Such an address is treated as a name, because the resolver must look up the zone.
pub(super) fn is_zoned(text: &str) -> bool {
    text.split_once('%').is_some_and(|(address, zone)| {
        address.parse::<Ipv6Addr>().is_ok()
            && !zone.is_empty()
            && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    })
}

/// Last groups of an IPv6 address that are probably meant as its port: ports on which ssh and telnet
/// are often served. A longer number is no group.
const LIKELY_PORTS: [&str; 9] = ["22", "23", "222", "830", "2022", "2222", "2223", "2323", "8022"];

/// Returns the two parts of an IPv6 address whose last group may be meant as a port, because the text
/// before it is an address, too: `::1` and `22` for `::1:22`.
///
/// In brackets, the text would have one meaning.
pub(super) fn split_likely_port(text: &str) -> Option<(&str, &str)> {
    let (address, port) = text.rsplit_once(':')?;
    let is_ambiguous = LIKELY_PORTS.contains(&port) && address.parse::<Ipv6Addr>().is_ok();
    is_ambiguous.then_some((address, port))
}

/// Parses an address; `None` if the text can only be a name.
///
/// # Errors
/// The text can only be an address and is not a valid one. The index is in characters from 0.
pub(super) fn parse(text: &str) -> Result<Option<IpAddr>, (usize, ItemErrorKind)> {
    if text.contains(':') {
        return match text.parse::<Ipv6Addr>() {
            Ok(address) => Ok(Some(address.into())),
            Err(_) if is_zoned(text) => Ok(None),
            Err(_) => Err((0, ItemErrorKind::Ipv6(excerpt(text)))),
        };
    }
    // The last label of a name is never a number (RFC 1123 §2.1), so such a text means an address.
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or(text);
    if last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Some(address.into())),
        Err(_) => Err((0, ItemErrorKind::Ipv4(excerpt(text)))),
    }
}

/// Parses a network from the address and the prefix length of `address/prefix`.
///
/// # Errors
/// One of them is not valid. The index is in characters from 0.
pub(super) fn parse_network(
    address: &str,
    prefix: &str,
) -> Result<AddressRange, (usize, ItemErrorKind)> {
    let Some(base) = parse(address)? else {
        return Err((0, ItemErrorKind::PrefixOfName(excerpt(address))));
    };
    let (max, family) = if base.is_ipv4() { (32, "IPv4") } else { (128, "IPv6") };
    let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    let length: Option<u8> = if is_number { prefix.parse().ok() } else { None };
    length
        .ok_or(PrefixLenError)
        .and_then(|length| IpNet::new(base, length))
        .map(|network| AddressRange::between(network.network(), network.broadcast()))
        .map_err(|_| {
            if let (true, Some(length)) = (base.is_ipv4(), mask_length(prefix)) {
                let kind = ItemErrorKind::Mask { mask: excerpt(prefix), prefix: length };
                return (address.chars().count(), kind);
            }
            let prefix = excerpt(prefix);
            (address.chars().count(), ItemErrorKind::Prefix { prefix, max, family })
        })
}

/// Returns the prefix length that a mask such as 255.255.255.0 stands for; `None` if it is no mask.
fn mask_length(text: &str) -> Option<u8> {
    ipv4_mask_to_prefix(text.parse().ok()?).ok()
}
