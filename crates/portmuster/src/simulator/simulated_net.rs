//! A seeded network in virtual time.
//!
//! Time passes only in `wait`, and jumps from one event to the next, so a run of hours takes
//! milliseconds and the same seed gives the same run.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rustix::io::Errno;
use slab::Slab;

use super::{
    faults::FaultInjector,
    network::{Action, Network, ServerBehaviour},
};
use crate::{
    clock::Instant,
    driver::{Connection, IcmpError, IcmpErrors, Net, Socket, Woken},
};

/// Between the bytes of a greeting that comes byte by byte.
const APART: Duration = Duration::from_millis(1);

/// A byte that comes alone so long after the one before is a drip.
const DRIPS: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Peer {
    endpoint: SocketAddr,
    /// Tells this socket from others that had its place.
    serial: u64,
    connection: Option<Connection>,
    /// What ICMP has said, and the error queue holds.
    icmp: Option<Errno>,
    /// What happens at it is told.
    watched: bool,
    /// When it last said something.
    said: Option<Instant>,
    inbox: VecDeque<u8>,
    /// What a read finds after the inbox: `Ok` hung up, `Err` reset.
    end: Option<Result<(), Errno>>,
    answer: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scheduled {
    at: Instant,
    /// Keeps the order of what happens at the same time.
    number: u64,
    place: usize,
    serial: u64,
    what: What,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Accept,
    Refuse(i32),
    /// ICMP says so; where the system is busy with the socket it only queues it.
    Icmp {
        errno: i32,
        is_queued_only: bool,
    },
    Action(Action),
}

/// The simulated network, as one loop sees it.
#[derive(Debug)]
pub(crate) struct SimulatedNet {
    network: Network,
    now: Instant,
    peers: Slab<Peer>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    serial: u64,
    /// Places that are named once more although their socket was given up, if another has them.
    stale: BTreeSet<usize>,
    /// Endpoints that were connected to.
    reached: HashSet<SocketAddr>,
    /// Places at which something has happened that were not named for it yet.
    unnamed: BTreeSet<usize>,
    /// What error queues held that were read.
    icmp: Vec<IcmpError>,
    pub(crate) troubles: FaultInjector,
    /// The most sockets that were open at the same time, in all and towards one address.
    pub(crate) peak: (usize, usize),
    open_by_host: HashMap<IpAddr, usize>,
    /// When each connection began.
    pub(crate) begun: Vec<Duration>,
}

impl SimulatedNet {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            troubles: FaultInjector::new(network.seed),
            network,
            now: Instant::START,
            peers: Slab::new(),
            queue: BinaryHeap::new(),
            serial: 0,
            stale: BTreeSet::new(),
            reached: HashSet::new(),
            unnamed: BTreeSet::new(),
            icmp: Vec::new(),
            peak: (0, 0),
            open_by_host: HashMap::new(),
            begun: Vec::new(),
        }
    }

    fn schedule(&mut self, place: usize, after: Duration, what: What) {
        self.serial += 1;
        self.queue.push(Reverse(Scheduled {
            at: self.now.after(after),
            number: self.serial,
            place,
            serial: self.peers[place].serial,
            what,
        }));
    }

    /// Schedules what a server says; when it has said it.
    fn schedule_say(&mut self, place: usize, mut at: Duration, say: Action) -> Duration {
        match say {
            Action::Bytes(bytes)
                if bytes.len() > 1 && self.troubles.come("split greeting", self.network.splits) =>
            {
                for byte in bytes {
                    self.schedule(place, at, What::Action(Action::Bytes(vec![byte])));
                    at += APART;
                }
            }
            say => self.schedule(place, at, What::Action(say)),
        }
        at
    }

    fn schedule_icmp(&mut self, place: usize, after: Duration, errno: Errno) {
        let is_queued_only = self.troubles.come("ICMP only queued", self.network.oddities);
        let errno = errno.raw_os_error();
        self.schedule(place, after, What::Icmp { errno, is_queued_only });
    }

    /// Reads the error queue.
    fn read_errors(&mut self, place: usize) {
        let peer = &mut self.peers[place];
        if let Some(errno) = peer.icmp.take() {
            let endpoint = peer.endpoint;
            self.icmp.push(IcmpError { socket: Socket(place), endpoint, errno });
        }
    }

    fn begin(&mut self, place: usize) -> Connection {
        self.begun.push(self.now.since(Instant::START));
        if self.troubles.come("no local port", self.network.faults) {
            return Connection::Failed(Errno::ADDRNOTAVAIL);
        }
        let endpoint = self.peers[place].endpoint;
        let may_be_lost = self.reached.insert(endpoint);
        let manner = match self.network.manner(endpoint).clone() {
            local @ (ServerBehaviour::NoRoute | ServerBehaviour::Starves) => local,
            _ if may_be_lost && self.troubles.come("lost", self.network.losses) => {
                ServerBehaviour::Silent
            }
            manner => manner,
        };
        match manner {
            ServerBehaviour::NoRoute => return Connection::Failed(Errno::NETUNREACH),
            ServerBehaviour::Starves => return Connection::Failed(Errno::NOBUFS),
            ServerBehaviour::Refuses { after } => {
                self.schedule(place, after, What::Refuse(Errno::CONNREFUSED.raw_os_error()));
            }
            ServerBehaviour::RefusedByIcmp { after } => {
                self.schedule_icmp(place, after, Errno::CONNREFUSED);
            }
            ServerBehaviour::Unreachable { after } => {
                self.schedule_icmp(place, after, Errno::HOSTUNREACH);
            }
            ServerBehaviour::Silent => {}
            ServerBehaviour::Accepts { after, says, answer } => {
                self.schedule(place, after, What::Accept);
                let mut at = after;
                for (pause, say) in says {
                    at = self.schedule_say(place, at + pause, say);
                }
                self.peers[place].answer = answer;
            }
        }
        Connection::Pending
    }

    /// Makes something happen; whether its place is to be named.
    fn happen(&mut self, Scheduled { place, serial, what, .. }: Scheduled) -> bool {
        let Some(peer) = self.peers.get_mut(place).filter(|peer| peer.serial == serial) else {
            // Who has the place now is named for it.
            let is_late = matches!(what, What::Accept | What::Refuse(_) | What::Icmp { .. });
            if is_late {
                self.troubles.count("late answer");
            }
            return is_late;
        };
        match what {
            What::Accept => peer.connection = Some(Connection::Accepted),
            What::Refuse(errno) => {
                peer.connection = Some(Connection::Failed(Errno::from_raw_os_error(errno)));
            }
            What::Icmp { errno, is_queued_only } => {
                let errno = Errno::from_raw_os_error(errno);
                peer.icmp = Some(errno);
                if !is_queued_only {
                    peer.connection = Some(Connection::Failed(errno));
                }
            }
            What::Action(Action::Bytes(bytes)) => {
                let before = peer.said.replace(self.now);
                if bytes.len() == 1 && before.is_some_and(|before| self.now.since(before) >= DRIPS)
                {
                    self.troubles.count("drip");
                }
                peer.inbox.extend(bytes);
            }
            What::Action(Action::HangUp) => peer.end = Some(Ok(())),
            What::Action(Action::Reset) => {
                if peer.said.is_some() {
                    self.troubles.count("reset in the middle");
                }
                peer.end = Some(Err(Errno::CONNRESET));
            }
        }
        true
    }

    /// Lets time pass until the next thing happens, but not beyond; adds the places to be named.
    fn pass(&mut self, until: Option<Instant>, named: &mut BTreeSet<usize>) {
        let Some(first) = self.queue.peek().map(|Reverse(first)| first.at) else {
            self.now = self.now.max(until.unwrap_or(self.now));
            return;
        };
        self.now = self.now.max(until.map_or(first, |until| first.min(until)));
        while let Some(Reverse(next)) = self.queue.peek()
            && next.at <= self.now
            && let Some(Reverse(next)) = self.queue.pop()
        {
            let place = next.place;
            if self.happen(next) {
                named.insert(place);
            }
        }
    }
}

