//! A plain client, and the servers it connects to.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use portmuster_lab::{Behaviour, Server};

/// Longer than a loaded machine takes for anything here.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

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

pub(crate) fn say(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the server listens");
}

pub(crate) fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("the server says so much");
    bytes
}

/// Up to the end of a line, with it.
pub(crate) fn read_line(stream: &mut TcpStream) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.extend(read(stream, 1));
    }
    line
}

pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server closes in order");
    bytes
}

pub(crate) fn stays_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("the limit is not zero");
    let error = stream.read(&mut [0]).expect_err("the server is silent and stays");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(LIMIT)).expect("the limit is not zero");
}

/// Says this at once, and then nothing.
pub(crate) fn says(behaviour: Behaviour, expected: &[u8]) {
    let server = start(behaviour);
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, expected.len()), expected, "{behaviour:?}");
    stays_silent(&mut stream);
}

/// Says this in answer to what is asked, and closes.
pub(crate) fn says_and_closes(behaviour: Behaviour, asked: &[u8], expected: &[u8]) {
    let server = start(behaviour);
    let mut stream = connect(server.endpoint());
    say(&mut stream, asked);
    assert_eq!(read_all(&mut stream), expected, "{behaviour:?}");
}
