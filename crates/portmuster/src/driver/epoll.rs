//! Many sockets under one epoll instance: what an event loop waits with.

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
    net::{Connection, IcmpError, Net, Socket, Woken},
    tcp::{self, Told},
};
use crate::{
    clock::{Clock, Instant},
    waker::Waker,
};

/// Events taken at a time.
const EVENTS: usize = 1024;

/// Stands for the waker where events name their socket.
const WAKER: u64 = u64::MAX;

/// Sockets of one event loop.
///
/// A socket whose connection was refused or never answered is kept, connected again to where the
/// next attempt goes, and registered with the poller once, when somebody has to wait for it: two
/// system calls for a refused target instead of five. What the poller tells is kept, so that a
/// connection that was accepted is not asked again, nor a socket without bytes for some.
///
/// What ICMP has said is read once for several refusals: reading it for each would cost a refused
/// target a twentieth more.
///
/// Invariant: never are more sockets kept than attempts were ever open at the same time.
///
/// Invariant: an error queue is read before it may be full.
#[derive(Debug)]
pub(crate) struct Epoll {
    clock: Clock,
    source: Option<IpAddr>,
    poller: OwnedFd,
    waker: Waker,
    sockets: Slab<Member>,
    /// Of the next socket that the poller is told of.
    serial: u32,
    /// Places of sockets that can be connected again, IPv4 and IPv6 apart.
    idle: [Vec<usize>; 2],
    /// Places of sockets whose error queue may have something in it.
    unread: Vec<usize>,
    /// Refusals after which a socket's error queue is read.
    unread_max: u8,
    icmp: Vec<IcmpError>,
    /// Sockets that the next wait names whatever has happened.
    revisited: Vec<Socket>,
}

#[derive(Debug)]
struct Member {
    descriptor: OwnedFd,
    family: Family,
    /// The poller tells of it under this number, which tells it from others that had its place;
    /// `None`: the poller does not know it.
    serial: Option<u32>,
    standing: Standing,
    readiness: Readiness,
    /// How often its error queue may have got something that was not read.
    unread: u8,
}

/// How the connection of a socket stood when it was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There is none, or it has failed.
    Free,
    Pending,
    Accepted,
}

impl From<Connection> for Standing {
    fn from(connection: Connection) -> Self {
        match connection {
            Connection::Pending => Self::Pending,
            Connection::Accepted => Self::Accepted,
            Connection::Failed(_) => Self::Free,
        }
    }
}

/// What is known of a socket without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Readiness {
    /// How its connection stands, while that is not known otherwise.
    connection: Option<Told>,
    /// It has no bytes before the poller tells of it again: an edge-triggered poller tells of all
    /// that comes after less was read than was asked for (epoll(7), question 9).
    drained: bool,
    /// More may be there behind a short read: the end, of which the poller does not tell again, or
    /// what follows urgent data, at which a read stops (tcp(7)).
    uneven: bool,
}

impl Readiness {
    /// Takes an event. Its flags are of the moment of the wait, whatever the event was for.
    fn take(&mut self, flags: epoll::EventFlags) {
        use epoll::EventFlags as Flags;

        self.uneven |= flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR | Flags::PRI);
        let [out, hup, err] = [Flags::OUT, Flags::HUP, Flags::ERR].map(|it| flags.contains(it));
        self.connection = Some(Told::by(out, hup, err));
        self.drained = !flags.contains(Flags::IN) && !self.uneven;
    }
}

