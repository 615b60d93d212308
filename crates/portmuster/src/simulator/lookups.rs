//! The resolver: as many lookups at a time as the real one has threads.

use std::{net::SocketAddr, time::Duration};

use super::{Naming, Network, troubles::FaultInjector};
use crate::{
    clock::Instant,
    outcome::Fault,
    resolver,
    schedule::{Lookup, LookupError, Question, Schedule},
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

    pub(super) fn run(&mut self, schedule: &mut Schedule, network: &Network, now: Instant) {
        while self.under_way.len() < resolver::THREADS_MAX
            && let Some(question) = schedule.wanted_lookup(now).cloned()
        {
            schedule.lookup_began();
            let known = network.names.get(&*question.name);
            let after = known.map_or(Duration::ZERO, |&(_, after)| after);
            if after >= HANGS {
                self.troubles.count("lookup that hangs");
            }
            self.under_way.push((now.after(after), question));
        }
        let ended: Vec<_> = self.under_way.extract_if(.., |(ends, _)| *ends <= now).collect();
        for (_, question) in ended {
            let lookup = self.found(network, &question);
            schedule.lookup_ended(&question, lookup, now);
        }
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
