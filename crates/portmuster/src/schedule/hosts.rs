//! How many attempts one host bears at the same time, and who waits for it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use super::{CheckId, later::Spread};
use crate::clock::Instant;

/// Targets that wait for their host, over all hosts.
pub(super) const WAITING_MAX: usize = 65_536;
/// How long a host that asked for fewer connections is left alone at least: sshd's penalties begin
/// at seconds and its `LoginGraceTime` of refused places ends within minutes; half a minute is what
/// lets most of both pass. Of many hosts each one rests a little longer than the one before it.
pub(super) const REST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Host {
    in_flight: u32,
    rests_until: Option<Instant>,
    waiting: VecDeque<CheckId>,
}

/// The hosts that have something in flight, or rest.
#[derive(Debug)]
pub(super) struct Hosts {
    most: Option<NonZeroU32>,
    busy: HashMap<IpAddr, Host>,
    waiting: usize,
    /// By the end of their rest. A host that asked again stands here again.
    resting: BinaryHeap<Reverse<(Instant, IpAddr)>>,
    spread: Spread,
}

impl Hosts {
    pub(super) fn new(most: Option<NonZeroU32>) -> Self {
        Self {
            most,
            busy: HashMap::new(),
            waiting: 0,
            resting: BinaryHeap::new(),
            spread: Spread::default(),
        }
    }

    /// Whether the walk over the targets has to stop until somebody's host is free.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= WAITING_MAX
    }

    /// Whether nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Whether a host rests.
    pub(super) fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// When the first rest ends.
    pub(super) fn rest_ends(&self) -> Option<Instant> {
        self.resting.peek().map(|&Reverse((until, _))| until)
    }

    /// Whether one more attempt may begin towards the host.
    pub(super) fn admits(&self, host: IpAddr) -> bool {
        self.busy.get(&host).is_none_or(|busy| {
            busy.rests_until.is_none() && self.most.is_none_or(|most| busy.in_flight < most.get())
        })
    }

    /// A target waits until its host has one attempt less, or has rested.
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
        busy.in_flight -= u32::from(self.most.is_some());
        let next = if busy.rests_until.is_none() { busy.waiting.pop_front() } else { None };
        self.waiting -= usize::from(next.is_some());
        self.forget(host);
        next
    }

    /// The host asked for fewer connections: it rests.
    pub(super) fn throttled(&mut self, host: IpAddr, now: Instant) {
        let offset = self.spread.offset(self.resting.is_empty());
        let until = now.after(REST + offset);
        self.busy.entry(host).or_default().rests_until = Some(until);
        self.resting.push(Reverse((until, host)));
    }

    /// The targets that waited for hosts whose rest has ended.
    pub(super) fn rested(&mut self, now: Instant) -> Vec<CheckId> {
        let mut free = Vec::new();
        while let Some(&Reverse((until, host))) = self.resting.peek()
            && until <= now
        {
            self.resting.pop();
            let Some(busy) = self.busy.get_mut(&host) else { continue };
            if busy.rests_until.is_some_and(|until| until <= now) {
                busy.rests_until = None;
                self.waiting -= busy.waiting.len();
                free.extend(busy.waiting.drain(..));
            }
            self.forget(host);
        }
        free
    }

    fn forget(&mut self, host: IpAddr) {
        if self.busy.get(&host).is_some_and(|busy| {
            busy.in_flight == 0 && busy.waiting.is_empty() && busy.rests_until.is_none()
        }) {
            self.busy.remove(&host);
        }
    }
}
