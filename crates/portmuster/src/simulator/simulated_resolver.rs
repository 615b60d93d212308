//! The simulated resolver. It runs as many lookups at a time as the real one has threads.

use std::{net::SocketAddr, time::Duration};

use super::{
    faults::FaultInjector,
    network::{NameRecord, Network},
};
use crate::{
    clock::Instant,
    outcome::Fault,
    resolver,
    schedule::{Lookup, LookupError, Question},
};

/// The duration from which a lookup counts as slow: the time that resolvers wait for one name
/// server (resolv.conf(5)).
const SLOW: Duration = Duration::from_secs(5);

/// Makes the random numbers of lookups differ from those of the network.
const SEED: u64 = 0x6E61_6D65;

/// The lookups that have started and not ended.
#[derive(Debug)]
pub(super) struct SimulatedResolver {
    pending: Vec<(Instant, Question)>,
    pub(super) faults: FaultInjector,
}

impl SimulatedResolver {
    pub(super) fn new(seed: u64) -> Self {
        Self { pending: Vec::new(), faults: FaultInjector::new(seed ^ SEED) }
    }

    /// Returns whether another lookup may start.
    pub(super) fn has_capacity(&self) -> bool {
        self.pending.len() < resolver::THREADS_MAX
    }

    /// Starts a lookup.
    pub(super) fn start(&mut self, network: &Network, question: Question, now: Instant) {
        let record = network.names.get(&*question.name);
        let duration = record.map_or(Duration::ZERO, |&(_, duration)| duration);
        if duration >= SLOW {
            self.faults.count("slow lookup");
        }
        self.pending.push((now.after(duration), question));
    }

    /// Returns a lookup that has ended.
    pub(super) fn take_ended(
        &mut self,
        network: &Network,
        now: Instant,
    ) -> Option<(Question, Lookup)> {
        let index = self.pending.iter().position(|(end, _)| *end <= now)?;
        let (_, question) = self.pending.remove(index);
        let lookup = self.answer(network, &question);
        Some((question, lookup))
    }

    /// Returns when the next lookup ends.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.pending.iter().map(|&(end, _)| end).min()
    }

    fn answer(&mut self, network: &Network, question: &Question) -> Lookup {
        if self.faults.inject("lookup without a descriptor", network.faults) {
            return Err(LookupError::Short(Fault::ProcessDescriptors));
        }
        match network.names.get(&*question.name).map(|(record, _)| record) {
            Some(NameRecord::Addresses(addresses)) => {
                let addresses = addresses.iter().map(|&address| SocketAddr::new(address, 0));
                Ok(addresses.collect::<Vec<_>>().into())
            }
            Some(NameRecord::NoAnswer) => {
                self.faults.count("lookup without an answer");
                Err(LookupError::NoAnswer)
            }
            None => {
                self.faults.count("no such name");
                Err(LookupError::NoSuchName)
            }
        }
    }
}