/// Which of the idle sockets.
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
    /// The thread that waits here is called by the waker.
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
            icmp: Vec::new(),
            revisited: Vec::new(),
        })
    }

    /// Its connection stands so.
    fn stands(&mut self, place: usize, connection: Connection) -> Connection {
        self.sockets[place].standing = connection.into();
        if matches!(connection, Connection::Failed(_)) {
            self.errs(place);
        }
        connection
    }

    /// The socket's error queue may have something in it.
    fn errs(&mut self, place: usize) {
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
        member.unread = 0;
        error_queue::read(&member.descriptor, Socket(place), &mut self.icmp);
    }

    /// Something has happened at a socket.
    fn happened(&mut self, place: usize, flags: epoll::EventFlags, ready: &mut Vec<Socket>) {
        let member = &mut self.sockets[place];
        member.readiness.take(flags);
        let is_pending = member.standing == Standing::Pending;
        ready.push(Socket(place));
        if is_pending && flags.contains(epoll::EventFlags::ERR) {
            self.errs(place);
        }
    }

    /// Waits as well where the poller can't be waited for: it takes longer, the more sockets there
    /// are. Where that is not possible either, every socket is asked.
    fn wait_by_poll(&mut self, timeout: Option<&Timespec>, ready: &mut Vec<Socket>) -> Woken {
        let is_watched =
            |member: &Member| member.serial.is_some() && member.standing != Standing::Free;
        let watched = self.sockets.iter().filter(|(_, member)| is_watched(member));
        let (places, sockets): (Vec<_>, Vec<_>) = watched.unzip();
        let mut polled = vec![PollFd::new(self.waker.descriptor(), PollFlags::IN)];
        polled.extend(sockets.into_iter().map(|member| {
            let is_pending = member.standing == Standing::Pending;
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
                return self.heard();
            }
        }
        let told: Vec<_> = polled.iter().map(PollFd::revents).collect();
        for (place, told) in places.into_iter().zip(&told[1..]) {
            if !told.is_empty() {
                // They have the same bits (epoll_ctl(2)).
                let flags = epoll::EventFlags::from_bits_retain(told.bits().into());
                self.happened(place, flags, ready);
            }
        }
        self.heard()
    }

    /// Takes a call, if there was one.
    fn heard(&self) -> Woken {
        if !self.waker.is_called() {
            return Woken::ByEvent;
        }
        self.waker.heard();
        Woken::ByCall
    }

    /// The time until then; whole milliseconds, rounded up: a wait never ends early, and kernels
    /// and sandboxes that only know `epoll_pwait` do.
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
        // Who needs a new one gives one of the others back.
        if let Some(place) = self.idle[family.other() as usize].pop() {
            self.close(Socket(place));
        }
        let descriptor = tcp::open(endpoint, self.source)?;
        let readiness = Readiness::default();
        let member = Member {
            descriptor,
            family,
            serial: None,
            standing: Standing::Free,
            readiness,
            unread: 0,
        };
        Ok(Socket(self.sockets.insert(member)))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let member = &self.sockets[socket.0];
        let connection = match member.standing {
            Standing::Pending => {
                tcp::stands(&member.descriptor, endpoint, member.readiness.connection)
            }
            Standing::Free | Standing::Accepted => tcp::connect(&member.descriptor, endpoint),
        };
        self.stands(socket.0, connection)
    }

    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        let connection = tcp::connect(&self.sockets[socket.0].descriptor, endpoint);
        self.stands(socket.0, connection)
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
        match std::mem::replace(&mut member.standing, Standing::Free) {
            Standing::Accepted => return self.close(socket),
            Standing::Pending => {
                if !tcp::disconnect(&member.descriptor) {
                    return self.close(socket);
                }
                // Nothing comes any more.
                self.read_errors(socket.0);
            }
            // A refused connection has left its socket as it was before.
            Standing::Free => {}
        }
        self.idle[self.sockets[socket.0].family as usize].push(socket.0);
    }

    fn close(&mut self, socket: Socket) {
        if self.sockets[socket.0].unread > 0 {
            self.read_errors(socket.0);
        }
        // The kernel takes a closed socket off the poller itself, unless a child process that is
        // just being started has a copy of it: that is why events are told apart by the serial.
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

    fn take_icmp(&mut self) -> Vec<IcmpError> {
        let mut unread = std::mem::take(&mut self.unread);
        for place in unread.drain(..) {
            // It may have been read in between, or closed.
            if self.sockets.get(place).is_some_and(|member| member.unread > 0) {
                self.read_errors(place);
            }
        }
        self.unread = unread;
        std::mem::take(&mut self.icmp)
    }

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let until = if self.revisited.is_empty() { until } else { Some(self.now()) };
        ready.append(&mut self.revisited);
        let timeout = until.map(|until| self.timeout(until));
        let mut buffer = [const { MaybeUninit::uninit() }; EVENTS];
        let events = match epoll::wait(&self.poller, &mut buffer, timeout.as_ref()) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Woken::ByEvent,
            // A sandbox forbids it.
            Err(_) => return self.wait_by_poll(timeout.as_ref(), ready),
        };
        let mut woken = Woken::ByEvent;
        for event in events {
            match event.data.u64() {
                WAKER => {
                    self.waker.heard();
                    woken = Woken::ByCall;
                }
                name => {
                    let (serial, place) = ((name >> 32) as u32, (name & 0xFFFF_FFFF) as usize);
                    let member = self.sockets.get(place);
                    if member.is_some_and(|member| member.serial == Some(serial)) {
                        self.happened(place, event.flags, ready);
                    }
                }
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::Ipv6Addr};

    use super::*;

    /// Nothing listens on the lowest port of loopback.
    const REFUSED: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1),
    ];

    fn poller() -> Epoll {
        let waker = Waker::new().expect("a descriptor");
        Epoll::new(Clock::start(), None, waker).expect("a poller")
    }

    /// How the connection ends.
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

    /// A million may be open at the same time.
    #[test]
    fn what_is_kept_of_a_socket_is_small() {
        assert!(size_of::<Member>() <= 20, "{}", size_of::<Member>());
    }

    fn refused(net: &mut Epoll, endpoint: SocketAddr) -> Socket {
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(outcome(net, socket, endpoint), Connection::Failed(Errno::CONNREFUSED));
        net.disconnect(socket);
        socket
    }

    #[test]
    fn refused_sockets_are_kept_and_families_apart() {
        let mut net = poller();
        let [v4, v6] = REFUSED;
        let first = refused(&mut net, v4);
        for _ in 0..10 {
            assert_eq!(refused(&mut net, v4), first);
        }
        assert_eq!(net.sockets.len(), 1);
        refused(&mut net, v6);
        assert_eq!(net.sockets.len(), 1, "the other family's was given back");
        assert_eq!((net.idle[0].len(), net.idle[1].len()), (0, 1));
    }

    #[test]
    fn a_socket_that_waited_in_vain_connects_elsewhere() {
        #[expect(clippy::disallowed_methods, reason = "this fills the backlog of a server")]
        let connect = std::net::TcpStream::connect;
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        rustix::net::listen(&deaf, 0).expect("it listens");
        let endpoint = deaf.local_addr().expect("it is bound");
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
    fn who_was_accepted_and_is_given_up_connects_elsewhere() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = open.local_addr().expect("it is bound");
        let mut net = poller();
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(outcome(&mut net, socket, endpoint), Connection::Accepted);
        net.disconnect(socket);
        assert_eq!(refused(&mut net, REFUSED[0]), socket);
    }

    #[test]
    fn what_comes_behind_a_short_read_is_told() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = open.local_addr().expect("it is bound");
        let mut net = poller();
        let socket = net.open(endpoint).expect("a socket");
        assert_eq!(outcome(&mut net, socket, endpoint), Connection::Accepted);
        let (mut server, _) = open.accept().expect("somebody came");
        let (mut ready, mut buffer) = (Vec::new(), [0; 8]);
        let mut told = |net: &mut Epoll| loop {
            match net.read(socket, &mut buffer) {
                Err(Errno::AGAIN) => net.wait(None, &mut ready),
                read => return read.map(|length| buffer[..length].to_vec()),
            };
        };
        server.write_all(b"ab").expect("there is room");
        net.watch(socket).expect("it can be watched");
        assert_eq!(told(&mut net), Ok(b"ab".to_vec()));
        server.write_all(b"cd").expect("there is room");
        assert_eq!(told(&mut net), Ok(b"cd".to_vec()));
        // Bytes and the end in one go: the poller tells of both at once, and once only.
        server.write_all(b"ef").expect("there is room");
        drop(server);
        assert_eq!(told(&mut net), Ok(b"ef".to_vec()));
        assert_eq!(told(&mut net), Ok(Vec::new()));
    }
}