impl Net for SimulatedNet {
    fn now(&self) -> Instant {
        self.now
    }

    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno> {
        if self.peers.len() >= self.network.descriptors {
            self.troubles.count("no descriptor");
            return Err(Errno::MFILE);
        }
        if self.troubles.come("no buffer", self.network.faults) {
            return Err(Errno::NOBUFS);
        }
        self.serial += 1;
        let place = self.peers.insert(Peer {
            endpoint,
            serial: self.serial,
            connection: None,
            icmp: None,
            watched: false,
            said: None,
            inbox: VecDeque::new(),
            end: None,
            answer: None,
        });
        let towards_host = self.open_by_host.entry(endpoint.ip()).or_default();
        *towards_host += 1;
        self.peak = (self.peak.0.max(self.peers.len()), self.peak.1.max(*towards_host));
        Ok(Socket(place))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        assert_eq!(
            self.peers[socket.0].endpoint, endpoint,
            "a socket connects where it was opened for"
        );
        if let Some(connection) = self.peers[socket.0].connection {
            if matches!(connection, Connection::Failed(_)) {
                self.read_errors(socket.0);
            }
            return connection;
        }
        let connection = self.begin(socket.0);
        self.peers[socket.0].connection = Some(connection);
        connection
    }

    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        self.connect(socket, endpoint)
    }

    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        let peer = &mut self.peers[socket.0];
        assert_eq!(peer.connection, Some(Connection::Accepted), "only who is connected reads");
        if peer.inbox.is_empty() {
            return match peer.end {
                None => Err(Errno::AGAIN),
                Some(Ok(())) => Ok(0),
                Some(Err(errno)) => Err(errno),
            };
        }
        let mut length = peer.inbox.len().min(buffer.len());
        if length > 1 && self.troubles.come("short read", self.network.oddities) {
            length = 1;
        }
        for (place, byte) in buffer.iter_mut().zip(peer.inbox.drain(..length)) {
            *place = byte;
        }
        Ok(length)
    }

    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        if let Some(answer) = self.peers[socket.0].answer.take() {
            self.schedule(socket.0, Duration::from_millis(1), What::Action(Action::Bytes(answer)));
            self.schedule(socket.0, Duration::from_millis(1), What::Action(Action::HangUp));
        }
        Ok(bytes.len())
    }

    fn disconnect(&mut self, socket: Socket) {
        if self.troubles.chance(self.network.oddities) {
            self.stale.insert(socket.0);
        }
        self.close(socket);
    }

    fn close(&mut self, socket: Socket) {
        let peer = self.peers.remove(socket.0);
        if let Some(open) = self.open_by_host.get_mut(&peer.endpoint.ip()) {
            *open -= 1;
        }
    }

    fn watch(&mut self, socket: Socket) -> Result<(), Errno> {
        if self.troubles.come("no watch", self.network.faults) {
            return Err(Errno::NOSPC);
        }
        let peer = &mut self.peers[socket.0];
        peer.watched = true;
        let has_connected = !matches!(peer.connection, None | Some(Connection::Pending));
        if has_connected || peer.icmp.is_some() || !peer.inbox.is_empty() || peer.end.is_some() {
            self.unnamed.insert(socket.0);
        }
        Ok(())
    }

    fn revisit(&mut self, socket: Socket) {
        self.unnamed.insert(socket.0);
    }

    fn invalidate(&mut self, _: Socket) {}

    fn take_icmp(&mut self) -> IcmpErrors {
        IcmpErrors { errors: std::mem::take(&mut self.icmp), unreadable: None }
    }

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let mut named = std::mem::take(&mut self.stale);
        named.retain(|&place| self.peers.contains(place));
        for _ in &named {
            self.troubles.count("stale event");
        }
        let until = if self.unnamed.is_empty() { until } else { Some(self.now) };
        named.append(&mut self.unnamed);
        if self.troubles.come("held up", self.network.stalls) {
            let gap = Duration::from_millis(self.troubles.rng.u64(1..30_000));
            self.now = self.now.after(gap);
        }
        self.pass(until, &mut named);
        if !self.peers.is_empty() && self.troubles.come("event for nothing", self.network.oddities)
        {
            let place = self.troubles.rng.usize(0..self.peers.len());
            named.extend(self.peers.iter().nth(place).map(|(place, _)| place));
        }
        named.retain(|&place| self.peers.get(place).is_some_and(|peer| peer.watched));
        for place in named {
            // As when more has happened than the kernel names at a time.
            if self.troubles.come("event named later", self.network.oddities) {
                self.unnamed.insert(place);
            } else {
                if self.peers[place].connection == Some(Connection::Pending) {
                    self.read_errors(place);
                }
                ready.push(Socket(place));
            }
        }
        Woken::ByEvent
    }
}
