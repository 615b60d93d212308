//! Describes a network to simulate: its servers, its names, and its faults.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::path::{Bursts, PathSettings};

/// One action of a server on a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Closes the connection.
    HangUp,
    /// Resets the connection. Bytes that the client has not read are lost.
    Reset,
}

/// How an endpoint behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerBehaviour {
    /// Refuses the connection.
    Refuses {
        /// The time from the start of the attempt to the refusal.
        after: Duration,
    },
    /// Never answers.
    Silent,
    /// An ICMP message reports that the port is unreachable.
    RefusedByIcmp {
        /// The time from the start of the attempt to the message.
        after: Duration,
    },
    /// An ICMP message reports that the host is unreachable.
    Unreachable {
        /// The time from the start of the attempt to the message.
        after: Duration,
    },
    /// This machine has no route to the endpoint.
    NoRoute,
    /// This machine always lacks the buffers for a connection to the endpoint.
    LocalFault,
    /// Accepts the connection and performs actions.
    Accepts {
        /// The time from the start of the attempt to the accept.
        after: Duration,
        /// The server's actions, each with the pause before it.
        actions: Vec<(Duration, Action)>,
        /// The bytes that the server sends, before it closes the connection, once the client has
        /// written something. `None` if it ignores what the client writes.
        answer: Option<Vec<u8>>,
    },
}

impl ServerBehaviour {
    /// Returns a server that accepts after a millisecond and sends this greeting at once.
    #[must_use]
    pub fn greets(greeting: &[u8]) -> Self {
        let actions = vec![(Duration::ZERO, Action::Bytes(greeting.to_vec()))];
        Self::Accepts { after: Duration::from_millis(1), actions, answer: None }
    }
}

/// An endpoint of a network with a [rule](Network::rule): how it behaves, once it behaves at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// How it behaves.
    pub behaviour: ServerBehaviour,
    /// How many SYNs it ignores before, over all connections: 2 for an endpoint that answers the third,
    /// as one does whose router waits for an ARP answer.
    pub ignored_syns: u32,
}

impl From<ServerBehaviour> for Endpoint {
    fn from(behaviour: ServerBehaviour) -> Self {
        Self { behaviour, ignored_syns: 0 }
    }
}

/// The function of [`Network::rule`].
#[derive(Clone)]
struct Rule(Arc<dyn Fn(SocketAddr) -> Option<Endpoint> + Send + Sync>);

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rule")
    }
}

/// A network: the behaviour of its endpoints, its names, and the probabilities of faults.
#[derive(Debug, Clone)]
pub struct Network {
    pub(super) seed: u64,
    pub(super) faults: u8,
    pub(super) anomalies: u8,
    pub(super) splits: u8,
    pub(super) losses: u8,
    pub(super) stalls: u8,
    pub(super) descriptors: usize,
    endpoints: HashMap<SocketAddr, ServerBehaviour>,
    rule: Option<Rule>,
    otherwise: ServerBehaviour,
    /// What happens to SYNs and answers on the way; `None` if nothing does.
    pub(super) path: Option<PathSettings>,
    /// The result of looking up each name, and how long the lookup takes.
    pub(super) names: HashMap<String, (NameRecord, Duration)>,
}

/// The result of looking up a name of the network.
#[derive(Debug, Clone)]
pub(super) enum NameRecord {
    Addresses(Vec<IpAddr>),
    NoAnswer,
}

