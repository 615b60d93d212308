//! How many attempts one host bears at the same time, which targets wait for it, how long it rests
//! when it asks for fewer, and when it is given up.
//!
//! Invariant: a host that has targets waiting and does not rest has an attempt in flight, or one of
//! them among those that may start, so each end of an attempt brings on the next.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    net::IpAddr,
    num::NonZeroU32,
    time::Duration,
};

use super::{
    backlog::{Backlog, Waiting},
    later::Spread,
    new_check::NewCheck,
    start::CheckId,
};
use crate::{clock::Instant, outcome::HostBacklog};

/// Targets that wait for their host, over all hosts, where memory does not set a lower limit: as
/// many as 64 hosts have ports.
pub(super) const WAITING_MAX: usize = 1 << 22;
/// Of these, targets that have had an attempt.
const BEGUN_MAX: usize = 65_536;
/// How long a host that asked for fewer connections is left alone at least: sshd's penalties begin
/// at seconds and its `LoginGraceTime` of refused places ends within minutes; half a minute is what
/// lets most of both pass. Of many hosts each one rests a little longer than the one before it.
pub(super) const REST: Duration = Duration::from_secs(30);
/// Rests of a host that has targets waiting: two minutes, the `LoginGraceTime` of sshd. One that
/// still asks for fewer connections then would do so on each of its ports.
pub(super) const RESTS_MAX: u8 = 4;
/// How often all busy hosts are looked over, and the least time for each of them: looking at one
/// takes some 20 ns, so that is a part in five hundred at most.
const SURVEY_EVERY: Duration = Duration::from_secs(1);
const SURVEY_EVERY_PER_HOST: Duration = Duration::from_micros(10);
/// Hosts whose giving up is remembered; beyond, the one that was given up first has its time again.
const GIVEN_UP_MAX: usize = 65_536;

#[derive(Debug, Default)]
struct Host {
    in_flight: u32,
    rests: u8,
    rests_until: Option<Instant>,
    /// When it became busy.
    since: Instant,
    /// Attempts that have ended since then.
    ended: u32,
    // Boxed: most hosts have none.
    backlog: Option<Box<Backlog>>,
}

impl Host {
    fn waiting(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.len())
    }

    fn pop(&mut self, address: IpAddr) -> Option<Waiting> {
        let backlog = self.backlog.as_mut()?;
        let next = backlog.pop(address);
        if backlog.is_empty() {
            self.backlog = None;
        }
        next
    }
}

/// Whether an attempt may begin towards a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Now.
    Admitted,
    /// When the host has one attempt less, or has rested.
    Waits,
    /// Never: the host has had its time.
    GivenUp,
}

/// The hosts that have something in flight, or rest.
#[derive(Debug)]
pub(super) struct Hosts {
    most: Option<NonZeroU32>,
    timeout: Option<Duration>,
    waiting_max: usize,
    busy: HashMap<IpAddr, Host>,
    waiting: usize,
    begun: usize,
    /// By the end of their rest.
    resting: BinaryHeap<Reverse<(Instant, IpAddr)>>,
    spread: Spread,
    /// Hosts that have rested, and how many of their targets may start.
    rested: VecDeque<(IpAddr, usize)>,
    given_up: HashSet<IpAddr>,
    /// The same hosts, the first one first.
    given_up_since: VecDeque<IpAddr>,
    /// Of these, hosts that still have targets waiting.
    abandoned: VecDeque<IpAddr>,
    next_survey: Instant,
    backlog: Option<HostBacklog>,
}

impl Hosts {
    /// At most `most` attempts at a time towards each; `timeout`: how long a host may be busy without
    /// a break. At most `waiting_max` targets wait, as far as the walk over them can be stopped.
    pub(super) fn new(
        most: Option<NonZeroU32>,
        timeout: Option<Duration>,
        waiting_max: usize,
    ) -> Self {
        Self {
            most,
            timeout,
            waiting_max: waiting_max.min(WAITING_MAX),
            busy: HashMap::new(),
            waiting: 0,
            begun: 0,
            resting: BinaryHeap::new(),
            spread: Spread::default(),
            rested: VecDeque::new(),
            given_up: HashSet::new(),
            given_up_since: VecDeque::new(),
            abandoned: VecDeque::new(),
            next_survey: Instant::START,
            backlog: None,
        }
    }

