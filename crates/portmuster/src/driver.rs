//! Sockets and time, and nothing else.
//!
//! The seam is [`Net`]. It lies below the loops, so that the loops themselves can run over a
//! simulated network in virtual time. What an attempt does with its socket is the same over every
//! `Net`, a [`Driver`]'s: [`begin`](Driver::begin), then [`advance`](Driver::advance) whenever
//! something has happened, then [`expire`](Driver::expire) at its deadline.
//!
//! Invariant: no attempt is ended by its deadline before its socket was asked once more, so an
//! answer that waits to be seen is never taken for silence.
//!
//! Invariant: what a server said before it ended the connection is read, however soon that was
//! ([`Net::connect`]).
//!
//! Invariant: no conclusion leaves before it is known whether ICMP refused ([`Net::take_icmp`]), so
//! what a firewall may have said is never taken for the host's own refusal.

use rustix::io::Errno;

use crate::{
    attempt::{Attempt, Event, Rules, Step, Timer},
    clock::Instant,
    memory::Memory,
    outcome::{Conclusion, Fault},
};

pub(crate) mod epoll;
pub(crate) mod error_queue;
mod net;
pub(crate) mod poll;
pub(crate) mod tcp;

pub(crate) use net::{Connection, IcmpError, Net, Socket, Woken};

/// Bytes taken from a socket at a time.
const READ_SIZE: usize = 16 * 1024;

/// Reads at most before others have their turn, however much a server says. A conversation ends
/// after 64 KiB (`probe::BYTES_MAX`), which may come byte by byte.
const TURN_READS: usize = 32;

/// Reads at most before a socket is closed, so that the close sends FIN and not a reset.
const DRAIN_READS: usize = 4;

/// Brings attempts forward over a [`Net`].
#[derive(Debug)]
pub(crate) struct Driver<N> {
    pub(crate) net: N,
    rules: Rules,
    memory: Memory,
    buffer: Vec<u8>,
    eager_poll: EagerPoll,
}

/// Whether it pays to ask a connection how it stands right after it has begun. Where a refusal is
/// there by then, as on loopback, that saves the wait: a third of the price of a refused target.
/// Where none is, it is asked ever less often.
#[derive(Debug, Default)]
struct EagerPoll {
    /// Connections that are not asked before one is again.
    pause: u32,
    /// How many of them are left.
    left: u32,
}

impl EagerPoll {
    /// So that asking in vain is a part in a hundred of all calls at most.
    const PAUSE_MAX: u32 = 63;

    /// Whether the connection that has just begun is asked.
    fn asks(&mut self) -> bool {
        let asks = self.left == 0;
        self.left = self.left.saturating_sub(1);
        asks
    }

    /// It was asked, and that was its end or not.
    fn learn(&mut self, ended: bool) {
        self.pause = if ended { 0 } else { (2 * self.pause + 1).min(Self::PAUSE_MAX) };
        self.left = self.pause;
    }
}

impl<N: Net> Driver<N> {
    /// Conversations hold no more than this memory has.
    pub(crate) fn new(net: N, rules: Rules, memory: Memory) -> Self {
        Self { net, rules, memory, buffer: vec![0; READ_SIZE], eager_poll: EagerPoll::default() }
    }

    /// Begins an attempt: `Ok` with the socket that it goes on with, `Err` when it is over.
    pub(crate) fn begin(&mut self, attempt: &mut Attempt) -> Result<Socket, Conclusion> {
        let socket = match self.net.open(attempt.endpoint()) {
            Ok(socket) => socket,
            Err(errno) => match attempt.handle(&self.rules, Event::Failed(errno), self.net.now()) {
                Step::Done(conclusion) => return Err(conclusion),
                step => unreachable!("an attempt without a socket wants {step:?}"),
            },
        };
        let over = self.advance(socket, attempt).or_else(|| self.leave(socket, attempt));
        match over {
            Some(conclusion) => {
                self.close(socket, &conclusion);
                Err(conclusion)
            }
            None => Ok(socket),
        }
    }

    /// Leaves an attempt that has just begun to what will happen at its socket; the conclusion
    /// when it was over before, or nobody can be told of what happens.
    fn leave(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        if attempt.is_connecting() && self.eager_poll.asks() {
            let over = self.poll_now(socket, attempt);
            self.eager_poll.learn(over.is_some());
            if over.is_some() {
                return over;
            }
        }
        self.net.watch(socket).err().map(Attempt::unwatched)
    }

