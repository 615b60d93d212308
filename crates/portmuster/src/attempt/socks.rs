//! The client's side of SOCKS5 (RFC 1928) with user name and password (RFC 1929), without I/O.
//!
//! Invariant: at most 262 bytes are kept, those of a reply with a name of 255 bytes, and less than 1 KiB is
//! written, whatever the proxy sends.
//!
//! Invariant: only a complete and valid reply to the request says anything about the target.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    config::Credentials,
    outcome::{PortState, Reason},
};

/// The version of the protocol, the first byte of its messages.
const VERSION: u8 = 5;
/// The version of the login (RFC 1929 §2).
const LOGIN_VERSION: u8 = 1;
/// The methods of authentication that a client may offer.
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
/// The answer of a proxy that accepts none of the methods.
const NO_ACCEPTABLE_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// The most bytes of a name.
const NAME_MAX: usize = 255;
/// The bytes of a reply before its address, and those of the port after it.
const REPLY_HEAD: usize = 4;
const PORT: usize = 2;

/// A proxy as an attempt uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProxyServer {
    /// Where connections go instead of to their endpoints.
    pub(crate) address: SocketAddr,
    pub(crate) credentials: Option<Credentials>,
}

/// Where the proxy is to connect to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Destination<'a> {
    Address(SocketAddr),
    /// A name that the proxy looks up, and a port.
    Name(&'a str, u16),
    /// Nowhere: the handshake ends before the request.
    Nowhere,
}

/// The message that is awaited from the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The method of authentication that it has chosen.
    Method,
    /// Whether it accepts the user name and the password.
    Login,
    /// The reply to the request.
    Reply,
}

/// What a handshake wants to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SocksStep<'a> {
    Read,
    /// Send these bytes, then wait for more.
    Write(Vec<u8>),
    /// The proxy has accepted this client, and there is no request.
    Admitted,
    /// The target accepted the connection. The bytes after the reply are its own.
    Connected(&'a [u8]),
    /// There is no connection.
    Failed(PortState, Reason),
}

/// The state of a handshake.
#[derive(Debug)]
pub(super) struct SocksHandshake {
    awaited: Awaited,
    received: Vec<u8>,
}

impl SocksHandshake {
    /// Begins a handshake. Returns the greeting to send.
    pub(super) fn begin(proxy: &ProxyServer) -> (Self, Vec<u8>) {
        let methods: &[u8] = match proxy.credentials {
            Some(_) => &[NO_AUTHENTICATION, USER_AND_PASSWORD],
            None => &[NO_AUTHENTICATION],
        };
        let mut greeting = vec![VERSION, short(methods)];
        greeting.extend_from_slice(methods);
        (Self { awaited: Awaited::Method, received: Vec::new() }, greeting)
    }

    /// Returns whether the request was sent, so that silence may be the target's.
    pub(super) fn has_asked(&self) -> bool {
        self.awaited == Awaited::Reply
    }

    /// Returns the reason if the proxy closes the connection now.
    pub(super) fn closed(&self) -> Reason {
        match self.awaited {
            // A proxy that refuses a login must close the connection (RFC 1929 §2).
            Awaited::Login => Reason::ProxyLogin,
            Awaited::Method | Awaited::Reply => Reason::ProxyFailed,
        }
    }