    /// Whether the walk over the targets has to stop until somebody's host is free.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= self.waiting_max || self.begun >= BEGUN_MAX
    }

    /// Whether nobody waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Whether a host rests.
    pub(super) fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// When something is to be done although no attempt has ended; may lie in the past. `has_room`:
    /// whether [rested](Self::pop_rested) targets are taken now.
    pub(super) fn wake_at(&self, has_room: bool) -> Option<Instant> {
        if !self.abandoned.is_empty() || (has_room && !self.rested.is_empty()) {
            return Some(Instant::START);
        }
        let rest = self.resting.peek().map(|&Reverse((until, _))| until);
        let survey = (self.timeout.is_some() && !self.is_idle()).then_some(self.next_survey);
        rest.into_iter().chain(survey).min()
    }

    /// Whether one more attempt may begin towards the host.
    pub(super) fn admission(&self, host: IpAddr) -> Admission {
        if !self.given_up.is_empty() && self.given_up.contains(&host) {
            return Admission::GivenUp;
        }
        let admits = self.busy.get(&host).is_none_or(|busy| {
            busy.rests_until.is_none() && self.most.is_none_or(|most| busy.in_flight < most.get())
        });
        if admits { Admission::Admitted } else { Admission::Waits }
    }

    /// A target that has had an attempt waits until its host has one attempt less, or has rested.
    pub(super) fn wait_begun(&mut self, host: IpAddr, id: CheckId, now: Instant) {
        self.waiting += 1;
        self.begun += 1;
        self.backlog_of(host, now).push_begun(id);
    }

    /// The same, of a target that has had none.
    pub(super) fn wait(&mut self, host: IpAddr, fresh: NewCheck, now: Instant) {
        self.waiting += 1;
        self.backlog_of(host, now).push_new(host, fresh);
    }

    /// An attempt begins.
    pub(super) fn started(&mut self, host: IpAddr, now: Instant) {
        if self.counts() {
            self.busy_host(host, now).in_flight += 1;
        }
    }

    /// An attempt has ended: the next target that waited for the host, if any.
    pub(super) fn ended(&mut self, host: IpAddr) -> Option<Waiting> {
        let counts = self.counts();
        let busy = self.busy.get_mut(&host)?;
        busy.in_flight -= u32::from(counts);
        busy.ended = busy.ended.saturating_add(1);
        let next = if busy.rests_until.is_none() { busy.pop(host) } else { None };
        self.taken(next.as_ref());
        self.forget(host);
        next
    }

    /// The host asked for fewer connections: whether it rests, and is to be asked again afterwards.
    pub(super) fn throttled(&mut self, host: IpAddr, now: Instant) -> bool {
        let busy = self.busy.entry(host).or_insert_with(|| Host { since: now, ..Host::default() });
        if busy.rests_until.is_some() {
            return true;
        }
        if busy.rests >= RESTS_MAX {
            return false;
        }
        let until = now.after(REST + self.spread.offset(self.resting.is_empty()));
        busy.rests += 1;
        busy.rests_until = Some(until);
        self.resting.push(Reverse((until, host)));
        true
    }

    /// Does what is due: ends rests, and gives up on hosts that have had their time.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(&Reverse((until, host))) = self.resting.peek()
            && until <= now
        {
            self.resting.pop();
            let Some(busy) = self.busy.get_mut(&host) else { continue };
            busy.rests_until = None;
            let most = self.most.map_or(usize::MAX, |most| most.get() as usize);
            self.rested.push_back((host, most.saturating_sub(busy.in_flight as usize)));
            self.forget(host);
        }
        if now >= self.next_survey {
            let busy = u32::try_from(self.busy.len()).unwrap_or(u32::MAX);
            self.next_survey = now.after(SURVEY_EVERY.max(SURVEY_EVERY_PER_HOST * busy));
            self.survey(now);
        }
    }

    /// The next of the targets that waited for a host which has rested.
    pub(super) fn pop_rested(&mut self) -> Option<Waiting> {
        while let Some((host, left)) = self.rested.front_mut() {
            let host = *host;
            let next = left.checked_sub(1).and_then(|rest| {
                *left = rest;
                // One that rests again keeps what waits for it.
                let busy = self.busy.get_mut(&host).filter(|busy| busy.rests_until.is_none())?;
                busy.pop(host)
            });
            if let Some(next) = next {
                self.taken(Some(&next));
                self.forget(host);
                return Some(next);
            }
            self.rested.pop_front();
        }
        None
    }

    /// The next of the targets that waited for a host which was given up.
    pub(super) fn pop_abandoned(&mut self) -> Option<Waiting> {
        while let Some(&host) = self.abandoned.front() {
            if let Some(next) = self.busy.get_mut(&host).and_then(|busy| busy.pop(host)) {
                self.taken(Some(&next));
                self.forget(host);
                return Some(next);
            }
            self.abandoned.pop_front();
        }
        None
    }

    /// The targets that wait for their host, as they were counted within the last second; `None`:
    /// none did.
    pub(super) fn backlog(&self) -> Option<HostBacklog> {
        self.backlog
    }

    /// Whether attempts in flight are counted by host.
    fn counts(&self) -> bool {
        self.most.is_some() || self.timeout.is_some()
    }

    fn busy_host(&mut self, host: IpAddr, now: Instant) -> &mut Host {
        self.busy.entry(host).or_insert_with(|| Host { since: now, ..Host::default() })
    }

    fn backlog_of(&mut self, host: IpAddr, now: Instant) -> &mut Backlog {
        self.busy_host(host, now).backlog.get_or_insert_default()
    }

    fn taken(&mut self, waiting: Option<&Waiting>) {
        self.waiting -= usize::from(waiting.is_some());
        self.begun -= usize::from(matches!(waiting, Some(Waiting::Begun(_))));
    }

    /// Looks over all hosts: which of them have had their time, and which is waited for most.
    fn survey(&mut self, now: Instant) {
        if self.timeout.is_none() && self.is_idle() {
            self.backlog = None;
            return;
        }
        let is_over =
            |host: &Host| self.timeout.is_some_and(|timeout| now.since(host.since) >= timeout);
        let mut over = Vec::new();
        let mut hosts = 0;
        let mut longest: Option<(IpAddr, &Host)> = None;
        for (&address, host) in &self.busy {
            if is_over(host) && !self.given_up.contains(&address) {
                over.push(address);
            }
            hosts += usize::from(host.waiting() > 0);
            if host.waiting() > longest.map_or(0, |(_, longest)| longest.waiting()) {
                longest = Some((address, host));
            }
        }
        self.backlog = longest.map(|(address, host)| HostBacklog {
            targets: self.waiting,
            hosts,
            longest: address,
            longest_targets: host.waiting(),
            longest_remaining: remaining(host, now),
        });
        for host in over {
            self.give_up(host);
        }
    }

    fn give_up(&mut self, host: IpAddr) {
        if self.given_up_since.len() >= GIVEN_UP_MAX
            && let Some(first) = self.given_up_since.pop_front()
        {
            self.given_up.remove(&first);
        }
        self.given_up.insert(host);
        self.given_up_since.push_back(host);
        self.abandoned.push_back(host);
    }

    fn forget(&mut self, host: IpAddr) {
        if self.busy.get(&host).is_some_and(|busy| {
            busy.in_flight == 0 && busy.backlog.is_none() && busy.rests_until.is_none()
        }) {
            self.busy.remove(&host);
        }
    }
}

/// How long the targets that wait for a host take at the pace of those before them; `None`: none has
/// ended.
fn remaining(host: &Host, now: Instant) -> Option<Duration> {
    let waiting = u32::try_from(host.waiting()).ok()?;
    now.since(host.since).checked_mul(waiting)?.checked_div(host.ended)
}
