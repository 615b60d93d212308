//! Drivers own sockets and time, and decide nothing.
//!
//! The trait [`Net`] is the seam to the operating system. It lies below the event loops and threads,
//! so that these can also run over a simulated network in virtual time. A [`Driver`] moves an attempt
//! forward in the same way over every `Net`: [`begin`](Driver::begin), then
//! [`advance`](Driver::advance) after each event, then [`expire`](Driver::expire) at its deadline.
//!
//! Invariant: a deadline ends an attempt only after its socket was checked once more, or all events were
//! handled ([`Net::take_events`]), so an answer that has arrived is never taken for silence.
//!
//! Invariant: bytes that a server sent before it ended the connection are read, however soon it ended
//! the connection ([`Net::connect`]).
//!
//! Invariant: a refusal is reported only after the ICMP errors were read ([`Net::take_icmp`]), so a
//! firewall's ICMP message is never taken for the host's own refusal.

use std::net::SocketAddr;

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

pub(crate) use net::{Connection, IcmpError, IcmpErrors, Net, Socket, Woken};

/// The most bytes per read.
const READ_SIZE: usize = 16 * 1024;

/// The most reads of a socket in one turn, so that a server that sends without end does not delay
/// others. A conversation ends after 64 KiB (`probe::BYTES_MAX`), which may come byte by byte.
const TURN_READS: usize = 32;

/// The most reads before a socket is closed, so that the close sends FIN and not a reset.
const DRAIN_READS: usize = 4;

/// Moves attempts forward over a [`Net`].
#[derive(Debug)]
pub(crate) struct Driver<N> {
    pub(crate) net: N,
    rules: Rules,
    memory: Memory,
    buffer: Vec<u8>,
    eager_poll: EagerPoll,
}

/// Decides whether to poll a connection right after connect(2).
///
/// On loopback a refusal has often arrived by then; polling at once saves the wait, a third of the
/// cost of a refused target. While polls find nothing, they become rarer.
#[derive(Debug, Default)]
struct EagerPoll {
    /// How many connections to skip after a poll that found nothing.
    pause: u32,
    /// How many connections are left to skip.
    left: u32,
}

impl EagerPoll {
    /// Limits polls that find nothing to 1 % of all system calls.
    const PAUSE_MAX: u32 = 63;

    /// Returns whether to poll the connection that has just begun.
    fn is_due(&mut self) -> bool {
        let is_due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        is_due
    }

    /// Records whether a poll found the connection's end.
    fn learn(&mut self, ended: bool) {
        self.pause = if ended { 0 } else { (2 * self.pause + 1).min(Self::PAUSE_MAX) };
        self.left = self.pause;
    }
}

impl<N: Net> Driver<N> {
    /// Creates a driver whose conversations take their memory from this pool.
    pub(crate) fn new(net: N, rules: Rules, memory: Memory) -> Self {
        Self { net, rules, memory, buffer: vec![0; READ_SIZE], eager_poll: EagerPoll::default() }
    }

