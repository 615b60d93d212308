//! The grammar of one item of a list: an address, a network, a range, a name or a URL, optionally
//! with ports.

use std::{net::IpAddr, sync::Arc};

use super::{
    limits::LINE_MAX,
    ports::{Ports, PortsError},
    range::AddressRange,
};

mod address;
mod error;
mod name;
mod octets;
mod plain;
mod quote;
mod range;
mod url;

pub use error::{ItemError, ItemErrorKind};
pub(super) use plain::{parse as parse_plain, parse_v6 as parse_plain_v6};
pub(super) use quote::{excerpt, shortened};

/// The hosts of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemHosts {
    Range(AddressRange),
    /// Disjoint ranges in ascending order.
    Ranges(Vec<AddressRange>),
    Name(Arc<str>),
}

/// The hosts and ports of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParsedItem {
    pub(super) hosts: ItemHosts,
    /// `None` if the item names no ports, so that the run's default ports apply.
    pub(super) ports: Option<Ports>,
}

/// The text of an item's ports, and its column in characters from 1.
type PortsText<'a> = (&'a str, usize);

/// Parses one item.
pub(super) fn parse(text: &str) -> Result<ParsedItem, ItemError> {
    let Some(url) = url::parse(text) else { return parse_host_and_ports(text) };
    let url = url?;
    let shift = |error: ItemError| ItemError { column: url.offset + error.column, ..error };
    let ParsedItem { hosts, ports } = parse_host_and_ports(url.authority).map_err(shift)?;
    let ports = ports.unwrap_or_else(|| Ports::one(url.default_port));
    Ok(ParsedItem { hosts, ports: Some(ports) })
}

/// Returns whether the text is a single address or name, without ports.
pub(super) fn is_single_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || address::is_zoned(text) || name::parse(text).is_ok()
}

fn parse_host_and_ports(text: &str) -> Result<ParsedItem, ItemError> {
    let (host, host_column, ports) = split(text)?;
    let hosts = parse_hosts(host, ports.is_some())
        .map_err(|(index, kind)| ItemError { column: host_column + index, kind })?;
    Ok(ParsedItem { hosts, ports: parse_ports(ports)? })
}

fn parse_ports(ports: Option<PortsText<'_>>) -> Result<Option<Ports>, ItemError> {
    let Some((list, column)) = ports else { return Ok(None) };
    let error = |error: PortsError| ItemError {
        column: column + error.column() - 1,
        kind: error.into_kind().into(),
    };
    list.parse().map(Some).map_err(error)
}

/// Splits an item into its host, the column of the host, and its ports.
fn split(text: &str) -> Result<(&str, usize, Option<PortsText<'_>>), ItemError> {
    let error = |column, kind| Err(ItemError { column, kind });
    if let Some((user, host)) = text.rsplit_once('@') {
        return error(user.chars().count() + 1, ItemErrorKind::User(excerpt(host)));
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        return split_bracketed(bracketed);
    }
    if let Some((address, port)) = address::split_likely_port(text) {
        let (address, port) = (address.to_owned(), port.to_owned());
        return error(1, ItemErrorKind::AddressOrPort { address, port });
    }
    match text.split_once(':') {
        None => Ok((text, 1, None)),
        Some((host, rest)) if rest.contains(':') => match misused_colons(text, host, rest) {
            Some(kind @ ItemErrorKind::Character(space)) => {
                error(text.chars().take_while(|&letter| letter != space).count() + 1, kind)
            }
            Some(kind) => error(1, kind),
            None => Ok((text, 1, None)),
        },
        Some((host, ports)) => {
            let column = host.chars().count() + 2;
            if let Some(kind) = several_targets(text) {
                return error(1, kind);
            }
            if ports.is_empty() && name::parse(host).is_ok() && address::parse(host) == Ok(None) {
                return error(column, ItemErrorKind::YamlKey(excerpt(text)));
            }
            if let Some(list) = ports.strip_suffix(',').filter(|list| !list.is_empty()) {
                return error(column + list.chars().count(), ItemErrorKind::Separator(','));
            }
            Ok((host, 1, Some((ports, column))))
        }
    }
}

