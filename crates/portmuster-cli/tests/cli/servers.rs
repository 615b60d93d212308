//! Starts servers of the lab and inspects their connections.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use portmuster_lab::{Behaviour, Lab, Server};

use crate::{program::LIMIT, row::Row};

/// Starts a server on an address of this process. Other programs may scan 127.0.0.1 or connect late
/// to a reused port, and would be counted there.
pub(crate) fn start(behaviour: Behaviour) -> Server {
    start_on(behaviour, own_address())
}

/// Returns a loopback address derived from the process id.
pub(crate) fn own_address() -> Ipv4Addr {
    let [.., high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), middle, low)
}

/// Returns a listener whose backlog is full, so the system answers no further connection.
#[expect(clippy::disallowed_methods, reason = "the test needs a server and a client of its own")]
pub(crate) fn full_listener() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind((own_address(), 0)).expect("there is a port");
    rustix::net::listen(&listener, 0).expect("it listens");
    let endpoint = listener.local_addr().expect("it is bound");
    let first = TcpStream::connect(endpoint).expect("the backlog holds one");
    (listener, first)
}

/// Starts a server on 127.0.0.1.
pub(crate) fn start_on_localhost(behaviour: Behaviour) -> Server {
    start_on(behaviour, Ipv4Addr::LOCALHOST)
}

pub(crate) fn start_on(behaviour: Behaviour, address: Ipv4Addr) -> Server {
    Server::start(behaviour, SocketAddr::from((address, 0))).expect("the lab has a server")
}

/// Starts all fixtures on 127.0.0.1.
pub(crate) fn start_lab() -> Lab {
    Lab::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("the lab starts")
}

/// Returns the server's endpoint as a command-line target.
pub(crate) fn target(server: &Server) -> String {
    server.endpoint().to_string()
}

/// Returns the targets of all fixtures except those with these names.
pub(crate) fn targets_except(lab: &Lab, excluded: &[&str]) -> Vec<String> {
    lab.fixtures()
        .filter(|(fixture, _)| !excluded.contains(&fixture.name))
        .map(|(_, endpoint)| endpoint.to_string())
        .collect()
}

/// Maps the name of each fixture to its row.
pub(crate) fn by_fixture<'a>(lab: &Lab, rows: &'a [Row]) -> HashMap<&'static str, &'a Row> {
    let name = |row: &Row| {
        let is_its = |endpoint: SocketAddr| endpoint.port() == row.port;
        let fixture = lab.fixtures().find(|&(_, endpoint)| is_its(endpoint));
        fixture.unwrap_or_else(|| panic!("no fixture has the port of {row:?}")).0.name
    };
    rows.iter().map(|row| (name(row), row)).collect()
}

/// Asserts that the server has accepted no connection. The server accepts in order, so the
/// connection made here must be the first that it counts.
#[expect(clippy::disallowed_methods, reason = "the test needs a client of its own")]
pub(crate) fn assert_untouched(server: &Server) {
    let _connection = TcpStream::connect(server.endpoint()).expect("the server accepts");
    let counts = server.wait_for(LIMIT, |counts| counts.accepted >= 1);
    assert_eq!(counts.accepted, 1, "the server was contacted");
}
