//! Implements [`Net`] with a seeded network in virtual time.
//!
//! Time passes only in `wait`, and jumps from one event to the next. So a run of hours takes
//! milliseconds, and the same seed gives the same run.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque, hash_map::Entry},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rustix::io::Errno;
use slab::Slab;

use super::{
    faults::FaultInjector,
    network::{Action, Network, ServerBehaviour},
    path::{Path, interval_after},
};
use crate::{
    clock::Instant,
    driver::{Connection, IcmpError, IcmpErrors, Net, Socket, Woken},
};

/// The time between the bytes of a greeting that arrives byte by byte.
const SPLIT_INTERVAL: Duration = Duration::from_millis(1);

/// A single byte counts as a drip if it arrives so long after the previous byte.
const DRIP_INTERVAL: Duration = Duration::from_secs(1);

/// An open socket and what the network has delivered to it.
#[derive(Debug)]
struct SimulatedSocket {
    endpoint: SocketAddr,
    /// Distinguishes this socket from earlier ones with the same index.
    serial: u64,
    /// The state of the connection; `None` before `connect`.
    connection: Option<Connection>,
    /// The ICMP error in the socket's error queue.
    icmp: Option<Errno>,
    /// Whether a SYN of it has been answered.
    is_answered: bool,
    /// Whether `wait` reports the socket's events.
    is_watched: bool,
    /// When the last bytes arrived.
    last_bytes: Option<Instant>,
    /// The bytes that have arrived and were not read.
    inbox: VecDeque<u8>,
    /// What a read returns after the inbox: `Ok` if the server has closed the connection, `Err` if
    /// it has reset it.
    end: Option<Result<(), Errno>>,
    /// The bytes that the server sends once the client has written something.
    answer: Option<Vec<u8>>,
}

/// An event at a socket, and when it happens.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ScheduledEvent {
    at: Instant,
    /// Orders events at the same time by when they were scheduled.
    number: u64,
    /// The index of the socket.
    index: usize,
    /// The serial number of the socket.
    serial: u64,
    event: NetworkEvent,
}

/// Something that reaches a socket over the network.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NetworkEvent {
    /// The time at which the kernel sends the SYN with this number, if the connection is still pending.
    SendSyn(usize),
    Accept,
    /// A refusal with this error number.
    Refuse(i32),
    /// An ICMP error. The system only queues it if the socket is in use at that moment.
    Icmp {
        errno: i32,
        is_queued_only: bool,
    },
    Action(Action),
}

/// The simulated network, as one event loop sees it.
#[derive(Debug)]
pub(crate) struct SimulatedNet {
    network: Network,
    path: Path,
    now: Instant,
    sockets: Slab<SimulatedSocket>,
    queue: BinaryHeap<Reverse<ScheduledEvent>>,
    /// The last serial number given to a socket or an event.
    serial: u64,
    /// Sockets that were closed and whose index the next `wait` reports if another socket has it.
    stale: BTreeSet<usize>,
    /// Endpoints to which a connection was started.
    contacted: HashSet<SocketAddr>,
    /// Sockets with events that no `wait` has reported yet.
    unreported: BTreeSet<usize>,
    /// ICMP errors that were read from the error queues.
    icmp: Vec<IcmpError>,
    pub(crate) faults: FaultInjector,
    /// The most sockets that were open at the same time, in all and towards one address.
    pub(crate) peak: (usize, usize),
    open_by_host: HashMap<IpAddr, usize>,
    /// When each connection started.
    pub(crate) connect_starts: Vec<Duration>,
    /// Whether to record when connections start.
    records_starts: bool,
}

impl SimulatedNet {
    pub(crate) fn new(network: Network, records_starts: bool) -> Self {
        Self {
            faults: FaultInjector::new(network.seed),
            path: Path::new(network.path.clone(), network.seed),
            network,
            now: Instant::START,
            sockets: Slab::new(),
            queue: BinaryHeap::new(),
            serial: 0,
            stale: BTreeSet::new(),
            contacted: HashSet::new(),
            unreported: BTreeSet::new(),
            icmp: Vec::new(),
            peak: (0, 0),
            open_by_host: HashMap::new(),
            connect_starts: Vec::new(),
            records_starts,
        }
    }

