//! The network of a blocking thread: one socket under poll(2).

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
};

use super::{
    error_queue,
    net::{Connection, IcmpErrors, Net, Socket, Woken},
    tcp::{self, Polled},
};
use crate::{
    clock::{Clock, Instant},
    waker::Waker,
};

/// The unconnected sockets that threads keep between two attempts, at most one each.
///
/// A thread takes its own socket. Its lock is contended only when descriptors run out.
#[derive(Debug)]
pub(crate) struct IdleSockets(Vec<Mutex<Option<IdleSocket>>>);

#[derive(Debug)]
struct IdleSocket {
    socket: OwnedFd,
    is_ipv4: bool,
}

impl IdleSockets {
    /// Creates an empty store for the sockets of this many threads.
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self((0..threads).map(|_| Mutex::default()).collect()))
    }

    fn take(&self, thread: usize) -> Option<IdleSocket> {
        self.0[thread].lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, thread: usize, socket: IdleSocket) {
        *self.0[thread].lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    /// Closes one of the sockets. Returns false if there is none.
    fn close_one(&self) -> bool {
        (0..self.0.len()).any(|thread| self.take(thread).is_some())
    }
}

/// The network of a blocking thread: its socket, and the waker that stops the thread.
#[derive(Debug)]
pub(crate) struct Poll {
    clock: Clock,
    source: Option<IpAddr>,
    stop: Waker,
    socket: Option<OwnedFd>,
    /// Whether the socket is an IPv4 one.
    is_ipv4: bool,
    /// Unconnected sockets of all threads.
    idle: Arc<IdleSockets>,
    /// Index of this thread among them.
    thread: usize,
    /// The state of its connection; `None` if it has none.
    connection: Option<Connection>,
    /// The events that the next wait waits for.
    interest: PollFlags,
    /// Whether the last wait found an error at the socket.
    has_error: bool,
    /// What the last wait found out about the connection.
    polled: Option<Polled>,
    icmp: IcmpErrors,
}

impl Poll {
    /// Creates the network of one thread. Once `stop` was called, every wait ends at once: the waker is
    /// never reset, so that one call stops every thread.
    pub(crate) fn new(
        clock: Clock,
        source: Option<IpAddr>,
        stop: Waker,
        idle: Arc<IdleSockets>,
        thread: usize,
    ) -> Self {
        Self {
            clock,
            source,
            stop,
            socket: None,
            is_ipv4: false,
            idle,
            thread,
            connection: None,
            interest: PollFlags::empty(),
            has_error: false,
            polled: None,
            icmp: IcmpErrors::default(),
        }
    }

    fn socket(&self) -> &OwnedFd {
        self.socket.as_ref().expect("a socket is used only between open and close")
    }

    /// Records the state of the connection.
    fn set_connection(&mut self, socket: Socket, connection: Connection) -> Connection {
        self.connection = Some(connection);
        let has_error = std::mem::take(&mut self.has_error);
        if matches!(connection, Connection::Failed(_)) || has_error {
            self.read_errors(socket);
        }
        self.interest = match connection {
            Connection::Pending => PollFlags::OUT,
            Connection::Accepted | Connection::Failed(_) => PollFlags::IN,
        };
        connection
    }

    fn read_errors(&mut self, socket: Socket) {
        let descriptor =
            self.socket.as_ref().expect("a socket is used only between open and close");
        error_queue::read(descriptor, socket, &mut self.icmp);
    }
}

impl Net for Poll {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno> {
        self.is_ipv4 = endpoint.is_ipv4();
        self.polled = None;
        let kept = self.idle.take(self.thread).filter(|kept| kept.is_ipv4 == self.is_ipv4);
        self.socket = Some(match kept {
            Some(IdleSocket { socket, .. }) => socket,
            None => match tcp::open(endpoint, self.source) {
                // Another thread's unused socket gives way.
                Err(Errno::MFILE | Errno::NFILE) if self.idle.close_one() => {
                    tcp::open(endpoint, self.source)?
                }
                opened => opened?,
            },
        });
        Ok(Socket(0))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let polled = self.polled.take();
        let connection = match self.connection {
            Some(Connection::Pending) => tcp::poll(self.socket(), endpoint, polled),
            _ => tcp::connect(self.socket(), endpoint),
        };
        self.set_connection(socket, connection)
    }

    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let connection = tcp::connect(self.socket(), endpoint);
        self.set_connection(socket, connection)
    }

    fn syns_repeated(&self, _: Socket) -> Option<u8> {
        tcp::syns_repeated(self.socket())
    }

    fn read(&mut self, _: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        tcp::read(self.socket(), buffer)
    }

    fn write(&mut self, _: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        tcp::write(self.socket(), bytes)
    }

    fn disconnect(&mut self, name: Socket) {
        match self.connection.take() {
            Some(Connection::Accepted) => return self.close(name),
            Some(Connection::Pending) => {
                if !tcp::disconnect(self.socket()) {
                    return self.close(name);
                }
                // No more errors arrive.
                self.read_errors(name);
            }
            // A refused connection leaves its socket unconnected.
            Some(Connection::Failed(_)) | None => {}
        }
        let Some(socket) = self.socket.take() else { return };
        self.idle.keep(self.thread, IdleSocket { socket, is_ipv4: self.is_ipv4 });
    }

    fn close(&mut self, _: Socket) {
        (self.socket, self.connection) = (None, None);
    }

    fn watch(&mut self, _: Socket) -> Result<(), Errno> {
        Ok(())
    }

    /// Does nothing, because every wait reports unread bytes.
    fn revisit(&mut self, _: Socket) {}

    /// Takes nothing, because polling the only socket is as cheap.
    fn take_events(&mut self, _: &mut Vec<Socket>) -> bool {
        false
    }

    fn invalidate(&mut self, _: Socket) {
        self.polled = None;
    }

    fn take_icmp(&mut self) -> IcmpErrors {
        std::mem::take(&mut self.icmp)
    }

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let timeout = until.map(|until| {
            let left = until.since(self.now()).min(Duration::from_hours(1));
            Timespec::try_from(left).unwrap_or_default()
        });
        let mut descriptors = [
            PollFd::new(self.stop.descriptor(), PollFlags::IN),
            PollFd::new(self.socket(), self.interest),
        ];
        match rustix::event::poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // The kernel had no memory for the wait. The caller checks its socket and waits again.
            Err(_) => return Woken::ByEvent,
        }
        if !descriptors[0].revents().is_empty() {
            return Woken::ByCall;
        }
        let events = descriptors[1].revents();
        if !events.is_empty() {
            let [out, hup, err] =
                [PollFlags::OUT, PollFlags::HUP, PollFlags::ERR].map(|it| events.contains(it));
            self.has_error = err;
            self.polled = Some(Polled::from_flags(out, hup, err));
            ready.push(Socket(0));
        }
        Woken::ByEvent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_takes_its_own_idle_socket_and_closes_any() {
        let idle = IdleSockets::new(2);
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(!idle.close_one());
        let socket = tcp::open(endpoint, None).expect("a socket");
        idle.keep(1, IdleSocket { socket, is_ipv4: true });
        assert!(idle.take(0).is_none());
        assert!(idle.close_one() && !idle.close_one());
    }
}