    /// Applies bytes from the proxy.
    pub(super) fn receive<'a>(
        &mut self,
        mut bytes: &'a [u8],
        proxy: &ProxyServer,
        destination: Destination<'_>,
    ) -> SocksStep<'a> {
        while let Some((&next, rest)) = bytes.split_first() {
            self.received.push(next);
            bytes = rest;
            match self.length() {
                Some(length) if self.received.len() < length => {}
                Some(_) => return self.complete(bytes, proxy, destination),
                None => return invalid(),
            }
        }
        SocksStep::Read
    }

    /// Returns the length of the awaited message as far as it is known, more than what was received of
    /// it until it is complete; `None` if what was received is invalid.
    fn length(&self) -> Option<usize> {
        match (self.awaited, self.received.as_slice()) {
            (Awaited::Login, _) | (Awaited::Method, [VERSION, ..]) => Some(2),
            (Awaited::Reply, [VERSION] | [VERSION, _] | [VERSION, _, 0]) => Some(REPLY_HEAD),
            (Awaited::Reply, [VERSION, _, 0, IPV4, ..]) => Some(REPLY_HEAD + 4 + PORT),
            (Awaited::Reply, [VERSION, _, 0, IPV6, ..]) => Some(REPLY_HEAD + 16 + PORT),
            (Awaited::Reply, [VERSION, _, 0, NAME]) => Some(REPLY_HEAD + 1),
            (Awaited::Reply, &[VERSION, _, 0, NAME, length, ..]) => {
                Some(REPLY_HEAD + 1 + usize::from(length) + PORT)
            }
            _ => None,
        }
    }

    /// Applies a complete message, after which the proxy has sent `rest`.
    fn complete<'a>(
        &mut self,
        rest: &'a [u8],
        proxy: &ProxyServer,
        destination: Destination<'_>,
    ) -> SocksStep<'a> {
        let code = std::mem::take(&mut self.received)[1];
        if self.awaited == Awaited::Reply {
            return replied(code, rest);
        }
        // Before the request a proxy only answers.
        if !rest.is_empty() {
            return invalid();
        }
        match (self.awaited, code, &proxy.credentials) {
            (Awaited::Method, NO_AUTHENTICATION, _) | (Awaited::Login, 0, _) => {
                self.request(destination)
            }
            (Awaited::Method, USER_AND_PASSWORD, Some(credentials)) => {
                self.awaited = Awaited::Login;
                SocksStep::Write(login(credentials))
            }
            (Awaited::Method, NO_ACCEPTABLE_METHOD, _) | (Awaited::Login, ..) => {
                SocksStep::Failed(PortState::Unchecked, Reason::ProxyLogin)
            }
            _ => invalid(),
        }
    }

    fn request<'a>(&mut self, destination: Destination<'_>) -> SocksStep<'a> {
        let mut request = vec![VERSION, CONNECT, 0];
        let port = match destination {
            Destination::Nowhere => return SocksStep::Admitted,
            // A zone is an interface of this machine, and a request has no field for one.
            Destination::Address(SocketAddr::V6(address)) if address.scope_id() != 0 => {
                return SocksStep::Failed(PortState::Unchecked, Reason::NoSuchInterface);
            }
            Destination::Address(SocketAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.ip().octets());
                address.port()
            }
            Destination::Address(SocketAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.ip().octets());
                address.port()
            }
            // No DNS name is empty or longer (RFC 1035 §2.3.4).
            Destination::Name(name, _) if name.is_empty() || name.len() > NAME_MAX => {
                return SocksStep::Failed(PortState::Unresolved, Reason::NoSuchName);
            }
            Destination::Name(name, port) => {
                request.extend([NAME, short(name.as_bytes())]);
                request.extend_from_slice(name.as_bytes());
                port
            }
        };
        request.extend(port.to_be_bytes());
        self.awaited = Awaited::Reply;
        SocksStep::Write(request)
    }
}

fn login(Credentials { user, password }: &Credentials) -> Vec<u8> {
    let parts = [&[LOGIN_VERSION, short(user)][..], user, &[short(password)], password];
    parts.concat()
}

/// Returns the length of a field, which is valid: a [`Proxy`](crate::config::Proxy) is made only with
/// user names and passwords of at most 255 bytes.
fn short(field: &[u8]) -> u8 {
    u8::try_from(field.len()).unwrap_or(u8::MAX)
}

