//! The proxy of a run.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The port of a proxy whose URL names none (RFC 1928 §3).
const PORT: u16 = 1080;

/// The most bytes of a user name and of a password (RFC 1929 §2).
const CREDENTIAL_MAX: usize = 255;

/// A SOCKS5 proxy (RFC 1928), through which a run makes all its connections.
///
/// It is parsed from a URL: `socks5://HOST:PORT`, or `socks5h://HOST:PORT` to have the proxy look names
/// up. A user name and a password may precede the host, as in `socks5://user:password@HOST`; special
/// characters in them are percent-encoded (RFC 3986 §2.1). Without a port it is 1080.
///
/// `Display` and `Debug` never show the user name and the password.
///
/// ```
/// use portmuster::config::Proxy;
///
/// let proxy: Proxy = "socks5://audit:s%40fe@bastion.example:1081".parse()?;
/// assert_eq!(proxy.to_string(), "socks5://bastion.example:1081");
/// # Ok::<(), portmuster::config::ProxyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    looks_up_names: bool,
}

/// A user name and a password for a proxy (RFC 1929).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

/// Why a text is not the URL of a proxy. The message never repeats the text, which may have a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// It does not begin with `socks5://` or `socks5h://`.
    #[error("a proxy is socks5://HOST:PORT, or socks5h://HOST:PORT if the proxy looks names up")]
    Scheme,
    /// The host is missing or has characters that no host name has, or the URL has a path.
    #[error("expected HOST:PORT or [IPV6]:PORT after the scheme, and no path")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port of a proxy is a number from 1 to 65535")]
    Port,
    /// The user name is empty, or one of both is longer than 255 bytes or wrongly encoded.
    #[error(
        "the user name and the password of a proxy have at most 255 bytes each, and the user name has \
         at least one; write other characters than letters and digits as %XX"
    )]
    Credentials,
}

impl Proxy {
    /// Returns whether the proxy looks names up, instead of this system.
    #[must_use]
    pub fn looks_up_names(&self) -> bool {
        self.looks_up_names
    }

    /// Returns the name or address of the proxy.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::Scheme)?;
        let looks_up_names = match scheme.to_ascii_lowercase().as_str() {
            "socks5" => false,
            "socks5h" => true,
            _ => return Err(ProxyError::Scheme),
        };
        // An unencoded @ in a password is common, and a host has none.
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials.parse()?), place),
            None => (None, rest),
        };
        let (host, port) = host_and_port(place.strip_suffix('/').unwrap_or(place))?;
        Ok(Self { host: host.to_owned(), port, credentials, looks_up_names })
    }
}

impl FromStr for Credentials {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let (user, password) = (decoded(user)?, decoded(password)?);
        if user.is_empty() || user.len().max(password.len()) > CREDENTIAL_MAX {
            return Err(ProxyError::Credentials);
        }
        Ok(Self { user, password })
    }
}

/// Splits `HOST:PORT`, `[IPV6]:PORT` or a host without a port.
fn host_and_port(place: &str) -> Result<(&str, u16), ProxyError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(ProxyError::Host)?;
            let address = host.split('%').next().unwrap_or(host);
            if !address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()) {
                return Err(ProxyError::Host);
            }
            (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, Some("")),
        },
    };
    let is_plain = |it: char| it.is_alphanumeric() || "-._:%".contains(it);
    if host.is_empty() || !host.chars().all(is_plain) {
        return Err(ProxyError::Host);
    }
    match port.ok_or(ProxyError::Host)? {
        "" if place.ends_with(':') => Err(ProxyError::Port),
        "" => Ok((host, PORT)),
        port => match port.parse() {
            Ok(port @ 1..) => Ok((host, port)),
            _ => Err(ProxyError::Port),
        },
    }
}

/// Decodes the percent-encoding of RFC 3986 §2.1.
fn decoded(text: &str) -> Result<Vec<u8>, ProxyError> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.chars().all(|it| it.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or(ProxyError::Credentials)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(bytes)
}

/// Writes the URL without the user name and the password.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.looks_up_names { "socks5h" } else { "socks5" };
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(formatter, "{scheme}://[{host}]:{port}")
        } else {
            write!(formatter, "{scheme}://{host}:{port}")
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({self})")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, u16, bool), ProxyError> {
        text.parse().map(|proxy: Proxy| (proxy.host, proxy.port, proxy.looks_up_names))
    }

    #[test]
    fn urls_of_proxies_are_parsed() {
        for (text, host, port, looks_up_names) in [
            ("socks5://bastion:1081", "bastion", 1081, false),
            ("SOCKS5H://bastion.example", "bastion.example", 1080, true),
            ("socks5://192.0.2.1:9050/", "192.0.2.1", 9050, false),
            ("socks5://[2001:db8::1]:1080", "2001:db8::1", 1080, false),
            ("socks5://[fe80::1%eth0]", "fe80::1%eth0", 1080, false),
            ("socks5://u:p@[::1]:7", "::1", 7, false),
        ] {
            assert_eq!(parsed(text), Ok((host.to_owned(), port, looks_up_names)), "{text}");
        }
    }

    #[test]
    fn errors_say_what_to_write_and_repeat_nothing() {
        for (text, expected) in [
            ("", ProxyError::Scheme),
            ("bastion:1080", ProxyError::Scheme),
            ("socks4://bastion", ProxyError::Scheme),
            ("http://u:secret@bastion:3128", ProxyError::Scheme),
            ("socks5://", ProxyError::Host),
            ("socks5://:1080", ProxyError::Host),
            ("socks5://u:secret@", ProxyError::Host),
            ("socks5://bastion/secret", ProxyError::Host),
            ("socks5://[::1:1080", ProxyError::Host),
            ("socks5://[192.0.2.1]:1080", ProxyError::Host),
            ("socks5://[::1]1080", ProxyError::Host),
            ("socks5://2001:db8::1:1080", ProxyError::Port),
            ("socks5://bastion:", ProxyError::Port),
            ("socks5://bastion:0", ProxyError::Port),
            ("socks5://bastion:secret", ProxyError::Port),
            ("socks5://:secret@bastion", ProxyError::Credentials),
            ("socks5://u:secret%4@bastion", ProxyError::Credentials),
            ("socks5://u:secret%+4@bastion", ProxyError::Credentials),
            ("socks5://u:secret%é@bastion", ProxyError::Credentials),
        ] {
            let error = parsed(text).expect_err(text);
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let long = format!("socks5://{}:x@bastion", "u".repeat(256));
        assert_eq!(parsed(&long), Err(ProxyError::Credentials));
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy: Proxy = "socks5://%61udit:a:b%2F@c@bastion:1".parse().expect("it is valid");
        let credentials = proxy.credentials().expect("it has some");
        assert_eq!(
            (&credentials.user[..], &credentials.password[..]),
            (&b"audit"[..], &b"a:b/@c"[..])
        );
        let shown = format!("{proxy} {proxy:?} {credentials:?}");
        assert!(!shown.contains("audit") && !shown.contains("a:b"), "{shown}");
        let alone: Proxy = "socks5://audit@bastion".parse().expect("it is valid");
        assert!(alone.credentials().is_some_and(|it| it.password.is_empty()));
    }
}