impl Network {
    /// Returns a network in which every endpoint refuses at once and no faults occur.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: 0,
            anomalies: 0,
            splits: 0,
            losses: 0,
            stalls: 0,
            descriptors: usize::MAX,
            endpoints: HashMap::new(),
            rule: None,
            path: None,
            otherwise: ServerBehaviour::Refuses { after: Duration::ZERO },
            names: HashMap::new(),
        }
    }

    /// Sets the behaviour of an endpoint.
    #[must_use]
    pub fn endpoint(mut self, endpoint: SocketAddr, behaviour: ServerBehaviour) -> Self {
        self.endpoints.insert(endpoint, behaviour);
        self
    }

    /// Sets the behaviour of the endpoints for which a function returns one, unless it was set
    /// otherwise. So a large network takes no memory for each endpoint, and a test can ask the same
    /// function for the truth. It must always return the same for an endpoint.
    ///
    /// ```
    /// use portmuster::simulator::{Endpoint, Network, ServerBehaviour};
    ///
    /// let network = Network::new(7).otherwise(ServerBehaviour::Silent).rule(|endpoint| {
    ///     let is_alive = endpoint.port() == 22 && portmuster::simulator::draw(7, endpoint) < 1.0 / 64.0;
    ///     is_alive.then(|| Endpoint::from(ServerBehaviour::greets(b"SSH-2.0-x\r\n")))
    /// });
    /// # drop(network);
    /// ```
    #[must_use]
    pub fn rule(
        mut self,
        rule: impl Fn(SocketAddr) -> Option<Endpoint> + Send + Sync + 'static,
    ) -> Self {
        self.rule = Some(Rule(Arc::new(rule)));
        self
    }

    /// Sets the behaviour of all other endpoints.
    #[must_use]
    pub fn otherwise(mut self, behaviour: ServerBehaviour) -> Self {
        self.otherwise = behaviour;
        self
    }

    /// Adds a name and its addresses. A lookup finds them at once. Names that were not added do not
    /// exist.
    #[must_use]
    pub fn name(self, name: &str, addresses: &[IpAddr]) -> Self {
        self.slow_name(name, addresses, Duration::ZERO)
    }

    /// Adds a name and its addresses. A lookup finds them after this time.
    #[must_use]
    pub fn slow_name(mut self, name: &str, addresses: &[IpAddr], after: Duration) -> Self {
        self.names.insert(name.to_owned(), (NameRecord::Addresses(addresses.to_vec()), after));
        self
    }

    /// Adds a name for which the resolver gets no answer. A lookup fails after this time.
    #[must_use]
    pub fn unanswered_name(mut self, name: &str, after: Duration) -> Self {
        self.names.insert(name.to_owned(), (NameRecord::NoAnswer, after));
        self
    }

    /// Sets the probability, in percent, that this machine lacks a resource when it opens or
    /// registers a socket, starts to connect, or looks up a name.
    #[must_use]
    pub fn faults(mut self, percent: u8) -> Self {
        self.faults = percent;
        self
    }

    /// Sets the probability, in percent, of each of these: a read is short; a wait reports an event
    /// of a socket that has none, or an event from before the socket was opened; a wait reports an
    /// event one wait later; an ICMP error only enters the error queue and leaves the connection
    /// pending.
    #[must_use]
    pub fn anomalies(mut self, percent: u8) -> Self {
        self.anomalies = percent;
        self
    }

    /// Sets the probability, in percent, that bytes sent in one action arrive byte by byte.
    #[must_use]
    pub fn splits(mut self, percent: u8) -> Self {
        self.splits = percent;
        self
    }

    /// Sets the probability, in percent, that the first connection to an endpoint gets no answer.
    #[must_use]
    pub fn losses(mut self, percent: u8) -> Self {
        self.losses = percent;
        self
    }

    /// Sets the probability, in percent, that this machine stalls for up to 30 s before a wait
    /// reports events.
    #[must_use]
    pub fn stalls(mut self, percent: u8) -> Self {
        self.stalls = percent;
        self
    }

    /// Sets how many sockets may be open at the same time.
    #[must_use]
    pub fn descriptors(mut self, max: usize) -> Self {
        self.descriptors = max;
        self
    }

    /// Sets the time from a SYN to its answer, beside the time that the endpoint takes.
    #[must_use]
    pub fn round_trip(mut self, time: Duration) -> Self {
        self.path_mut().round_trip = time;
        self
    }

    /// Delays each answer to a SYN by up to this time more.
    #[must_use]
    pub fn jitter(mut self, time: Duration) -> Self {
        self.path_mut().jitter = time;
        self
    }

    /// Sets the probability with which a SYN, or the answer to one, is lost, from 0 to 1. Other packets
    /// are never lost.
    #[must_use]
    pub fn loss(mut self, probability: f64) -> Self {
        self.path_mut().loss = probability;
        self
    }

    /// Adds times in which every SYN, and every answer to one, is lost.
    #[must_use]
    pub fn bursts(mut self, bursts: Bursts) -> Self {
        self.path_mut().bursts = Some(bursts);
        self
    }

    /// Adds a middlebox that lets at most this many SYNs per second pass, and drops the others. It
    /// allows a tenth of a second's SYNs at once.
    #[must_use]
    pub fn syn_limit(mut self, per_second: u32) -> Self {
        self.path_mut().syn_limit = Some(per_second);
        self
    }

    /// Adds a firewall that drops every SYN after this many.
    #[must_use]
    pub fn block_after_syns(mut self, syns: u64) -> Self {
        self.path_mut().block_after_syns = Some(syns);
        self
    }

    fn path_mut(&mut self) -> &mut PathSettings {
        self.path.get_or_insert_default()
    }

    /// Returns what an endpoint does.
    pub(super) fn at(&self, endpoint: SocketAddr) -> Endpoint {
        if let Some(behaviour) = self.endpoints.get(&endpoint) {
            return behaviour.clone().into();
        }
        let by_rule = self.rule.as_ref().and_then(|Rule(rule)| rule(endpoint));
        by_rule.unwrap_or_else(|| self.otherwise.clone().into())
    }
}