    /// Schedules an event at a socket.
    fn schedule(&mut self, index: usize, after: Duration, event: NetworkEvent) {
        self.serial += 1;
        self.queue.push(Reverse(ScheduledEvent {
            at: self.now.after(after),
            number: self.serial,
            index,
            serial: self.sockets[index].serial,
            event,
        }));
    }

    /// Schedules an action of a server. Returns when it is complete, relative to now.
    fn schedule_action(&mut self, index: usize, mut at: Duration, action: Action) -> Duration {
        match action {
            Action::Bytes(bytes)
                if bytes.len() > 1 && self.faults.inject("split greeting", self.network.splits) =>
            {
                for byte in bytes {
                    self.schedule(index, at, NetworkEvent::Action(Action::Bytes(vec![byte])));
                    at += SPLIT_INTERVAL;
                }
            }
            action => self.schedule(index, at, NetworkEvent::Action(action)),
        }
        at
    }

    /// Schedules an ICMP error at a socket.
    fn schedule_icmp(&mut self, index: usize, after: Duration, errno: Errno) {
        let is_queued_only = self.faults.inject("ICMP only queued", self.network.anomalies);
        let errno = errno.raw_os_error();
        self.schedule(index, after, NetworkEvent::Icmp { errno, is_queued_only });
    }

    /// Moves the ICMP error of a socket to the errors that were read.
    fn read_errors(&mut self, index: usize) {
        let state = &mut self.sockets[index];
        if let Some(errno) = state.icmp.take() {
            let endpoint = state.endpoint;
            self.icmp.push(IcmpError { socket: Socket(index), endpoint, errno });
        }
    }

    /// Starts to connect: schedules what the endpoint does.
    fn start_connect(&mut self, index: usize) -> Connection {
        if self.records_starts {
            self.connect_starts.push(self.now.since(Instant::START));
        }
        if self.faults.inject("no local port", self.network.faults) {
            return Connection::Failed(Errno::ADDRNOTAVAIL);
        }
        let to = self.sockets[index].endpoint;
        let may_be_lost = self.network.losses > 0 && self.contacted.insert(to);
        let endpoint = self.network.at(to);
        match endpoint.behaviour {
            ServerBehaviour::NoRoute => return Connection::Failed(Errno::NETUNREACH),
            ServerBehaviour::LocalFault => return Connection::Failed(Errno::NOBUFS),
            _ if may_be_lost && self.faults.inject("lost connection", self.network.losses) => {}
            _ if self.path.concerns(endpoint.ignored_syns) => self.send_syn(index, 0),
            behaviour => self.schedule_answer(index, behaviour, Duration::ZERO),
        }
        Connection::Pending
    }

    /// Sends the SYN with this number, and schedules the next one and the answer.
    fn send_syn(&mut self, index: usize, number: usize) {
        let to = self.sockets[index].endpoint;
        let endpoint = self.network.at(to);
        if endpoint.behaviour == ServerBehaviour::Silent && !self.path.counts_syns() {
            return;
        }
        let delay = self.path.carry_syn(to, endpoint.ignored_syns, self.now, &mut self.faults);
        if let Some(delay) = delay.filter(|_| !self.sockets[index].is_answered) {
            self.sockets[index].is_answered = true;
            self.schedule_answer(index, endpoint.behaviour, delay);
        }
        if let Some(interval) = interval_after(number) {
            self.schedule(index, interval, NetworkEvent::SendSyn(number + 1));
        }
    }

    /// Schedules the answer of an endpoint, so much later than its own time, and what follows.
    fn schedule_answer(&mut self, index: usize, behaviour: ServerBehaviour, delay: Duration) {
        match behaviour {
            ServerBehaviour::Refuses { after } => {
                let refusal = NetworkEvent::Refuse(Errno::CONNREFUSED.raw_os_error());
                self.schedule(index, after + delay, refusal);
            }
            ServerBehaviour::RefusedByIcmp { after } => {
                self.schedule_icmp(index, after + delay, Errno::CONNREFUSED);
            }
            ServerBehaviour::Unreachable { after } => {
                self.schedule_icmp(index, after + delay, Errno::HOSTUNREACH);
            }
            ServerBehaviour::Silent | ServerBehaviour::NoRoute | ServerBehaviour::LocalFault => {}
            ServerBehaviour::Accepts { after, actions, answer } => {
                self.schedule(index, after + delay, NetworkEvent::Accept);
                let mut at = after + delay;
                for (pause, action) in actions {
                    at = self.schedule_action(index, at + pause, action);
                }
                self.sockets[index].answer = answer;
            }
        }
    }

