//! Converts one item of the user's iterable to a target.

use std::net::IpAddr;

use portmuster::{Host, Target};
use pyo3::{
    prelude::*,
    types::{PyList, PyString, PyTuple},
};

/// Why an item is no target.
pub(crate) type ItemProblem = String;

/// Converts a pair of a host and a port to a target whose result names the host as the user did.
///
/// # Errors
/// The item is no such pair, or the port is not from 0 to 65535.
pub(crate) fn pair(item: &Bound<'_, PyAny>) -> Result<Target, ItemProblem> {
    if let Ok(pair) = item.cast::<PyTuple>()
        && let (Ok(host), Ok(port)) = (pair.get_borrowed_item(0), pair.get_borrowed_item(1))
        && pair.len() == 2
    {
        return target(&host, &port);
    }
    if let Ok(pair) = item.cast::<PyList>()
        && let (Ok(host), Ok(port)) = (pair.get_item(0), pair.get_item(1))
        && pair.len() == 2
    {
        return target(&host, &port);
    }
    Err(format!("expected a pair (ip_or_name, port), not {}", describe(item)))
}

/// Converts a host and a port to a target whose result names the host as the user did.
///
/// # Errors
/// The host is no text and no address, or the port is not from 0 to 65535.
pub(crate) fn target(
    host: &Bound<'_, PyAny>,
    port: &Bound<'_, PyAny>,
) -> Result<Target, ItemProblem> {
    let port = self::port(port)?;
    if let Ok(text) = host.cast::<PyString>() {
        return Ok(named(utf8(text)?, port));
    }
    Ok(named(&address_text(host)?, port))
}

/// Returns the text of a host.
///
/// # Errors
/// It is neither a text nor an address of the module `ipaddress`.
pub(crate) fn host_text(host: &Bound<'_, PyAny>) -> Result<String, ItemProblem> {
    match host.cast::<PyString>() {
        Ok(text) => utf8(text).map(str::to_owned),
        Err(_) => address_text(host),
    }
}

/// Converts a port.
///
/// # Errors
/// It is no whole number from 0 to 65535.
pub(crate) fn port(port: &Bound<'_, PyAny>) -> Result<u16, ItemProblem> {
    port.extract().map_err(|_| match port.extract::<i128>() {
        Ok(number) => format!("port {number} is not from 0 to 65535"),
        Err(_) => format!("expected a port number, not {}", describe(port)),
    })
}

/// Creates a target. An address that is displayed in another spelling keeps that of the user as its label.
fn named(text: &str, port: u16) -> Target {
    let target = Target::new(text, port);
    match target.host {
        Host::Address(IpAddr::V6(address)) if address.to_string() != text => {
            target.with_label(text)
        }
        // The parser accepts one spelling of an IPv4 address, and names stay as they are.
        Host::Address(_) | Host::Name(_) => target,
    }
}

fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Result<&'a str, ItemProblem> {
    text.to_str().map_err(|_| "the host contains characters that are not Unicode".to_owned())
}

/// Returns the text of an object of the module `ipaddress`.
fn address_text(host: &Bound<'_, PyAny>) -> Result<String, ItemProblem> {
    let kind = host.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    if !matches!(&*kind, "IPv4Address" | "IPv6Address") {
        return Err(format!("expected a host name or an address, not {}", describe(host)));
    }
    host.str().map(|text| text.to_string()).map_err(|error| error.to_string())
}

/// The most characters of a value that a message quotes.
const QUOTED_MAX: usize = 60;

/// Returns a short description of a value for messages: its beginning and its type.
pub(crate) fn describe(value: &Bound<'_, PyAny>) -> String {
    let kind = value.get_type().name().map_or_else(|_| "an object".to_owned(), |it| it.to_string());
    let Ok(text) = value.repr() else { return kind };
    format!("{} ({kind})", excerpt(&text.to_string_lossy()))
}

/// Returns the beginning of a text, long enough to recognise it.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
