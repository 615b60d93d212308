//! `ssh://host[:port]` and `telnet://host[:port]`.

use super::{Hosts, Item, ItemError, ItemErrorKind, Ports, excerpt, hosts, ports, split};

/// Reads a URL; `None` when the text is none.
pub(super) fn parse(text: &str) -> Option<Result<Item, ItemError>> {
    let (scheme, rest) = text.split_once("://")?;
    Some(read(scheme, rest))
}

fn read(scheme: &str, rest: &str) -> Result<Item, ItemError> {
    let error = |column, kind| Err(ItemError { column, kind });
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (user.chars().count() + 1, place),
        None => (0, authority),
    };
    let default = match scheme.to_ascii_lowercase().as_str() {
        "ssh" => 22,
        "telnet" => 23,
        _ => {
            let meant = if place.is_empty() { "HOST or HOST:PORT".into() } else { excerpt(place) };
            return error(1, ItemErrorKind::Scheme { scheme: excerpt(scheme), meant });
        }
    };
    let start = scheme.chars().count() + 3;
    if !matches!(path, "" | "/") {
        let column = start + authority.chars().count() + 1;
        return error(column, ItemErrorKind::UrlPath(excerpt(place)));
    }
    let shifted = |error: ItemError| ItemError { column: start + user + error.column, ..error };
    let (host, column, own) = split(place).map_err(shifted)?;
    let hosts: Hosts = hosts(host, own.is_some())
        .map_err(|(at, kind)| shifted(ItemError { column: column + at, kind }))?;
    let ports = ports(own).map_err(shifted)?.unwrap_or_else(|| Ports::one(default));
    Ok(Item { hosts, ports: Some(ports) })
}
