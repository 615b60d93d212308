//! How many attempts one host bears at the same time, and who waits for it.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    num::NonZeroU32,
};

use super::CheckId;

/// Targets that wait for their host, over all hosts.
pub(super) const WAITING_MAX: usize = 65_536;

#[derive(Debug, Default)]
struct Host {
    in_flight: u32,
    waiting: VecDeque<CheckId>,
}

/// The hosts that have something in flight.
#[derive(Debug)]
pub(super) struct Hosts {
    most: Option<NonZeroU32>,
    busy: HashMap<IpAddr, Host>,
    waiting: usize,
}

impl Hosts {
    pub(super) fn new(most: Option<NonZeroU32>) -> Self {
        Self { most, busy: HashMap::new(), waiting: 0 }
    }

    /// Whether the walk over the targets has to stop until somebody's host is free.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX
    }

    /// Whether nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Whether one more attempt may begin towards the host.
    pub(super) fn admits(&self, host: IpAddr) -> bool {
        self.most
            .is_none_or(|most| self.busy.get(&host).is_none_or(|busy| busy.in_flight < most.get()))
    }

    /// A target waits until its host has one attempt less.
    pub(super) fn wait(&mut self, host: IpAddr, id: CheckId) {
        self.waiting += 1;
        self.busy.entry(host).or_default().waiting.push_back(id);
    }

    pub(super) fn started(&mut self, host: IpAddr) {
        if self.most.is_some() {
            self.busy.entry(host).or_default().in_flight += 1;
        }
    }

    /// An attempt has ended: the next target that waited for the host, if any.
    pub(super) fn settled(&mut self, host: IpAddr) -> Option<CheckId> {
        let busy = self.busy.get_mut(&host)?;
        busy.in_flight -= 1;
        let next = busy.waiting.pop_front();
        self.waiting -= usize::from(next.is_some());
        if busy.in_flight == 0 && busy.waiting.is_empty() {
            self.busy.remove(&host);
        }
        next
    }
}