    /// Applies an event to its socket. Returns whether `wait` must report the socket.
    fn apply(&mut self, ScheduledEvent { index, serial, event, .. }: ScheduledEvent) -> bool {
        let Some(state) = self.sockets.get_mut(index).filter(|state| state.serial == serial) else {
            // The socket was closed. `wait` reports the socket that has its index now.
            let is_late = matches!(
                event,
                NetworkEvent::Accept | NetworkEvent::Refuse(_) | NetworkEvent::Icmp { .. }
            );
            if is_late {
                self.faults.count("late answer");
            }
            return is_late;
        };
        match event {
            NetworkEvent::SendSyn(number) => {
                if state.connection == Some(Connection::Pending) {
                    self.send_syn(index, number);
                }
                return false;
            }
            NetworkEvent::Accept => state.connection = Some(Connection::Accepted),
            NetworkEvent::Refuse(errno) => {
                state.connection = Some(Connection::Failed(Errno::from_raw_os_error(errno)));
            }
            NetworkEvent::Icmp { errno, is_queued_only } => {
                let errno = Errno::from_raw_os_error(errno);
                state.icmp = Some(errno);
                if !is_queued_only {
                    state.connection = Some(Connection::Failed(errno));
                }
            }
            NetworkEvent::Action(Action::Bytes(bytes)) => {
                let before = state.last_bytes.replace(self.now);
                if bytes.len() == 1
                    && before.is_some_and(|before| self.now.since(before) >= DRIP_INTERVAL)
                {
                    self.faults.count("drip");
                }
                state.inbox.extend(bytes);
            }
            NetworkEvent::Action(Action::HangUp) => state.end = Some(Ok(())),
            NetworkEvent::Action(Action::Reset) => {
                if state.last_bytes.is_some() {
                    self.faults.count("reset after bytes");
                }
                state.end = Some(Err(Errno::CONNRESET));
            }
        }
        true
    }

    /// Advances the time to the next event, or to `until` if that is earlier, and applies the
    /// events that are due. Adds the sockets that `wait` must report to `reported`.
    fn advance(&mut self, until: Option<Instant>, reported: &mut BTreeSet<usize>) {
        let Some(first) = self.queue.peek().map(|Reverse(first)| first.at) else {
            self.now = self.now.max(until.unwrap_or(self.now));
            return;
        };
        self.now = self.now.max(until.map_or(first, |until| first.min(until)));
        while let Some(Reverse(next)) = self.queue.peek()
            && next.at <= self.now
            && let Some(Reverse(next)) = self.queue.pop()
        {
            let index = next.index;
            if self.apply(next) {
                reported.insert(index);
            }
        }
    }
}

impl Net for SimulatedNet {
    fn now(&self) -> Instant {
        self.now
    }

    fn open(&mut self, endpoint: SocketAddr) -> Result<Socket, Errno> {
        if self.sockets.len() >= self.network.descriptors {
            self.faults.count("no descriptor");
            return Err(Errno::MFILE);
        }
        if self.faults.inject("no buffer", self.network.faults) {
            return Err(Errno::NOBUFS);
        }
        self.serial += 1;
        let index = self.sockets.insert(SimulatedSocket {
            endpoint,
            serial: self.serial,
            connection: None,
            icmp: None,
            is_answered: false,
            is_watched: false,
            last_bytes: None,
            inbox: VecDeque::new(),
            end: None,
            answer: None,
        });
        let towards_host = self.open_by_host.entry(endpoint.ip()).or_default();
        *towards_host += 1;
        self.peak = (self.peak.0.max(self.sockets.len()), self.peak.1.max(*towards_host));
        Ok(Socket(index))
    }

    fn connect(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        assert_eq!(
            self.sockets[socket.0].endpoint, endpoint,
            "a socket connects to the endpoint that it was opened for"
        );
        if let Some(connection) = self.sockets[socket.0].connection {
            if matches!(connection, Connection::Failed(_)) {
                self.read_errors(socket.0);
            }
            return connection;
        }
        let connection = self.start_connect(socket.0);
        self.sockets[socket.0].connection = Some(connection);
        connection
    }