/// Interprets the code of a complete reply (RFC 1928 §6).
fn replied(code: u8, rest: &[u8]) -> SocksStep<'_> {
    let (state, reason) = match code {
        0 => return SocksStep::Connected(rest),
        2 => (PortState::Unchecked, Reason::ProxyDenied),
        // The network or the host is unreachable, or the time to live has expired.
        3 | 4 | 6 => (PortState::Filtered, Reason::UnreachableFromProxy),
        5 => (PortState::Closed, Reason::RefusedToProxy),
        // A general failure, an unknown command or address type, or a code that the RFC does not have.
        _ => (PortState::Unchecked, Reason::ProxyFailed),
    };
    SocksStep::Failed(state, reason)
}

fn invalid<'a>() -> SocksStep<'a> {
    SocksStep::Failed(PortState::Unchecked, Reason::ProxyFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Destination<'_> = Destination::Name("db.example", 22);
    const REPLY: [u8; 10] = [5, 0, 0, 1, 10, 0, 0, 1, 0x04, 0x38];

    fn proxy(credentials: Option<(&str, &str)>) -> ProxyServer {
        let credentials = credentials
            .map(|(user, password)| Credentials { user: user.into(), password: password.into() });
        ProxyServer { address: ([192, 0, 2, 1], 1080).into(), credentials }
    }

    /// Returns a handshake that has sent its request to a proxy without a login.
    fn asked(proxy: &ProxyServer, destination: Destination<'_>) -> (SocksHandshake, Vec<u8>) {
        let (mut handshake, _) = SocksHandshake::begin(proxy);
        let step = handshake.receive(&[5, 0], proxy, destination);
        let SocksStep::Write(request) = step else { panic!("no request but {step:?}") };
        (handshake, request)
    }

    fn failed<'a>(reason: Reason) -> SocksStep<'a> {
        SocksStep::Failed(PortState::Unchecked, reason)
    }

    #[test]
    fn messages_are_those_of_the_rfcs() {
        assert_eq!(SocksHandshake::begin(&proxy(None)).1, [5, 1, 0]);
        let proxy = proxy(Some(("me", "xyz")));
        let (mut handshake, greeting) = SocksHandshake::begin(&proxy);
        assert_eq!(greeting, [5, 2, 0, 2]);
        let login = SocksStep::Write(b"\x01\x02me\x03xyz".to_vec());
        assert_eq!(handshake.receive(&[5, 2], &proxy, TARGET), login);
        assert!(!handshake.has_asked());
        let request = SocksStep::Write(b"\x05\x01\0\x03\x0adb.example\0\x16".to_vec());
        assert_eq!(handshake.receive(&[1, 0], &proxy, TARGET), request);
        assert!(handshake.has_asked());
        for (address, expected) in [
            ("192.0.2.7:23", &[5, 1, 0, 1, 192, 0, 2, 7, 0, 23][..]),
            ("[::1]:258", &[5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2][..]),
        ] {
            let address = address.parse().expect("it is an endpoint");
            assert_eq!(asked(&proxy, Destination::Address(address)).1, expected);
        }
    }

    #[test]
    fn each_code_of_a_reply_has_its_meaning() {
        use PortState::{Closed, Filtered, Unchecked};

        let proxy = proxy(None);
        for (code, state, reason) in [
            (1, Unchecked, Reason::ProxyFailed),
            (2, Unchecked, Reason::ProxyDenied),
            (3, Filtered, Reason::UnreachableFromProxy),
            (4, Filtered, Reason::UnreachableFromProxy),
            (5, Closed, Reason::RefusedToProxy),
            (6, Filtered, Reason::UnreachableFromProxy),
            (7, Unchecked, Reason::ProxyFailed),
            (8, Unchecked, Reason::ProxyFailed),
            (9, Unchecked, Reason::ProxyFailed),
            (255, Unchecked, Reason::ProxyFailed),
        ] {
            let mut reply = REPLY;
            reply[1] = code;
            let step = asked(&proxy, TARGET).0.receive(&reply, &proxy, TARGET);
            assert_eq!(step, SocksStep::Failed(state, reason), "code {code}");
        }
    }

    #[test]
    fn replies_of_every_form_are_read_byte_by_byte() {
        let proxy = proxy(None);
        let name = [&[5, 0, 0, 3, 255][..], &[b'x'; 255], &[0, 22]].concat();
        assert_eq!(name.len(), 262);
        let ipv6 = [&[5, 0, 0, 4][..], &[0; 18]].concat();
        for reply in [&REPLY[..], &name, &ipv6, &[5, 0, 0, 3, 0, 0, 0]] {
            let (mut handshake, _) = asked(&proxy, TARGET);
            let (last, first) = reply.split_last().expect("it is not empty");
            for byte in first {
                let step = handshake.receive(std::slice::from_ref(byte), &proxy, TARGET);
                assert_eq!(step, SocksStep::Read, "{reply:?}");
            }
            let end = [*last, b'S', b'S'];
            let step = handshake.receive(&end, &proxy, TARGET);
            assert_eq!(step, SocksStep::Connected(b"SS"), "{reply:?}");
        }
    }

    #[test]
    fn anything_else_is_a_failure_of_the_proxy() {
        let proxy = proxy(None);
        for greeting in [&b"SSH-2.0"[..], b"\xff\xfd\x18", &[4, 0], &[5, 1], &[5, 2], &[5, 0, 5]] {
            let step = SocksHandshake::begin(&proxy).0.receive(greeting, &proxy, TARGET);
            assert_eq!(step, failed(Reason::ProxyFailed), "{greeting:?}");
        }
        for reply in [&b"SSH-2.0-x\r\n"[..], &[5, 5, 1], &[5, 5, 0, 0], &[5, 5, 0, 2], &[1, 0]] {
            let step = asked(&proxy, TARGET).0.receive(reply, &proxy, TARGET);
            assert_eq!(step, failed(Reason::ProxyFailed), "{reply:?}");
        }
        let (mut handshake, _) = asked(&proxy, TARGET);
        assert_eq!(handshake.receive(&REPLY[..9], &proxy, TARGET), SocksStep::Read);
        assert_eq!(handshake.closed(), Reason::ProxyFailed);
    }

    #[test]
    fn refused_login_is_told_apart() {
        let open = proxy(None);
        let step = SocksHandshake::begin(&open).0.receive(&[5, 0xFF], &open, TARGET);
        assert_eq!(step, failed(Reason::ProxyLogin));
        let proxy = proxy(Some(("me", "wrong")));
        let (mut handshake, _) = SocksHandshake::begin(&proxy);
        handshake.receive(&[5, 2], &proxy, TARGET);
        assert_eq!(handshake.closed(), Reason::ProxyLogin);
        assert_eq!(handshake.receive(&[1, 1], &proxy, TARGET), failed(Reason::ProxyLogin));
    }

    #[test]
    fn zone_is_not_sent() {
        let proxy = proxy(None);
        let zoned = std::net::SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 22, 0, 3);
        let (mut handshake, _) = SocksHandshake::begin(&proxy);
        let step = handshake.receive(&[5, 0], &proxy, Destination::Address(zoned.into()));
        assert_eq!(step, failed(Reason::NoSuchInterface));
    }

    #[test]
    fn name_that_does_not_fit_does_not_exist() {
        let proxy = proxy(None);
        for name in ["", &"x".repeat(256)] {
            let step = SocksHandshake::begin(&proxy).0.receive(
                &[5, 0],
                &proxy,
                Destination::Name(name, 22),
            );
            let missing = SocksStep::Failed(PortState::Unresolved, Reason::NoSuchName);
            assert_eq!(step, missing);
        }
    }

    #[test]
    fn longest_handshake_is_short() {
        let long = "x".repeat(255);
        let proxy = proxy(Some((&long, &long)));
        let (mut handshake, greeting) = SocksHandshake::begin(&proxy);
        let destination = Destination::Name(&long, 22);
        let mut written = greeting.len();
        for answer in [[5, 2], [1, 0]] {
            let step = handshake.receive(&answer, &proxy, destination);
            let SocksStep::Write(bytes) = step else { panic!("not {step:?}") };
            written += bytes.len();
        }
        assert_eq!(written, 4 + (3 + 2 * 255) + 262);
    }
}
