//! Makes the named tuples that `check_ports` returns.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
};

use portmuster::{Host, Outcome};
use pyo3::{
    prelude::*,
    sync::PyOnceLock,
    types::{PyString, PyTuple, PyType},
};

/// The most bytes of an address as text.
const ADDRESS_MAX: usize = 45;

/// The class `PortStatus`, and the function that creates its instances.
#[derive(Debug)]
struct PortStatusClass {
    class: Py<PyType>,
    /// `tuple.__new__`, which takes the class and an iterable. The constructor of a named tuple is a
    /// function of Python and takes twice as long.
    new: Py<PyAny>,
}

static CLASS: PyOnceLock<PortStatusClass> = PyOnceLock::new();

/// Creates the `PortStatus` of an outcome.
///
/// # Errors
/// Python is short of memory.
pub(crate) fn port_status<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyAny>> {
    let PortStatusClass { class, new } = CLASS.get_or_try_init(py, || {
        let class = py.import("portmuster._types")?.getattr("PortStatus")?.cast_into::<PyType>()?;
        let new = py.get_type::<PyTuple>().getattr("__new__")?;
        PyResult::Ok(PortStatusClass { class: class.unbind(), new: new.unbind() })
    })?;
    let values = (host(py, outcome), outcome.target.port, outcome.is_open());
    new.bind(py).call1((class.bind(py), values))
}

/// Returns the host as the user named it.
fn host<'py>(py: Python<'py>, outcome: &Outcome) -> Bound<'py, PyString> {
    with_host(outcome, |text| PyString::new(py, text))
}

/// Passes the host to `read`, as the user named it.
pub(crate) fn with_host<T>(outcome: &Outcome, read: impl FnOnce(&str) -> T) -> T {
    if let Some(given) = &outcome.target.label {
        return read(given);
    }
    match &outcome.target.host {
        Host::Name(name) => read(name),
        Host::Address(address) => with_address(*address, read),
    }
}

/// Passes the text of an address to `read`.
pub(crate) fn with_address<T>(address: IpAddr, read: impl FnOnce(&str) -> T) -> T {
    let mut text = [0; ADDRESS_MAX];
    let length = match address {
        IpAddr::V4(address) => write_v4(&mut text, address),
        IpAddr::V6(address) => {
            let mut rest = &mut text[..];
            write!(rest, "{address}").expect("no address is longer");
            ADDRESS_MAX - rest.len()
        }
    };
    read(std::str::from_utf8(&text[..length]).expect("addresses are ASCII"))
}

/// Writes an IPv4 address and returns its length. It takes a fifth of the time of the standard library.
fn write_v4(text: &mut [u8; ADDRESS_MAX], address: Ipv4Addr) -> usize {
    let mut length = 0;
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    length
}