/// Splits an item whose first character, an opening bracket, is already removed.
fn split_bracketed(text: &str) -> Result<(&str, usize, Option<PortsText<'_>>), ItemError> {
    let error = |column, kind| Err(ItemError { column, kind });
    let Some((host, rest)) = text.split_once(']') else {
        return error(1, ItemErrorKind::UnclosedBracket);
    };
    if !host.contains(':') {
        return error(2, ItemErrorKind::Bracketed(excerpt(host)));
    }
    let after = host.chars().count() + 3;
    match rest.strip_prefix(':') {
        Some(ports) => Ok((host, 2, Some((ports, after + 1)))),
        None if rest.is_empty() => Ok((host, 2, None)),
        None => error(after, ItemErrorKind::AfterBracket),
    }
}

/// Returns the error for a text with several colons, unless it may be meant as an IPv6 address.
fn misused_colons(text: &str, host: &str, rest: &str) -> Option<ItemErrorKind> {
    let (address, _) = text.split_once('%').unwrap_or((text, ""));
    let is_ipv6_character = |byte: u8| byte.is_ascii_hexdigit() || b":./-".contains(&byte);
    if address.bytes().all(is_ipv6_character) && (!host.contains('.') || host.contains('-')) {
        return None;
    }
    if let Some(several) = several_targets(text) {
        return Some(several);
    }
    if text.contains(']') {
        return Some(ItemErrorKind::Ipv6(excerpt(text)));
    }
    if text.contains([',', ';']) {
        return Some(ItemErrorKind::Separator(if text.contains(',') { ',' } else { ';' }));
    }
    if let Some(space) = text.chars().find(|letter| letter.is_whitespace()) {
        return Some(ItemErrorKind::Character(space));
    }
    let meant = excerpt(&format!("{host}:{}", rest.trim_matches(':').replace(':', ",")));
    Some(ItemErrorKind::TwoColons { text: excerpt(text), meant })
}

/// Characters that are written between targets, beside white space.
const SEPARATORS: [char; 3] = [',', ';', '|'];

/// Returns the error for a text that consists of several targets.
///
/// Each part must be a valid item, and at least two must contain a dot or a colon, so that they are
/// not just ports.
fn several_targets(text: &str) -> Option<ItemErrorKind> {
    if text.len() > LINE_MAX {
        return None;
    }
    let parts: Vec<_> = if text.contains(SEPARATORS) {
        text.split(SEPARATORS).map(str::trim).collect()
    } else {
        text.split_whitespace().collect()
    };
    let has_host = |part: &&&str| part.contains(['.', ':']);
    if parts.iter().filter(has_host).count() < 2 || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    // No part contains a separator other than white space, so this recursion has a depth of two.
    if !parts.iter().all(|part| parse(part).is_ok()) {
        return None;
    }
    let meant = excerpt(&parts.join(" "));
    Some(ItemErrorKind::Several { text: excerpt(text), meant })
}

/// Parses the host of an item; the index of an error is in characters from 0.
fn parse_hosts(text: &str, has_ports: bool) -> Result<ItemHosts, (usize, ItemErrorKind)> {
    if text.is_empty() {
        return Err((0, ItemErrorKind::NoHost));
    }
    if text.bytes().all(|byte| byte == b'-') {
        return Err((0, ItemErrorKind::YamlDash));
    }
    if let Some(rest) = text.strip_suffix([',', ';']) {
        let separator = text[rest.len()..].chars().next().unwrap_or(',');
        return Err((rest.chars().count(), ItemErrorKind::Separator(separator)));
    }
    if let Some(kind) = several_targets(text) {
        return Err((0, kind));
    }
    if let Some((address, prefix)) = text.split_once('/') {
        return address::parse_network(address, prefix).map(ItemHosts::Range);
    }
    if let Some(ranges) = range::parse(text, has_ports).map_err(|kind| (0, kind))? {
        return Ok(ItemHosts::Ranges(ranges));
    }
    if let Some(error) = range::misspelled(text) {
        return Err(error);
    }
    if let Some(address) = address::parse(text)? {
        return Ok(ItemHosts::Range(AddressRange::between(address, address)));
    }
    if address::is_zoned(text) {
        return Ok(ItemHosts::Name(text.into()));
    }
    name::parse(text).map(ItemHosts::Name)
}

#[cfg(test)]
mod tests;
