//! Sends one question at a time to the name servers of resolv.conf (RFC 1035 §4.2).
//!
//! Invariant: every wait ends at the server's timeout or at the deadline of the lookup, whichever comes
//! first, and no message is longer than [`MESSAGE_MAX`].

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use domain::base::{Message, MessageBuilder, Name, iana::Rtype};
use rustix::io::Errno;

use super::{
    dns_reply::{self, DnsReply},
    resolv_conf::ResolvConf,
};
use crate::{
    attempt,
    clock::{Clock, Instant},
    outcome::Fault,
    targets::Family,
};

/// The longest message, in bytes: its length over TCP is a number of 16 bits.
const MESSAGE_MAX: usize = 65_535;

/// Whether a name has addresses of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existence {
    Absent,
    Present,
}

/// Why it is not known whether a name has addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unconfirmed {
    /// No name server gave a usable answer.
    NoAnswer,
    /// This machine is short of something that the question takes.
    Short(Fault),
}

impl From<io::Error> for Unconfirmed {
    fn from(error: io::Error) -> Self {
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        errno.and_then(attempt::shortage).map_or(Self::NoAnswer, Self::Short)
    }
}

/// Asks the servers of one configuration until a deadline.
#[derive(Debug)]
pub(super) struct DnsClient<'a> {
    pub(super) conf: &'a ResolvConf,
    pub(super) clock: Clock,
    pub(super) deadline: Instant,
}

impl DnsClient<'_> {
    /// Asks whether the name, which ends with a dot, has addresses of the family. The first usable
    /// reply decides; a server without one is passed over. A name that does not fit into a question
    /// has no addresses.
    pub(super) fn ask(&self, name: &str, family: Family) -> Result<Existence, Unconfirmed> {
        let Some(mut query) = query(name, family) else { return Ok(Existence::Absent) };
        for _ in 0..self.conf.attempts {
            for &server in &self.conf.servers {
                query.header_mut().set_id(random_id());
                let reply = match self.ask_server(server, &query).map_err(Unconfirmed::from) {
                    Ok(reply) => reply,
                    Err(Unconfirmed::NoAnswer) => continue,
                    Err(short) => return Err(short),
                };
                match reply {
                    DnsReply::Absent => return Ok(Existence::Absent),
                    DnsReply::Present => return Ok(Existence::Present),
                    DnsReply::Truncated | DnsReply::Unusable => {}
                }
            }
        }
        Err(Unconfirmed::NoAnswer)
    }

    fn ask_server(&self, server: SocketAddr, query: &Message<Vec<u8>>) -> io::Result<DnsReply> {
        if !self.conf.tcp_only {
            let wait = Wait::new(self);
            let reply = exchange_datagrams(server, query, &wait)?;
            let reply = dns_reply::read(&reply, query);
            if reply != DnsReply::Truncated {
                return Ok(reply);
            }
        }
        let reply = exchange_over_tcp(server, query, &Wait::new(self))?;
        Ok(dns_reply::read(&reply, query))
    }
}

/// How long one server is waited for.
#[derive(Debug)]
struct Wait {
    clock: Clock,
    until: Instant,
}

impl Wait {
    fn new(client: &DnsClient<'_>) -> Self {
        let timeout = client.clock.now().after(client.conf.timeout);
        Self { clock: client.clock, until: timeout.min(client.deadline) }
    }

    /// Returns the time that is left, which is not zero.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.since(self.clock.now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn query(name: &str, family: Family) -> Option<Message<Vec<u8>>> {
    let name = Name::<Vec<u8>>::vec_from_str(name).ok()?;
    let rtype = match family {
        Family::V4 => Rtype::A,
        Family::V6 => Rtype::AAAA,
    };
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    question.push((name, rtype)).ok()?;
    Some(question.into_message())
}

/// Returns a number that a stranger can't guess (RFC 5452 §4.3): the standard library seeds its hash
/// from the system.
fn random_id() -> u16 {
    let [first, second, ..] = RandomState::new().hash_one(0_u8).to_be_bytes();
    u16::from_be_bytes([first, second])
}

/// Sends the query and returns the first datagram of the server with the number of the query.
#[expect(clippy::disallowed_methods, reason = "the resolver's own threads ask name servers")]
fn exchange_datagrams(
    server: SocketAddr,
    query: &Message<Vec<u8>>,
    wait: &Wait,
) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    // A connected socket gets no datagrams from others.
    socket.connect(server)?;
    socket.send(query.as_slice())?;
    let id = query.header().id().to_be_bytes();
    let mut reply = vec![0; MESSAGE_MAX];
    loop {
        socket.set_read_timeout(Some(wait.left()?))?;
        match socket.recv(&mut reply) {
            Ok(length) if reply[..length].starts_with(&id) => {
                reply.truncate(length);
                return Ok(reply);
            }
            // A late reply to an earlier question, or a forged one.
            Ok(_) => {}
            Err(error) => pass_interruption(error)?,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the resolver's own threads ask name servers")]
fn exchange_over_tcp(
    server: SocketAddr,
    query: &Message<Vec<u8>>,
    wait: &Wait,
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, wait.left()?)?;
    let query = query.as_slice();
    let length = u16::try_from(query.len()).map_err(|_| ErrorKind::InvalidInput)?;
    stream.set_write_timeout(Some(wait.left()?))?;
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length, wait)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    read_exact(&mut stream, &mut reply, wait)?;
    Ok(reply)
}

/// Fills the buffer, unless the time is up before.
fn read_exact(stream: &mut TcpStream, mut buffer: &mut [u8], wait: &Wait) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(wait.left()?))?;
        match stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => buffer = &mut buffer[length..],
            Err(error) => pass_interruption(error)?,
        }
    }
    Ok(())
}

/// Returns the error of a read, unless a signal interrupted it. A timeout loses its error number, which
/// is that of a shortage elsewhere (EAGAIN).
fn pass_interruption(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shortages_of_this_machine_are_faults() {
        let from_errno = |errno: Errno| Unconfirmed::from(io::Error::from(errno));
        let short = Unconfirmed::Short(Fault::ProcessDescriptors);
        assert_eq!(from_errno(Errno::MFILE), short);
        assert_eq!(from_errno(Errno::CONNREFUSED), Unconfirmed::NoAnswer);
        assert_eq!(from_errno(Errno::NETUNREACH), Unconfirmed::NoAnswer);
        let timeout = pass_interruption(Errno::AGAIN.into()).map_err(Unconfirmed::from);
        assert_eq!(timeout, Err(Unconfirmed::NoAnswer));
        pass_interruption(Errno::INTR.into()).expect("it is waited for further");
    }

    #[test]
    fn name_that_does_not_fit_into_a_question_has_none() {
        assert!(query("db.example.", Family::V4).is_some());
        let long_label = format!("{}.example.", "a".repeat(64));
        let long_name = "a.".repeat(128);
        for name in [long_label, long_name, "a..b.".to_owned()] {
            assert!(query(&name, Family::V6).is_none(), "{name}");
        }
    }
}
