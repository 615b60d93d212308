//! URLs: `ssh://host[:port]` and `telnet://host[:port]`.

use super::{
    error::{ItemError, ItemErrorKind},
    quote::excerpt,
};

/// The parts of a URL that determine its targets.
pub(super) struct TargetUrl<'a> {
    /// The host, and the port if the URL has one.
    pub(super) authority: &'a str,
    /// The number of characters before the authority.
    pub(super) offset: usize,
    /// The port of the scheme.
    pub(super) default_port: u16,
}

/// Parses a URL; `None` if the text is not a URL.
pub(super) fn parse(text: &str) -> Option<Result<TargetUrl<'_>, ItemError>> {
    let (scheme, rest) = text.split_once("://")?;
    Some(split(scheme, rest))
}

fn split<'a>(scheme: &str, rest: &'a str) -> Result<TargetUrl<'a>, ItemError> {
    let error = |column, kind| Err(ItemError { column, kind });
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (with_user, path) = rest.split_at(end);
    let (user_length, authority) = match with_user.rsplit_once('@') {
        Some((user, authority)) => (user.chars().count() + 1, authority),
        None => (0, with_user),
    };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "ssh" => 22,
        "telnet" => 23,
        _ => {
            let is_empty = authority.is_empty();
            let meant = if is_empty { "HOST or HOST:PORT".into() } else { excerpt(authority) };
            return error(1, ItemErrorKind::Scheme { scheme: excerpt(scheme), meant });
        }
    };
    let start = scheme.chars().count() + 3;
    if !matches!(path, "" | "/") {
        let column = start + with_user.chars().count() + 1;
        return error(column, ItemErrorKind::UrlPath(excerpt(authority)));
    }
    Ok(TargetUrl { authority, offset: start + user_length, default_port })
}
