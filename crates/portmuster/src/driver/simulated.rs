//! A seeded network in virtual time.
//!
//! Time passes only in `wait`, and jumps from one event to the next, so a run of hours takes
//! milliseconds and the same seed gives the same run.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use fastrand::Rng;
use rustix::io::Errno;
use slab::Slab;

use super::{Connection, Net, Socket, Woken};
use crate::{
    clock::Instant,
    simulator::{Manner, Network, Say},
};

#[derive(Debug)]
struct Peer {
    endpoint: SocketAddr,
    /// Tells this socket from others that had its place.
    serial: u64,
    connection: Option<Connection>,
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
    Say(Say),
}

/// The simulated network, as one loop sees it.
#[derive(Debug)]
pub(crate) struct Simulated {
    network: Network,
    rng: Rng,
    now: Instant,
    peers: Slab<Peer>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    serial: u64,
    /// Places that are named once more although their socket was given up.
    stale: BTreeSet<usize>,
    /// How often each kind of trouble occurred.
    pub(crate) troubles: BTreeMap<&'static str, u64>,
    /// The most sockets that were open at the same time, in all and towards one address.
    pub(crate) peak: (usize, usize),
    open_by_host: HashMap<IpAddr, usize>,
    /// When each connection began.
    pub(crate) begun: Vec<Duration>,
}

impl Simulated {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            rng: Rng::with_seed(network.seed),
            network,
            now: Instant::START,
            peers: Slab::new(),
            queue: BinaryHeap::new(),
            serial: 0,
            stale: BTreeSet::new(),
            troubles: BTreeMap::new(),
            peak: (0, 0),
            open_by_host: HashMap::new(),
            begun: Vec::new(),
        }
    }

    /// Whether a kind of trouble comes now, by its chance in a hundred.
    fn trouble(&mut self, kind: &'static str, percent: u8) -> bool {
        let comes = percent > 0 && self.rng.u8(0..100) < percent;
        if comes {
            *self.troubles.entry(kind).or_default() += 1;
        }
        comes
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

    fn begin(&mut self, place: usize) -> Connection {
        self.begun.push(self.now.since(Instant::START));
        if self.trouble("no local port", self.network.faults) {
            return Connection::Failed(Errno::ADDRNOTAVAIL);
        }
        let manner = self.network.manner(self.peers[place].endpoint).clone();
        match manner {
            Manner::NoRoute => return Connection::Failed(Errno::NETUNREACH),
            Manner::Starves => return Connection::Failed(Errno::NOBUFS),
            Manner::Refuses { after } => {
                self.schedule(place, after, What::Refuse(Errno::CONNREFUSED.raw_os_error()));
            }
            Manner::Unreachable { after } => {
                self.schedule(place, after, What::Refuse(Errno::HOSTUNREACH.raw_os_error()));
            }
            Manner::Silent => {}
            Manner::Accepts { after, says, answer } => {
                self.schedule(place, after, What::Accept);
                let mut at = after;
                for (pause, say) in says {
                    at += pause;
                    self.schedule(place, at, What::Say(say));
                }
                self.peers[place].answer = answer;
            }
        }
        Connection::Pending
    }

    /// Makes something happen; whether its socket is to be named.
    fn happen(&mut self, Scheduled { place, serial, what, .. }: Scheduled) -> bool {
        let Some(peer) = self.peers.get_mut(place) else { return false };
        if peer.serial != serial {
            return false;
        }
        match what {
            What::Accept => peer.connection = Some(Connection::Accepted),
            What::Refuse(errno) => {
                peer.connection = Some(Connection::Failed(Errno::from_raw_os_error(errno)));
            }
            What::Say(Say::Bytes(bytes)) => peer.inbox.extend(bytes),
            What::Say(Say::HangUp) => peer.end = Some(Ok(())),
            What::Say(Say::Reset) => {
                peer.inbox.clear();
                peer.end = Some(Err(Errno::CONNRESET));
            }
        }
        true
    }
}

impl Net for Simulated {
    fn now(&self) -> Instant {
        self.now
    }

    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno> {
        if self.peers.len() >= self.network.descriptors {
            *self.troubles.entry("no descriptor").or_default() += 1;
            return Err(Errno::MFILE);
        }
        if self.trouble("no buffer", self.network.faults) {
            return Err(Errno::NOBUFS);
        }
        self.serial += 1;
        let place = self.peers.insert(Peer {
            endpoint,
            serial: self.serial,
            connection: None,
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
            return connection;
        }
        let connection = self.begin(socket.0);
        self.peers[socket.0].connection = Some(connection);
        connection
    }

    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        let short = self.trouble("short read", self.network.oddities);
        let peer = &mut self.peers[socket.0];
        assert_eq!(peer.connection, Some(Connection::Accepted), "only who is connected reads");
        if peer.inbox.is_empty() {
            return match peer.end {
                None => Err(Errno::AGAIN),
                Some(Ok(())) => Ok(0),
                Some(Err(errno)) => Err(errno),
            };
        }
        let most = if short { 1 } else { buffer.len() };
        let length = peer.inbox.len().min(most);
        for (place, byte) in buffer.iter_mut().zip(peer.inbox.drain(..length)) {
            *place = byte;
        }
        Ok(length)
    }

    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        if let Some(answer) = self.peers[socket.0].answer.take() {
            self.schedule(socket.0, Duration::from_millis(1), What::Say(Say::Bytes(answer)));
            self.schedule(socket.0, Duration::from_millis(1), What::Say(Say::HangUp));
        }
        Ok(bytes.len())
    }

    fn disconnect(&mut self, socket: Socket) {
        if self.trouble("stale event", self.network.oddities) {
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

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let mut named = std::mem::take(&mut self.stale);
        if self.trouble("held up", self.network.stalls) {
            self.now = self.now.after(Duration::from_millis(self.rng.u64(1..30_000)));
        }
        if let Some(Reverse(first)) = self.queue.peek()
            && until.is_none_or(|until| first.at <= until.max(self.now))
        {
            self.now = self.now.max(first.at);
            while let Some(Reverse(next)) = self.queue.peek()
                && next.at <= self.now
                && let Some(Reverse(next)) = self.queue.pop()
            {
                let place = next.place;
                if self.happen(next) {
                    named.insert(place);
                }
            }
        } else if let Some(until) = until {
            self.now = self.now.max(until);
        }
        if self.trouble("event for nothing", self.network.oddities)
            && let Some((place, _)) = self.peers.iter().nth(self.rng.usize(0..=self.peers.len()))
        {
            named.insert(place);
        }
        ready.extend(named.into_iter().map(Socket));
        Woken::ByEvent
    }
}
