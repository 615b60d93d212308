//! The lab's servers, and what they saw.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use portmuster_lab::{Behaviour, Lab, Server};

use crate::{program::LIMIT, row::Row};

/// A server on an address of this process's own, so that nobody else's connection is counted:
/// others on this machine may scan 127.0.0.1, or come late to a port that was theirs.
pub(crate) fn start(behaviour: Behaviour) -> Server {
    start_on(behaviour, own_address())
}

/// A loopback address of this process's own.
pub(crate) fn own_address() -> Ipv4Addr {
    let [.., high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), middle, low)
}

/// A queue for one connection, which nobody takes out: the system answers no further one.
#[expect(clippy::disallowed_methods, reason = "a server and a client that are not the program's")]
pub(crate) fn deaf_listener() -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind((own_address(), 0)).expect("there is a port");
    rustix::net::listen(&listener, 0).expect("it listens");
    let endpoint = listener.local_addr().expect("it is bound");
    let first = TcpStream::connect(endpoint).expect("the queue has room for one");
    (listener, first)
}

/// A server on 127.0.0.1.
pub(crate) fn start_on_localhost(behaviour: Behaviour) -> Server {
    start_on(behaviour, Ipv4Addr::LOCALHOST)
}

pub(crate) fn start_on(behaviour: Behaviour, address: Ipv4Addr) -> Server {
    Server::start(behaviour, SocketAddr::from((address, 0))).expect("the lab has a server")
}

/// All fixtures on 127.0.0.1.
pub(crate) fn start_lab() -> Lab {
    Lab::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("the lab starts")
}

/// The server's target as it is written on the command line.
pub(crate) fn target(server: &Server) -> String {
    server.endpoint().to_string()
}

/// The targets of all fixtures that are not among these.
pub(crate) fn targets_but(lab: &Lab, left_out: &[&str]) -> Vec<String> {
    lab.fixtures()
        .filter(|(fixture, _)| !left_out.contains(&fixture.name))
        .map(|(_, endpoint)| endpoint.to_string())
        .collect()
}

/// Each row under the name of its fixture.
pub(crate) fn by_exhibit<'a>(lab: &Lab, rows: &'a [Row]) -> HashMap<&'static str, &'a Row> {
    let name = |row: &Row| {
        let is_its = |endpoint: SocketAddr| endpoint.port() == row.port;
        let fixture = lab.fixtures().find(|&(_, endpoint)| is_its(endpoint));
        fixture.unwrap_or_else(|| panic!("nobody asked for {row:?}")).0.name
    };
    rows.iter().map(|row| (name(row), row)).collect()
}

/// Asserts that nobody has connected to the server: a connection of our own, which the server
/// takes after all that came before, is the first that it counts.
#[expect(clippy::disallowed_methods, reason = "a client that is not the program's")]
pub(crate) fn assert_untouched(server: &Server) {
    let _ours = TcpStream::connect(server.endpoint()).expect("the server accepts");
    let counts = server.wait_for(LIMIT, |counts| counts.accepted >= 1);
    assert_eq!(counts.accepted, 1, "something was sent");
}
