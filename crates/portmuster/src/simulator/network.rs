//! A network to simulate: its servers and names, and what goes wrong.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// These bytes.
    Bytes(Vec<u8>),
    /// It closes the connection.
    HangUp,
    /// It resets the connection; what was not read is lost.
    Reset,
}

/// How an endpoint behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerBehaviour {
    /// It refuses after this time.
    Refuses {
        /// From the start of the attempt.
        after: Duration,
    },
    /// It never answers.
    Silent,
    /// An ICMP message says that the port can't be reached.
    RefusedByIcmp {
        /// From the start of the attempt.
        after: Duration,
    },
    /// An ICMP message says that the host can't be reached.
    Unreachable {
        /// From the start of the attempt.
        after: Duration,
    },
    /// This machine has no route to it.
    NoRoute,
    /// This machine never has what it takes to connect to it.
    Starves,
    /// It accepts and says something.
    Accepts {
        /// From the start of the attempt until the accept.
        after: Duration,
        /// What it says, each part so long after the one before.
        says: Vec<(Duration, Action)>,
        /// What it says, before it hangs up, as soon as something is written to it.
        answer: Option<Vec<u8>>,
    },
}

impl ServerBehaviour {
    /// Accepts after a millisecond and greets with these bytes.
    #[must_use]
    pub fn greets(greeting: &[u8]) -> Self {
        let says = vec![(Duration::ZERO, Action::Bytes(greeting.to_vec()))];
        Self::Accepts { after: Duration::from_millis(1), says, answer: None }
    }
}

/// A network: who behaves how, and what goes wrong how often.
#[derive(Debug, Clone)]
pub struct Network {
    pub(super) seed: u64,
    pub(super) faults: u8,
    pub(super) oddities: u8,
    pub(super) splits: u8,
    pub(super) losses: u8,
    pub(super) stalls: u8,
    pub(super) descriptors: usize,
    endpoints: HashMap<SocketAddr, ServerBehaviour>,
    otherwise: ServerBehaviour,
    /// What comes of looking a name up, and how long that takes.
    pub(super) names: HashMap<String, (Naming, Duration)>,
}

/// What comes of looking a name up that the network knows.
#[derive(Debug, Clone)]
pub(super) enum Naming {
    Found(Vec<IpAddr>),
    NoAnswer,
}

impl Network {
    /// A network in which everyone refuses at once and nothing goes wrong.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: 0,
            oddities: 0,
            splits: 0,
            losses: 0,
            stalls: 0,
            descriptors: usize::MAX,
            endpoints: HashMap::new(),
            otherwise: ServerBehaviour::Refuses { after: Duration::ZERO },
            names: HashMap::new(),
        }
    }

    /// How an endpoint behaves.
    #[must_use]
    pub fn endpoint(mut self, endpoint: SocketAddr, manner: ServerBehaviour) -> Self {
        self.endpoints.insert(endpoint, manner);
        self
    }

    /// How all others behave.
    #[must_use]
    pub fn otherwise(mut self, manner: ServerBehaviour) -> Self {
        self.otherwise = manner;
        self
    }

    /// A name and its addresses, found at once. Any other name does not exist.
    #[must_use]
    pub fn name(self, name: &str, addresses: &[IpAddr]) -> Self {
        self.slow_name(name, addresses, Duration::ZERO)
    }

    /// A name and its addresses, and how long it takes to look it up.
    #[must_use]
    pub fn slow_name(mut self, name: &str, addresses: &[IpAddr], after: Duration) -> Self {
        self.names.insert(name.to_owned(), (Naming::Found(addresses.to_vec()), after));
        self
    }

    /// A name for which the resolver gets no answer, and how long it takes to say so.
    #[must_use]
    pub fn unanswered_name(mut self, name: &str, after: Duration) -> Self {
        self.names.insert(name.to_owned(), (Naming::NoAnswer, after));
        self
    }

    /// The chance, in a hundred, that opening a socket, beginning to connect or looking up a name
    /// fails because this machine is short of something.
    #[must_use]
    pub fn faults(mut self, percent: u8) -> Self {
        self.faults = percent;
        self
    }

    /// The chance, in a hundred, that a read is short, that a socket is named for nothing or
    /// for what happened before it was opened, and that one at which something has happened is not
    /// named before the next time.
    #[must_use]
    pub fn oddities(mut self, percent: u8) -> Self {
        self.oddities = percent;
        self
    }

    /// The chance, in a hundred, that what a server says at once comes byte by byte.
    #[must_use]
    pub fn splits(mut self, percent: u8) -> Self {
        self.splits = percent;
        self
    }

    /// The chance, in a hundred, that nothing comes back of the first connection to an endpoint.
    #[must_use]
    pub fn losses(mut self, percent: u8) -> Self {
        self.losses = percent;
        self
    }

    /// The chance, in a hundred, that this machine is held up for up to 30 s before it looks at
    /// what has happened.
    #[must_use]
    pub fn stalls(mut self, percent: u8) -> Self {
        self.stalls = percent;
        self
    }

    /// Sockets that may be open at the same time.
    #[must_use]
    pub fn descriptors(mut self, most: usize) -> Self {
        self.descriptors = most;
        self
    }

    pub(super) fn manner(&self, endpoint: SocketAddr) -> &ServerBehaviour {
        self.endpoints.get(&endpoint).unwrap_or(&self.otherwise)
    }
}
