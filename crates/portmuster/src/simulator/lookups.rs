//! The resolver: as many lookups at a time as the real one has threads.

use std::{net::SocketAddr, time::Duration};

use super::{
    faults::FaultInjector,
    network::{Naming, Network},
};
use crate::{
    clock::Instant,
    outcome::Fault,
    resolver,
    schedule::{Lookup, LookupError, Question},
};

/// A lookup that takes as long hangs: it is what resolvers give one name server (resolv.conf(5)).
const HANGS: Duration = Duration::from_secs(5);

/// Keeps the chances of lookups apart from those of the network.
const SEED: u64 = 0x6E61_6D65;

#[derive(Debug)]
pub(super) struct Lookups {
    under_way: Vec<(Instant, Question)>,
    pub(super) troubles: FaultInjector,
}

impl Lookups {
    pub(super) fn new(seed: u64) -> Self {
        Self { under_way: Vec::new(), troubles: FaultInjector::new(seed ^ SEED) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.under_way.len() < resolver::THREADS_MAX
    }

    pub(super) fn begin(&mut self, network: &Network, question: Question, now: Instant) {
        let known = network.names.get(&*question.name);
        let after = known.map_or(Duration::ZERO, |&(_, after)| after);
        if after >= HANGS {
            self.troubles.count("lookup that hangs");
        }
        self.under_way.push((now.after(after), question));
    }

    /// Returns a lookup that has ended.
    pub(super) fn take(&mut self, network: &Network, now: Instant) -> Option<(Question, Lookup)> {
        let ended = self.under_way.iter().position(|(ends, _)| *ends <= now)?;
        let (_, question) = self.under_way.remove(ended);
        let lookup = self.found(network, &question);
        Some((question, lookup))
    }

    /// When the next lookup ends.
    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.iter().map(|&(ends, _)| ends).min()
    }

    fn found(&mut self, network: &Network, question: &Question) -> Lookup {
        if self.troubles.come("lookup short of a descriptor", network.faults) {
            return Err(LookupError::Short(Fault::ProcessDescriptors));
        }
        match network.names.get(&*question.name).map(|(naming, _)| naming) {
            Some(Naming::Found(addresses)) => {
                let addresses = addresses.iter().map(|&address| SocketAddr::new(address, 0));
                Ok(addresses.collect::<Vec<_>>().into())
            }
            Some(Naming::NoAnswer) => {
                self.troubles.count("lookup without an answer");
                Err(LookupError::NoAnswer)
            }
            None => {
                self.troubles.count("no such name");
                Err(LookupError::NoSuchName)
            }
        }
    }
}