    /// Asks a connection that has just begun how it stands. One that was accepted and reset in
    /// between begins once more, and is not asked in haste: it may have said something.
    fn poll_now(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        let connection = match self.net.poll_now(socket, attempt.endpoint()) {
            Connection::Failed(Errno::CONNRESET | Errno::PIPE) => {
                self.net.connect(socket, attempt.endpoint())
            }
            connection => connection,
        };
        self.connected(socket, attempt, connection)
    }

    /// When the attempt is to be told that a limit in time has been reached, and which.
    pub(crate) fn deadline(&self, attempt: &Attempt) -> (Timer, Instant) {
        attempt.deadline(&self.rules.limits)
    }

    /// Does all that can be done without waiting; the conclusion when that was the last of it.
    pub(crate) fn advance(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        if attempt.is_connecting() {
            let connection = self.net.connect(socket, attempt.endpoint());
            return self.connected(socket, attempt, connection);
        }
        self.read_all(socket, attempt)
    }

    /// The attempt's connection stands so: does all that can be done without waiting.
    fn connected(
        &mut self,
        socket: Socket,
        attempt: &mut Attempt,
        connection: Connection,
    ) -> Option<Conclusion> {
        let event = match connection {
            Connection::Pending => {
                attempt.under_way();
                return None;
            }
            Connection::Accepted => Event::Accepted,
            Connection::Failed(errno) => Event::Failed(errno),
        };
        let step = attempt.handle(&self.rules, event, self.net.now());
        self.take(socket, step).or_else(|| self.read_all(socket, attempt))
    }

    /// Whether the attempt's deadline has passed.
    pub(crate) fn is_due(&self, attempt: &Attempt) -> bool {
        self.deadline(attempt).1 <= self.net.now()
    }

    /// Ends the attempt, if ICMP has said this of its pending connection.
    pub(crate) fn fail(
        &mut self,
        socket: Socket,
        attempt: &mut Attempt,
        error: &IcmpError,
    ) -> Option<Conclusion> {
        if !attempt.is_connecting() || !error.is_about(attempt.endpoint()) {
            return None;
        }
        let step = attempt.handle(&self.rules, Event::RefusedByIcmp(error.errno), self.net.now());
        self.take(socket, step)
    }

    /// The attempt's deadline has passed: asks its socket once more, then tells it.
    pub(crate) fn expire(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        self.net.invalidate(socket);
        if let Some(conclusion) = self.advance(socket, attempt) {
            return Some(conclusion);
        }
        let now = self.net.now();
        if self.deadline(attempt).1 > now {
            return None;
        }
        let step = attempt.handle(&self.rules, Event::DeadlinePassed, now);
        self.take(socket, step)
    }

    /// Ends an attempt's use of its socket.
    pub(crate) fn close(&mut self, socket: Socket, conclusion: &Conclusion) {
        match conclusion {
            // Whoever is short of something keeps nothing that is not in use.
            Conclusion::Fault(_) => return self.net.close(socket),
            Conclusion::Verdict(verdict) if verdict.times.connect.is_none() => {
                return self.net.disconnect(socket);
            }
            Conclusion::Verdict(_) => {}
        }
        // Linux answers a close over unread bytes with a reset (RFC 2525 §2.17); servers log that.
        for _ in 0..DRAIN_READS {
            if !matches!(self.net.read(socket, &mut self.buffer), Ok(1..)) {
                break;
            }
        }
        self.net.close(socket);
    }

    /// Reads what has come, but for no longer than a turn.
    fn read_all(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        for _ in 0..TURN_READS {
            let event = match self.net.read(socket, &mut self.buffer) {
                Ok(0) => Event::Closed,
                Ok(length) if !attempt.hold(&self.memory, length) => {
                    return Some(Conclusion::Fault(Fault::Memory));
                }
                Ok(length) => Event::Bytes(&self.buffer[..length]),
                Err(Errno::AGAIN) => return None,
                Err(errno) => Event::Failed(errno),
            };
            let step = attempt.handle(&self.rules, event, self.net.now());
            if let Some(conclusion) = self.take(socket, step) {
                return Some(conclusion);
            }
        }
        self.net.revisit(socket);
        None
    }

