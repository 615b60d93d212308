//! Describes a network to simulate: its servers, its names, and its faults.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

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
    otherwise: ServerBehaviour,
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

    /// Returns the behaviour of an endpoint.
    pub(super) fn behaviour_of(&self, endpoint: SocketAddr) -> &ServerBehaviour {
        self.endpoints.get(&endpoint).unwrap_or(&self.otherwise)
    }
}
