//! A plain client, and functions that start a server for it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use portmuster_lab::{Behaviour, Server};

/// Time limit of a wait, only so that a test that would hang fails. No test depends on its length.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// A loopback address with a port that the system picks.
pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn start(behaviour: Behaviour) -> Server {
    Server::start(behaviour, loopback()).expect("loopback has ports")
}

pub(crate) fn connect(endpoint: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(endpoint).expect("the server accepts");
    stream.set_read_timeout(Some(LIMIT)).expect("the limit is not zero");
    stream
}

pub(crate) fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the server keeps the connection open");
}

pub(crate) fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("the server sends as many bytes");
    bytes
}

/// Reads a line, and returns it with its line end.
pub(crate) fn read_line(stream: &mut TcpStream) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.extend(read(stream, 1));
    }
    line
}

pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server closes with FIN");
    bytes
}

/// Asserts that the server sends nothing for 50 ms and keeps the connection open.
pub(crate) fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("the limit is not zero");
    let error = stream.read(&mut [0]).expect_err("the server sends nothing");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(LIMIT)).expect("the limit is not zero");
}

/// Asserts that a server sends these bytes without input, and then stays silent.
pub(crate) fn assert_sends(behaviour: Behaviour, expected: &[u8]) {
    let server = start(behaviour);
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, expected.len()), expected, "{behaviour:?}");
    assert_silent(&mut stream);
}

/// Asserts that a server has sent these bytes and closed once it has received `input`.
pub(crate) fn assert_answers_and_closes(behaviour: Behaviour, input: &[u8], expected: &[u8]) {
    let server = start(behaviour);
    let mut stream = connect(server.endpoint());
    send(&mut stream, input);
    assert_eq!(read_all(&mut stream), expected, "{behaviour:?}");
}