    /// Takes the step that an attempt wants; the conclusion when it is the last.
    fn take(&mut self, socket: Socket, step: Step) -> Option<Conclusion> {
        match step {
            Step::Done(conclusion) => return Some(conclusion),
            // Without regard to how much is taken: in all an attempt writes less than the smallest
            // send buffer holds (`probe::WRITTEN_MAX`, 4 KiB, tcp(7)), so what is not taken has no
            // reader. A connection that is gone shows at the next read.
            Step::Write(bytes) => drop(self.net.write(socket, &bytes)),
            Step::Read => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{SocketAddr, TcpListener},
        time::Duration,
    };

    use crossbeam_channel::{Sender, bounded};

    use super::*;
    use crate::{clock::Clock, driver::epoll::Epoll, outcome::Service, waker::Waker};

    /// A network of one server, which says one byte after the other without end.
    #[derive(Debug, Default)]
    struct Endless {
        reads: usize,
        revisits: usize,
    }

    impl Net for Endless {
        fn now(&self) -> Instant {
            Instant::START.after(Duration::from_millis(self.reads as u64))
        }

        fn open(&mut self, _: SocketAddr) -> Result<Socket, Errno> {
            Ok(Socket(0))
        }

        fn connect(&mut self, _: Socket, _: SocketAddr) -> Connection {
            Connection::Accepted
        }

        fn poll_now(&mut self, _: Socket, _: SocketAddr) -> Connection {
            Connection::Accepted
        }

        fn read(&mut self, _: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
            self.reads += 1;
            buffer[0] = b'x';
            Ok(1)
        }

        fn write(&mut self, _: Socket, bytes: &[u8]) -> Result<usize, Errno> {
            Ok(bytes.len())
        }

        fn disconnect(&mut self, _: Socket) {}

        fn close(&mut self, _: Socket) {}

        fn watch(&mut self, _: Socket) -> Result<(), Errno> {
            Ok(())
        }

        fn revisit(&mut self, _: Socket) {
            self.revisits += 1;
        }

        fn invalidate(&mut self, _: Socket) {}

        fn take_icmp(&mut self) -> Vec<IcmpError> {
            Vec::new()
        }

        fn wait(&mut self, _: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
            ready.push(Socket(0));
            Woken::ByEvent
        }
    }

    /// A way to ask how an attempt stands.
    type Ask = fn(&mut Driver<Epoll>, Socket, &mut Attempt) -> Option<Conclusion>;

    fn plenty() -> Memory {
        Memory::new(usize::MAX)
    }

    #[test]
    fn who_speaks_without_end_is_heard_in_turns_and_until_the_deadline() {
        let mut driver = Driver::new(Endless::default(), Rules::default(), plenty());
        let mut attempt = Attempt::new(([127, 0, 0, 1], 22).into(), driver.net.now());
        let socket = driver.begin(&mut attempt).expect("it goes on");
        assert_eq!((driver.net.reads, driver.net.revisits), (TURN_READS, 1));
        while !driver.is_due(&attempt) {
            assert_eq!(driver.advance(socket, &mut attempt), None);
        }
        assert_eq!(driver.net.reads, TURN_READS * driver.net.revisits);
        let Some(Conclusion::Verdict(verdict)) = driver.expire(socket, &mut attempt) else {
            panic!("it goes on beyond its deadline")
        };
        assert_eq!(verdict.service, Some(Service::Tarpit));
    }

    /// Says who it is to each who connects, and resets; tells of it when that is done.
    fn greet_and_reset(server: &TcpListener, done: &Sender<()>) {
        for stream in server.incoming() {
            let mut stream = stream.expect("somebody came");
            stream.write_all(b"SSH-2.0-x\r\n").expect("there is room");
            let at_once = Some(Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&stream, at_once).expect("it is a socket");
            drop(stream);
            if done.send(()).is_err() {
                return;
            }
        }
    }

    #[test]
    fn what_was_said_before_a_reset_is_heard_whenever_the_connection_is_asked() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = server.local_addr().expect("it is bound");
        let (done, greeted) = bounded(8);
        std::thread::spawn(move || greet_and_reset(&server, &done));
        let asks: [Ask; 3] = [Driver::advance, Driver::expire, Driver::poll_now];
        for ask in asks {
            let net = Epoll::new(Clock::start(), None, Waker::new().expect("a descriptor"));
            let mut driver = Driver::new(net.expect("a poller"), Rules::default(), plenty());
            let mut attempt = Attempt::new(endpoint, driver.net.now());
            let socket = driver.net.open(endpoint).expect("a socket");
            assert_eq!(driver.advance(socket, &mut attempt), None);
            greeted.recv().expect("it greets");
            let mut over = ask(&mut driver, socket, &mut attempt);
            let mut ready = Vec::new();
            while over.is_none() {
                driver.net.watch(socket).expect("it can be watched");
                driver.net.wait(None, &mut ready);
                over = driver.advance(socket, &mut attempt);
            }
            let Some(Conclusion::Verdict(verdict)) = over else { panic!("no verdict: {over:?}") };
            assert_eq!(verdict.service, Some(Service::Ssh));
        }
        assert!(greeted.try_recv().is_ok(), "who was asked in eager_poll has begun once more");
    }
}
