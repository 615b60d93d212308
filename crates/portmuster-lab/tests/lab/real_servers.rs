//! The real servers start, greet, and leave nothing behind.

use std::{
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream},
};

use portmuster_lab::real::{Dropbear, OpenSsh, Telnetd};

use crate::client::{connect, read, say};

/// The server and the process of a connection that was open have both gone.
fn has_gone(endpoint: SocketAddr, mut open: TcpStream) {
    let error = TcpStream::connect(endpoint).expect_err("the server has stopped");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    if let Err(error) = open.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn openssh_greets() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 15), b"SSH-2.0-OpenSSH");
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

#[test]
fn openssh_takes_many_at_once() {
    let server = OpenSsh::start().expect("OpenSSH starts");
    let mut streams: Vec<_> = (0..40).map(|_| connect(server.endpoint())).collect();
    for stream in &mut streams {
        assert_eq!(read(stream, 15), b"SSH-2.0-OpenSSH");
    }
}

#[test]
fn openssh_throttles_when_told_to() {
    let server = OpenSsh::start_with_max_startups(1).expect("OpenSSH starts");
    let mut streams: Vec<_> = (0..8).map(|_| connect(server.endpoint())).collect();
    let refused = |stream: &mut TcpStream| read(stream, 8) == b"Exceeded";
    assert!(streams.iter_mut().any(refused));
}

#[test]
fn dropbear_greets() {
    let server = Dropbear::start().expect("Dropbear starts");
    let mut stream = connect(server.endpoint());
    assert_eq!(read(&mut stream, 16), b"SSH-2.0-dropbear");
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

#[test]
fn telnetd_negotiates_and_prompts() {
    let server = Telnetd::start().expect("telnetd starts");
    let mut stream = connect(server.endpoint());
    let mut text = Vec::new();
    while !text.ends_with(b"lab login: ") {
        match read(&mut stream, 1)[0] {
            0xff => refuse(&mut stream),
            byte => text.push(byte),
        }
    }
    let endpoint = server.endpoint();
    drop(server);
    has_gone(endpoint, stream);
}

/// Answers WILL with DONT and DO with WONT.
fn refuse(stream: &mut TcpStream) {
    let command = read(stream, 2);
    let answer = match command[0] {
        0xfb => 0xfe,
        0xfd => 0xfc,
        other => panic!("{other:#x} is no command that starts a negotiation"),
    };
    say(stream, &[0xff, answer, command[1]]);
}

#[test]
fn telnetd_serves_many_in_turn() {
    let server = Telnetd::start().expect("telnetd starts");
    for _ in 0..70 {
        assert_eq!(read(&mut connect(server.endpoint()), 1), b"\xff");
    }
}
