//! The network of an event loop: many sockets under one epoll instance.

use std::{
    mem::MaybeUninit,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll},
    io::Errno,
};
use slab::Slab;

use super::{
    error_queue,
    net::{Connection, IcmpErrors, Net, Socket, Woken},
    tcp::{self, Polled},
};
use crate::{
    clock::{Clock, Instant},
    waker::Waker,
};

/// The most events per wait.
const EVENTS: usize = 1024;

/// The event data of the waker; that of a socket is its serial and index.
const WAKER: u64 = u64::MAX;

/// The sockets of one event loop.
///
/// A socket whose connection was refused or timed out is kept and reconnected for the next attempt.
/// It is registered with epoll once, when an attempt first has to wait for it. So a refused target
/// takes two system calls instead of five. The flags of events are kept, so that neither an accepted
/// connection nor a socket without bytes is asked again.
///
/// The error queue of a socket is read once for several refusals: reading it for each would add 5 %
/// to the cost of a refused target.
///
/// Invariant: there are never more sockets than attempts were open at the same time.
///
/// Invariant: an error queue is read before it can be full. A message that arrives while a pending
/// connection is abandoned stays in the queue for a while. It means nothing for the next connection,
/// because it names another endpoint.
#[derive(Debug)]
pub(crate) struct Epoll {
    clock: Clock,
    source: Option<IpAddr>,
    poller: OwnedFd,
    waker: Waker,
    sockets: Slab<Member>,
    /// The serial of the next socket to be registered.
    serial: u32,
    /// Indices of unconnected sockets, by family.
    idle: [Vec<usize>; 2],
    /// Indices of sockets whose error queues may have messages.
    unread: Vec<usize>,
    /// The number of refusals after which a socket's error queue is read.
    unread_max: u8,
    icmp: IcmpErrors,
    /// Sockets that the next wait reports in any case.
    revisited: Vec<Socket>,
    /// Whether `epoll_wait(2)` is permitted, so that events tell of everything that arrives.
    has_events: bool,
}

#[derive(Debug)]
struct Member {
    descriptor: OwnedFd,
    family: Family,
    /// Tells its events from those of earlier sockets with its index; `None` if it is not registered.
    serial: Option<u32>,
    state: ConnectionState,
    readiness: Readiness,
    /// How many unread messages its error queue may have.
    unread: u8,
    /// How many pending connections were abandoned since its error queue was read.
    abandoned: u8,
}

/// The state of a socket's connection when it was last polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    /// There is no connection, or it has failed.
    Unconnected,
    Pending,
    Accepted,
}

impl From<Connection> for ConnectionState {
    fn from(connection: Connection) -> Self {
        match connection {
            Connection::Pending => Self::Pending,
            Connection::Accepted => Self::Accepted,
            Connection::Failed(_) => Self::Unconnected,
        }
    }
}

/// What events have said about a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Readiness {
    /// The state of its connection; `None` if no event has said it.
    connection: Option<Polled>,
    /// Whether it has no bytes until its next event: edge-triggered epoll reports everything that
    /// arrives after a short read (epoll(7), question 9).
    drained: bool,
    /// Whether there may be more after a short read: the end of the stream, which epoll does not report
    /// again, or bytes after urgent data, at which a read stops (tcp(7)).
    uneven: bool,
}

impl Readiness {
    /// Applies an event. Its flags are those at the time of the wait, not at the time of the event.
    fn apply(&mut self, flags: epoll::EventFlags) {
        use epoll::EventFlags as Flags;

        self.uneven |= flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR | Flags::PRI);
        let [out, hup, err] = [Flags::OUT, Flags::HUP, Flags::ERR].map(|it| flags.contains(it));
        self.connection = Some(Polled::from_flags(out, hup, err));
        self.drained = !flags.contains(Flags::IN) && !self.uneven;
    }
}

/// The address family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4 = 0,
    V6 = 1,
}