    /// Begins an attempt. Returns its socket.
    ///
    /// # Errors
    /// The attempt has ended already; the error is its conclusion.
    pub(crate) fn begin(&mut self, attempt: &mut Attempt) -> Result<Socket, Conclusion> {
        let socket = match self.net.open(self.peer(attempt)) {
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

    /// Returns where the connection of the attempt goes: to its endpoint or to the proxy.
    pub(crate) fn peer(&self, attempt: &Attempt) -> SocketAddr {
        self.rules.proxy.as_ref().map_or(attempt.endpoint(), |proxy| proxy.address)
    }

    /// Registers the socket of an attempt that has just begun for events. Returns the conclusion if
    /// the attempt has ended before, or its socket can't be registered.
    fn leave(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        if attempt.is_connecting() && self.eager_poll.is_due() {
            let over = self.poll_now(socket, attempt);
            self.eager_poll.learn(over.is_some());
            if over.is_some() {
                return over;
            }
        }
        self.net.watch(socket).err().map(Attempt::unregistered)
    }

    /// Polls a connection that has just begun. If the server accepted and reset it in between, begins
    /// it once more without an eager poll, because the server may have sent something.
    fn poll_now(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        let peer = self.peer(attempt);
        let connection = match self.net.poll_now(socket, peer) {
            Connection::Failed(Errno::CONNRESET | Errno::PIPE) => self.net.connect(socket, peer),
            connection => connection,
        };
        self.connection_polled(socket, attempt, connection)
    }

    /// Records that an attempt that has just begun has sent its SYN before `now`.
    pub(crate) fn sent(&self, attempt: &mut Attempt, now: Instant) {
        attempt.sent(now, &self.rules.limits);
    }

    /// Returns the attempt's next deadline, and the timer that it belongs to.
    pub(crate) fn deadline(&self, attempt: &Attempt) -> (Timer, Instant) {
        attempt.deadline(&self.rules)
    }

    /// Moves the attempt forward as far as possible without blocking. Returns its conclusion if it
    /// has ended.
    pub(crate) fn advance(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        if attempt.is_connecting() {
            let connection = self.net.connect(socket, self.peer(attempt));
            return self.connection_polled(socket, attempt, connection);
        }
        self.read_all(socket, attempt)
    }

    /// Moves the attempt forward after its connection was polled.
    fn connection_polled(
        &mut self,
        socket: Socket,
        attempt: &mut Attempt,
        connection: Connection,
    ) -> Option<Conclusion> {
        let event = match connection {
            Connection::Pending => {
                attempt.connection_pending();
                return None;
            }
            Connection::Accepted => {
                if attempt.may_have_repeated(self.net.now()) {
                    attempt.set_syns_repeated(self.net.syns_repeated(socket));
                }
                Event::Accepted
            }
            Connection::Failed(errno) => Event::Failed(errno),
        };
        let step = attempt.handle(&self.rules, event, self.net.now());
        self.take(socket, step).or_else(|| self.read_all(socket, attempt))
    }

    /// Returns whether the attempt's deadline has passed.
    pub(crate) fn is_due(&self, attempt: &Attempt) -> bool {
        self.deadline(attempt).1 <= self.net.now()
    }

    /// Ends the attempt if the ICMP error is about its pending connection.
    pub(crate) fn fail(
        &mut self,
        socket: Socket,
        attempt: &mut Attempt,
        error: &IcmpError,
    ) -> Option<Conclusion> {
        if !attempt.is_connecting() || !error.is_about(self.peer(attempt)) {
            return None;
        }
        let step = attempt.handle(&self.rules, Event::RefusedByIcmp(error.errno), self.net.now());
        self.take(socket, step)
    }

    /// Handles the attempt's deadline: checks its socket once more, then passes the deadline on.
    pub(crate) fn expire(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        self.net.invalidate(socket);
        self.advance(socket, attempt).or_else(|| self.pass_deadline(socket, attempt))
    }

    /// Handles the attempt's deadline after everything that has arrived was handled.
    pub(crate) fn pass_deadline(
        &mut self,
        socket: Socket,
        attempt: &mut Attempt,
    ) -> Option<Conclusion> {
        let now = self.net.now();
        if self.deadline(attempt).1 > now {
            return None;
        }
        let step = attempt.handle(&self.rules, Event::DeadlinePassed, now);
        self.take(socket, step)
    }

    /// Closes the socket of an attempt that has ended, or keeps it for the next one.
    pub(crate) fn close(&mut self, socket: Socket, conclusion: &Conclusion) {
        match conclusion {
            // After a shortage no unused socket is kept.
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

    /// Reads what has arrived, up to [`TURN_READS`] times.
    fn read_all(&mut self, socket: Socket, attempt: &mut Attempt) -> Option<Conclusion> {
        for _ in 0..TURN_READS {
            let event = match self.net.read(socket, &mut self.buffer) {
                Ok(0) => Event::Closed,
                Ok(length) if !attempt.reserve(&self.memory, length) => {
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

    /// Performs the attempt's next step. Returns its conclusion if that is the last step.
    fn take(&mut self, socket: Socket, step: Step) -> Option<Conclusion> {
        match step {
            Step::Done(conclusion) => return Some(conclusion),
            // The result is ignored: in all an attempt writes less than the smallest send buffer
            // holds (`probe::WRITTEN_MAX`, 4 KiB, tcp(7)), and a lost connection shows at the next
            // read.
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

    /// A network of one server that sends bytes without end.
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

        fn syns_repeated(&self, _: Socket) -> Option<u8> {
            None
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

        fn take_events(&mut self, _: &mut Vec<Socket>) -> bool {
            false
        }

        fn invalidate(&mut self, _: Socket) {}

        fn take_icmp(&mut self) -> IcmpErrors {
            IcmpErrors::default()
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
    fn endless_server_is_read_in_turns_until_the_deadline() {
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

    /// Sends each client an identification, resets the connection, and reports that on `done`.
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
    fn bytes_before_a_reset_are_read_however_the_connection_is_polled() {
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