    fn poll_now(&mut self, socket: Socket, endpoint: SocketAddr) -> Connection {
        self.connect(socket, endpoint)
    }

    fn syns_repeated(&self, _socket: Socket) -> Option<u8> {
        None
    }

    fn read(&mut self, socket: Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
        let state = &mut self.sockets[socket.0];
        assert_eq!(state.connection, Some(Connection::Accepted), "only a connected socket is read");
        if state.inbox.is_empty() {
            return match state.end {
                None => Err(Errno::AGAIN),
                Some(Ok(())) => Ok(0),
                Some(Err(errno)) => Err(errno),
            };
        }
        let mut length = state.inbox.len().min(buffer.len());
        if length > 1 && self.faults.inject("short read", self.network.anomalies) {
            length = 1;
        }
        for (slot, byte) in buffer.iter_mut().zip(state.inbox.drain(..length)) {
            *slot = byte;
        }
        Ok(length)
    }

    fn write(&mut self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        if let Some(answer) = self.sockets[socket.0].answer.take() {
            self.schedule(
                socket.0,
                Duration::from_millis(1),
                NetworkEvent::Action(Action::Bytes(answer)),
            );
            self.schedule(socket.0, Duration::from_millis(1), NetworkEvent::Action(Action::HangUp));
        }
        Ok(bytes.len())
    }

    fn disconnect(&mut self, socket: Socket) {
        if self.faults.chance(self.network.anomalies) {
            self.stale.insert(socket.0);
        }
        self.close(socket);
    }

    fn close(&mut self, socket: Socket) {
        let state = self.sockets.remove(socket.0);
        if let Entry::Occupied(mut open) = self.open_by_host.entry(state.endpoint.ip()) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }

    fn watch(&mut self, socket: Socket) -> Result<(), Errno> {
        if self.faults.inject("registration refused", self.network.faults) {
            return Err(Errno::NOSPC);
        }
        let state = &mut self.sockets[socket.0];
        state.is_watched = true;
        let has_connected = !matches!(state.connection, None | Some(Connection::Pending));
        if has_connected || state.icmp.is_some() || !state.inbox.is_empty() || state.end.is_some() {
            self.unreported.insert(socket.0);
        }
        Ok(())
    }

    fn revisit(&mut self, socket: Socket) {
        self.unreported.insert(socket.0);
    }

    fn take_events(&mut self, ready: &mut Vec<Socket>) -> bool {
        if self.faults.inject("incomplete events", self.network.anomalies) {
            return false;
        }
        loop {
            self.wait(Some(self.now), ready);
            if self.unreported.is_empty() {
                return true;
            }
        }
    }

    fn invalidate(&mut self, _: Socket) {}

    fn take_icmp(&mut self) -> IcmpErrors {
        IcmpErrors { errors: std::mem::take(&mut self.icmp), unreadable: None }
    }

    fn wait(&mut self, until: Option<Instant>, ready: &mut Vec<Socket>) -> Woken {
        let mut reported = std::mem::take(&mut self.stale);
        reported.retain(|&index| self.sockets.contains(index));
        for _ in &reported {
            self.faults.count("stale event");
        }
        let until = if self.unreported.is_empty() { until } else { Some(self.now) };
        reported.append(&mut self.unreported);
        if self.faults.inject("stall", self.network.stalls) {
            let gap = Duration::from_millis(self.faults.rng.u64(1..30_000));
            self.now = self.now.after(gap);
        }
        self.advance(until, &mut reported);
        if !self.sockets.is_empty() && self.faults.inject("spurious event", self.network.anomalies)
        {
            let index = self.faults.rng.usize(0..self.sockets.len());
            reported.extend(self.sockets.iter().nth(index).map(|(index, _)| index));
        }
        reported.retain(|&index| self.sockets.get(index).is_some_and(|state| state.is_watched));
        for index in reported {
            // A kernel reports events later if there are more than fit into one call.
            if self.faults.inject("delayed event", self.network.anomalies) {
                self.unreported.insert(index);
            } else {
                if self.sockets[index].connection == Some(Connection::Pending) {
                    self.read_errors(index);
                }
                ready.push(Socket(index));
            }
        }
        Woken::ByEvent
    }
}