impl Family {
    fn of(endpoint: SocketAddr) -> Self {
        if endpoint.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

impl Epoll {
    /// Creates the network of one event loop; `waker` ends its waits.
    ///
    /// # Errors
    /// This machine is short of descriptors or memory.
    pub(crate) fn new(clock: Clock, source: Option<IpAddr>, waker: Waker) -> Result<Self, Errno> {
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &poller,
            waker.descriptor(),
            epoll::EventData::new_u64(WAKER),
            epoll::EventFlags::IN,
        )?;
        Ok(Self {
            clock,
            source,
            poller,
            waker,
            sockets: Slab::new(),
            serial: 0,
            idle: [Vec::new(), Vec::new()],
            unread: Vec::new(),
            unread_max: *error_queue::UNREAD,
            icmp: IcmpErrors::default(),
            revisited: Vec::new(),
            has_events: true,
        })
    }

    /// Records the state of a connection.
    fn set_connection(&mut self, place: usize, connection: Connection) -> Connection {
        self.sockets[place].state = connection.into();
        if matches!(connection, Connection::Failed(_)) {
            self.note_error(place);
        }
        connection
    }

    /// Records that the socket's error queue may have one more message.
    fn note_error(&mut self, place: usize) {
        let member = &mut self.sockets[place];
        if member.unread == 0 {
            self.unread.push(place);
        }
        member.unread += 1;
        if member.unread >= self.unread_max {
            self.read_errors(place);
        }
    }

    fn read_errors(&mut self, place: usize) {
        let member = &mut self.sockets[place];
        (member.unread, member.abandoned) = (0, 0);
        error_queue::read(&member.descriptor, Socket(place), &mut self.icmp);
    }

    /// Waits for events and handles them. Returns how many there were, [`EVENTS`] at most.
    fn read_events(
        &mut self,
        timeout: Option<&Timespec>,
        ready: &mut Vec<Socket>,
    ) -> Result<(Woken, usize), Errno> {
        let mut buffer = [const { MaybeUninit::uninit() }; EVENTS];
        let (events, _) = epoll::wait(&self.poller, &mut buffer, timeout)?;
        let mut woken = Woken::ByEvent;
        for event in &*events {
            match event.data.u64() {
                WAKER => {
                    self.waker.reset();
                    woken = Woken::ByCall;
                }
                name => {
                    let (serial, place) = ((name >> 32) as u32, (name & 0xFFFF_FFFF) as usize);
                    let member = self.sockets.get(place);
                    if member.is_some_and(|member| member.serial == Some(serial)) {
                        self.handle_event(place, event.flags, ready);
                    }
                }
            }
        }
        Ok((woken, events.len()))
    }

    /// Handles an event at a socket.
    fn handle_event(&mut self, place: usize, flags: epoll::EventFlags, ready: &mut Vec<Socket>) {
        let member = &mut self.sockets[place];
        member.readiness.apply(flags);
        let is_pending = member.state == ConnectionState::Pending;
        ready.push(Socket(place));
        if is_pending && flags.contains(epoll::EventFlags::ERR) {
            self.note_error(place);
        }
    }

    /// Waits with poll(2) where `epoll_wait(2)` is not permitted; it takes longer the more sockets there
    /// are. Where poll(2) is not permitted either, reports every socket.
    fn wait_by_poll(&mut self, timeout: Option<&Timespec>, ready: &mut Vec<Socket>) -> Woken {
        let is_watched = |member: &Member| {
            member.serial.is_some() && member.state != ConnectionState::Unconnected
        };
        let watched = self.sockets.iter().filter(|(_, member)| is_watched(member));
        let (places, sockets): (Vec<_>, Vec<_>) = watched.unzip();
        let mut polled = vec![PollFd::new(self.waker.descriptor(), PollFlags::IN)];
        polled.extend(sockets.into_iter().map(|member| {
            let is_pending = member.state == ConnectionState::Pending;
            let wanted = if is_pending { PollFlags::OUT } else { PollFlags::IN };
            PollFd::new(&member.descriptor, wanted)
        }));
        match rustix::event::poll(&mut polled, timeout) {
            Ok(_) => {}
            Err(Errno::INTR) => return Woken::ByEvent,
            Err(_) => {
                std::thread::yield_now();
                for &place in &places {
                    self.invalidate(Socket(place));
                }
                ready.extend(places.into_iter().map(Socket));
                return self.take_call();
            }
        }
        let events: Vec<_> = polled.iter().map(PollFd::revents).collect();
        for (place, events) in places.into_iter().zip(&events[1..]) {
            if !events.is_empty() {
                // poll(2) and epoll(7) use the same bits (epoll_ctl(2)).
                let flags = epoll::EventFlags::from_bits_retain(events.bits().into());
                self.handle_event(place, flags, ready);
            }
        }
        self.take_call()
    }

    /// Resets the waker if it was called.
    fn take_call(&self) -> Woken {
        if !self.waker.is_called() {
            return Woken::ByEvent;
        }
        self.waker.reset();
        Woken::ByCall
    }

    /// Returns the time until then in whole milliseconds, rounded up, so that a wait never ends early
    /// on kernels and sandboxes that only have `epoll_pwait`.
    fn timeout(&self, until: Instant) -> Timespec {
        let milliseconds = until.since(self.now()).as_nanos().div_ceil(1_000_000);
        let timeout = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
        Timespec::try_from(timeout.min(Duration::from_hours(1))).unwrap_or_default()
    }
}

impl Net for Epoll {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno> {
        let family = Family::of(endpoint);
        if let Some(place) = self.idle[family as usize].pop() {
            self.sockets[place].readiness = Readiness::default();
            return Ok(Socket(place));
        }
        // Close a socket of the other family before opening one more.
        if let Some(place) = self.idle[family.other() as usize].pop() {
            self.close(Socket(place));
        }
        let descriptor = tcp::open(endpoint, self.source)?;
        let readiness = Readiness::default();
        let member = Member {
            descriptor,
            family,
            serial: None,
            state: ConnectionState::Unconnected,
            readiness,
            unread: 0,
            abandoned: 0,
        };
        Ok(Socket(self.sockets.insert(member)))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let member = &self.sockets[socket.0];
        let connection = match member.state {
            ConnectionState::Pending => {
                tcp::poll(&member.descriptor, endpoint, member.readiness.connection)
            }
            ConnectionState::Unconnected | ConnectionState::Accepted => {
                tcp::connect(&member.descriptor, endpoint)
            }
        };
        self.set_connection(socket.0, connection)
    }

    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let connection = tcp::connect(&self.sockets[socket.0].descriptor, endpoint);
        self.set_connection(socket.0, connection)
    }

