//! One socket under poll(2): what a blocking thread waits with.

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
    net::{Connection, IcmpError, Net, Socket, Woken},
    tcp::{self, Told},
};
use crate::{
    clock::{Clock, Instant},
    waker::Waker,
};

/// The sockets that threads keep between two attempts, one each.
///
/// A thread takes its own; its lock is free, but when there are no descriptors left.
#[derive(Debug)]
pub(crate) struct Idle(Vec<Mutex<Option<Kept>>>);

#[derive(Debug)]
struct Kept {
    socket: OwnedFd,
    is_ipv4: bool,
}

impl Idle {
    /// For so many threads.
    pub(crate) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self((0..threads).map(|_| Mutex::default()).collect()))
    }

    fn take(&self, place: usize) -> Option<Kept> {
        self.0[place].lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, place: usize, kept: Kept) {
        *self.0[place].lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    /// Closes one of them; false when there is none.
    fn give_one_back(&self) -> bool {
        (0..self.0.len()).any(|place| self.take(place).is_some())
    }
}

/// The one socket of a blocking thread, and the descriptor that calls the thread away from it.
#[derive(Debug)]
pub(crate) struct Poll {
    clock: Clock,
    source: Option<IpAddr>,
    stop: Waker,
    socket: Option<OwnedFd>,
    /// Its family is that of IPv4.
    is_ipv4: bool,
    /// Sockets of this thread and of the others that can be connected again.
    idle: Arc<Idle>,
    /// This thread's place among them.
    place: usize,
    /// How its connection stands; `None`: it has none.
    connection: Option<Connection>,
    /// What the next wait is for.
    interest: PollFlags,
    /// The last wait found an error at it.
    erred: bool,
    /// What the last wait has told of its connection.
    told: Option<Told>,
    icmp: Vec<IcmpError>,
}

impl Poll {
    /// Once `stop` has called, every wait ends at once: it is never read, so that one call
    /// reaches every thread.
    pub(crate) fn new(
        clock: Clock,
        source: Option<IpAddr>,
        stop: Waker,
        idle: Arc<Idle>,
        place: usize,
    ) -> Self {
        Self {
            clock,
            source,
            stop,
            socket: None,
            is_ipv4: false,
            idle,
            place,
            connection: None,
            interest: PollFlags::empty(),
            erred: false,
            told: None,
            icmp: Vec::new(),
        }
    }

    fn socket(&self) -> &OwnedFd {
        self.socket.as_ref().expect("a socket is used only between open and close")
    }

    /// Its connection stands so.
    fn stands(&mut self, socket: Socket, connection: Connection) -> Connection {
        self.connection = Some(connection);
        let has_erred = std::mem::take(&mut self.erred);
        if matches!(connection, Connection::Failed(_)) || has_erred {
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
        self.told = None;
        let kept = self.idle.take(self.place).filter(|kept| kept.is_ipv4 == self.is_ipv4);
        self.socket = Some(match kept {
            Some(Kept { socket, .. }) => socket,
            None => match tcp::open(endpoint, self.source) {
                // What others keep and do not use would stay out of this thread's reach.
                Err(Errno::MFILE | Errno::NFILE) if self.idle.give_one_back() => {
                    tcp::open(endpoint, self.source)?
                }
                opened => opened?,
            },
        });
        Ok(Socket(0))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let told = self.told.take();
        let connection = match self.connection {
            Some(Connection::Pending) => tcp::stands(self.socket(), endpoint, told),
            _ => tcp::connect(self.socket(), endpoint),
        };
        self.stands(socket, connection)
    }

    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let connection = tcp::connect(self.socket(), endpoint);
        self.stands(socket, connection)
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
                // Nothing comes any more.
                self.read_errors(name);
            }
            // A refused connection has left its socket as it was before.
            Some(Connection::Failed(_)) | None => {}
        }
        let Some(socket) = self.socket.take() else { return };
        self.idle.keep(self.place, Kept { socket, is_ipv4: self.is_ipv4 });
    }

    fn close(&mut self, _: Socket) {
        (self.socket, self.connection) = (None, None);
    }

    fn watch(&mut self, _: Socket) -> Result<(), Errno> {
        Ok(())
    }

    /// Every wait tells of what has not been read.
    fn revisit(&mut self, _: Socket) {}

    fn invalidate(&mut self, _: Socket) {
        self.told = None;
    }

    fn take_icmp(&mut self) -> Vec<IcmpError> {
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
            // The kernel had no memory to wait with: the caller asks its socket and comes again.
            Err(_) => return Woken::ByEvent,
        }
        if !descriptors[0].revents().is_empty() {
            return Woken::ByCall;
        }
        let happened = descriptors[1].revents();
        if !happened.is_empty() {
            let [out, hup, err] =
                [PollFlags::OUT, PollFlags::HUP, PollFlags::ERR].map(|it| happened.contains(it));
            self.erred = err;
            self.told = Some(Told::by(out, hup, err));
            ready.push(Socket(0));
        }
        Woken::ByEvent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_its_own_and_gives_back_anybodys() {
        let idle = Idle::new(2);
        let endpoint = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(!idle.give_one_back());
        let socket = tcp::open(endpoint, None).expect("a socket");
        idle.keep(1, Kept { socket, is_ipv4: true });
        assert!(idle.take(0).is_none());
        assert!(idle.give_one_back() && !idle.give_one_back());
    }
}