    fn syns_repeated(&self, socket: Socket) -> Option<u8> {
        tcp::syns_repeated(&self.sockets[socket.0].descriptor)
    }

    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Member { descriptor, readiness, .. } = &mut self.sockets[socket.0];
        if readiness.drained {
            return Err(Errno::AGAIN);
        }
        let length = tcp::read(descriptor, buffer);
        let is_short = length.is_ok_and(|length| length < buffer.len()) && !readiness.uneven;
        readiness.drained = is_short || length == Err(Errno::AGAIN);
        length
    }

    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        tcp::write(&self.sockets[socket.0].descriptor, bytes)
    }

    fn disconnect(&mut self, socket: Socket) {
        let member = &mut self.sockets[socket.0];
        match std::mem::replace(&mut member.state, ConnectionState::Unconnected) {
            ConnectionState::Accepted => return self.close(socket),
            ConnectionState::Pending => {
                if !tcp::disconnect(&member.descriptor) {
                    return self.close(socket);
                }
                // No more errors arrive. Those that have arrived before have an event.
                member.abandoned += 1;
                if !self.has_events || member.abandoned >= self.unread_max {
                    self.read_errors(socket.0);
                }
            }
            // A refused connection leaves its socket unconnected.
            ConnectionState::Unconnected => {}
        }
        self.idle[self.sockets[socket.0].family as usize].push(socket.0);
    }

    fn close(&mut self, socket: Socket) {
        if self.sockets[socket.0].unread > 0 {
            self.read_errors(socket.0);
        }
        // The kernel removes a closed socket from the epoll set, unless a child process that is just
        // being started has a copy of it. That is why events carry a serial.
        drop(self.sockets.remove(socket.0));
    }

    fn watch(&mut self, socket: Socket) -> Result<(), Errno> {
        use epoll::EventFlags as Flags;

        let member = &mut self.sockets[socket.0];
        if member.serial.is_none() {
            let flags = Flags::IN | Flags::OUT | Flags::PRI | Flags::RDHUP | Flags::ET;
            let place = u32::try_from(socket.0).map_err(|_| Errno::NOSPC)?;
            let name = u64::from(self.serial) << 32 | u64::from(place);
            epoll::add(&self.poller, &member.descriptor, epoll::EventData::new_u64(name), flags)?;
            member.serial = Some(self.serial);
            // Never all ones, which is the waker's.
            self.serial = (self.serial + 1) % u32::MAX;
        }
        Ok(())
    }

    fn revisit(&mut self, socket: Socket) {
        self.revisited.push(socket);
    }

    fn invalidate(&mut self, socket: Socket) {
        self.sockets[socket.0].readiness = Readiness::default();
    }

    fn take_icmp(&mut self) -> IcmpErrors {
        let mut unread = std::mem::take(&mut self.unread);
        for place in unread.drain(..) {
            // It may have been read or closed in between.
            if self.sockets.get(place).is_some_and(|member| member.unread > 0) {
                self.read_errors(place);
            }
        }
        self.unread = unread;
        std::mem::take(&mut self.icmp)
    }

    fn take_events(&mut self, ready: &mut Vec<Socket>) -> bool {
        // Enough if each socket has one event; more may go on arriving without end.
        for _ in 0..=self.sockets.len() / EVENTS + 1 {
            match self.read_events(Some(&Timespec::default()), ready) {
                Ok((_, EVENTS)) | Err(Errno::INTR) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let until = if self.revisited.is_empty() { until } else { Some(self.now()) };
        ready.append(&mut self.revisited);
        let timeout = until.map(|until| self.timeout(until));
        match self.read_events(timeout.as_ref(), ready) {
            Ok((woken, _)) => woken,
            Err(Errno::INTR) => Woken::ByEvent,
            // A sandbox does not permit it.
            Err(_) => {
                self.has_events = false;
                self.wait_by_poll(timeout.as_ref(), ready)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::Ipv6Addr};

    use super::*;

    /// Endpoints that refuse: nothing listens on port 1 of loopback.
    const REFUSED: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1),
    ];

    fn poller() -> Epoll {
        let waker = Waker::new().expect("a descriptor");
        Epoll::new(Clock::start(), None, waker).expect("a poller")
    }

    /// Waits for the end of a connection attempt.
    fn outcome(net: &mut Epoll, socket: Socket, endpoint: SocketAddr) -> Connection {
        let mut ready = Vec::new();
        loop {
            match net.connect(socket, endpoint) {
                Connection::Pending => {
                    net.watch(socket).expect("it can be watched");
                    net.wait(None, &mut ready);
                }
                ended => return ended,
            }
        }
    }

    /// A million sockets may be open at the same time.
    #[test]
    fn state_of_a_socket_is_small() {
        assert!(size_of::<Member>() <= 20, "{}", size_of::<Member>());
    }

    fn refused(net: &mut Epoll, endpoint: SocketAddr) -> Socket {
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(outcome(net, socket, endpoint), Connection::Failed(Errno::CONNREFUSED));
        net.disconnect(socket);
        socket
    }

    #[test]
    fn refused_sockets_are_reused_within_their_family() {
        let mut net = poller();
        let [v4, v6] = REFUSED;
        let first = refused(&mut net, v4);
        for _ in 0..10 {
            assert_eq!(refused(&mut net, v4), first);
        }
        assert_eq!(net.sockets.len(), 1);
        refused(&mut net, v6);
        assert_eq!(net.sockets.len(), 1, "the socket of the other family was closed");
        assert_eq!((net.idle[0].len(), net.idle[1].len()), (0, 1));
    }

    #[test]
    fn socket_of_a_pending_connection_can_connect_elsewhere() {
        #[expect(clippy::disallowed_methods, reason = "this fills the backlog of a server")]
        let connect = std::net::TcpStream::connect;
        let full = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        rustix::net::listen(&full, 0).expect("it listens");
        let endpoint = full.local_addr().expect("it is bound");
        let _first = connect(endpoint).expect("there is one place");
        let open = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");

        let mut net = poller();
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(net.connect(socket, endpoint), Connection::Pending);
        net.disconnect(socket);
        let endpoint = open.local_addr().expect("it is bound");
        assert_eq!(net.open(endpoint), Ok(socket));
        assert_eq!(outcome(&mut net, socket, endpoint), Connection::Accepted);
        let (accepted, peer) = open.accept().expect("somebody came");
        assert_eq!(accepted.peer_addr().ok(), Some(peer));
    }

    #[test]
    fn disconnected_socket_of_an_accepted_connection_connects_elsewhere() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = open.local_addr().expect("it is bound");
        let mut net = poller();
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(outcome(&mut net, socket, endpoint), Connection::Accepted);
        net.disconnect(socket);
        assert_eq!(refused(&mut net, REFUSED[0]), socket);
    }

    #[test]
    fn bytes_after_a_short_read_are_reported() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = open.local_addr().expect("it is bound");
        let mut net = poller();
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(outcome(&mut net, socket, endpoint), Connection::Accepted);
        let (mut server, _) = open.accept().expect("somebody came");
        let (mut ready, mut buffer) = (Vec::new(), [0; 8]);
        let mut read = |net: &mut Epoll| loop {
            match net.read(socket, &mut buffer) {
                Err(Errno::AGAIN) => net.wait(None, &mut ready),
                read => return read.map(|length| buffer[..length].to_vec()),
            };
        };
        server.write_all(b"ab").expect("there is room");
        net.watch(socket).expect("it can be watched");
        assert_eq!(read(&mut net), Ok(b"ab".to_vec()));
        server.write_all(b"cd").expect("there is room");
        assert_eq!(read(&mut net), Ok(b"cd".to_vec()));
        // Bytes and the end in one go: the poller tells of both at once, and once only.
        server.write_all(b"ef").expect("there is room");
        drop(server);
        assert_eq!(read(&mut net), Ok(b"ef".to_vec()));
        assert_eq!(read(&mut net), Ok(Vec::new()));
    }
}
