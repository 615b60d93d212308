//! The limits per host: attempts at the same time, rests of hosts that ask for fewer connections, and
//! the host timeout. Keeps the targets that wait for their host.
//!
//! Invariant: a host that does not rest and has waiting targets has an attempt in flight or in the
//! ready queue, so the end of each attempt releases the next target.

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

/// The most targets that wait for their host, over all hosts, unless little memory is free: as many as
/// 64 hosts have ports.
pub(super) const WAITING_MAX: usize = 1 << 22;
/// The most waiting targets that have had an attempt.
const BEGUN_MAX: usize = 65_536;
/// The shortest rest of a host that asked for fewer connections. sshd's penalties begin at seconds, and
/// its `LoginGraceTime` frees a connection within minutes; half a minute outlasts most of both. When
/// many hosts rest, each rests a little longer than the one before it.
pub(super) const REST: Duration = Duration::from_secs(30);
/// The most rests of a host: two minutes in all, the `LoginGraceTime` of sshd. A host that still asks
/// for fewer connections afterwards would do so on each of its ports.
pub(super) const RESTS_MAX: u8 = 4;
/// How often all busy hosts are surveyed, and the least time per busy host. Surveying a host takes
/// about 20 ns, so surveys take 0.2 % of the time at most.
const SURVEY_EVERY: Duration = Duration::from_secs(1);
const SURVEY_EVERY_PER_HOST: Duration = Duration::from_micros(10);
/// The most timed-out hosts to remember. Beyond it the oldest one is forgotten and may be tried again.
const GIVEN_UP_MAX: usize = 65_536;

/// A host that has attempts in flight or waiting targets, or rests.
#[derive(Debug, Default)]
struct BusyHost {
    in_flight: u32,
    rests: u8,
    rests_until: Option<Instant>,
    /// When the host became busy.
    since: Instant,
    /// How many attempts have ended since then.
    ended: u32,
    // Boxed, because most hosts have none.
    backlog: Option<Box<Backlog>>,
}

impl BusyHost {
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

/// Whether an attempt on a host may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Now.
    Admitted,
    /// After the end of one of the host's attempts, or of its rest.
    Waits,
    /// Never, because the host has timed out.
    TimedOut,
}

/// The hosts that have attempts in flight or waiting targets, or rest.
#[derive(Debug)]
pub(super) struct Hosts {
    most: Option<NonZeroU32>,
    timeout: Option<Duration>,
    waiting_max: usize,
    busy: HashMap<IpAddr, BusyHost>,
    waiting: usize,
    begun: usize,
    /// The resting hosts, by the end of their rest.
    resting: BinaryHeap<Reverse<(Instant, IpAddr)>>,
    spread: Spread,
    /// Hosts that have rested, and how many of their targets may start.
    rested: VecDeque<(IpAddr, usize)>,
    given_up: HashSet<IpAddr>,
    /// The same hosts, oldest first.
    given_up_since: VecDeque<IpAddr>,
    /// Those of them that still have waiting targets.
    abandoned: VecDeque<IpAddr>,
    next_survey: Instant,
    backlog: Option<HostBacklog>,
}

impl Hosts {
    /// Creates an empty table of hosts.
    ///
    /// `most` is the maximum number of concurrent attempts per host. A host that has been busy for
    /// `timeout` without a break times out. `waiting_max` is the number of waiting targets at which the
    /// table is [full](Self::is_full).
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

    /// Returns whether no more targets should be added until waiting ones have started.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= self.waiting_max || self.begun >= BEGUN_MAX
    }

    /// Returns whether no target waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Returns whether a host rests.
    pub(super) fn has_resting(&self) -> bool {
        !self.resting.is_empty()
    }

    /// Returns when to call [`Self::advance`] if no attempt ends before; it may be in the past.
    /// `has_room`: whether [rested](Self::pop_rested) targets can be taken now.
    pub(super) fn next_timeout(&self, has_room: bool) -> Option<Instant> {
        if !self.abandoned.is_empty() || (has_room && !self.rested.is_empty()) {
            return Some(Instant::START);
        }
        let rest = self.resting.peek().map(|&Reverse((until, _))| until);
        let survey = (self.timeout.is_some() && !self.is_idle()).then_some(self.next_survey);
        rest.into_iter().chain(survey).min()
    }

    /// Returns whether one more attempt on the host may begin.
    pub(super) fn admission(&self, host: IpAddr) -> Admission {
        if !self.given_up.is_empty() && self.given_up.contains(&host) {
            return Admission::TimedOut;
        }
        let admits = self.busy.get(&host).is_none_or(|busy| {
            busy.rests_until.is_none() && self.most.is_none_or(|most| busy.in_flight < most.get())
        });
        if admits { Admission::Admitted } else { Admission::Waits }
    }

    /// Makes a target that has had an attempt wait for its host.
    pub(super) fn wait_begun(&mut self, host: IpAddr, id: CheckId, now: Instant) {
        self.waiting += 1;
        self.begun += 1;
        self.backlog_of(host, now).push_begun(id);
    }

    /// Makes a target without an attempt wait for its host.
    pub(super) fn wait(&mut self, host: IpAddr, check: NewCheck, now: Instant) {
        self.waiting += 1;
        self.backlog_of(host, now).push_new(host, check);
    }

    /// Counts an attempt that has begun.
    pub(super) fn started(&mut self, host: IpAddr, now: Instant) {
        if self.counts() {
            self.busy_host(host, now).in_flight += 1;
        }
    }

    /// Uncounts an attempt that has ended. Returns the next target that waits for the host, if any.
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

    /// Makes a host rest that asked for fewer connections. Returns false if it has rested
    /// [`RESTS_MAX`] times.
    pub(super) fn throttled(&mut self, host: IpAddr, now: Instant) -> bool {
        let busy =
            self.busy.entry(host).or_insert_with(|| BusyHost { since: now, ..BusyHost::default() });
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

    /// Ends rests and times hosts out, as far as that is due.
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

    /// Removes the next target whose host has rested.
    pub(super) fn pop_rested(&mut self) -> Option<Waiting> {
        while let Some((host, left)) = self.rested.front_mut() {
            let host = *host;
            let next = left.checked_sub(1).and_then(|rest| {
                *left = rest;
                // A host that rests again keeps its waiting targets.
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

    /// Removes the next target whose host has timed out.
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

    /// Returns a summary of the waiting targets, at most a second old; `None` if none waited.
    pub(super) fn backlog(&self) -> Option<HostBacklog> {
        self.backlog
    }

    /// Returns whether attempts in flight are counted per host.
    fn counts(&self) -> bool {
        self.most.is_some() || self.timeout.is_some()
    }

    fn busy_host(&mut self, host: IpAddr, now: Instant) -> &mut BusyHost {
        self.busy.entry(host).or_insert_with(|| BusyHost { since: now, ..BusyHost::default() })
    }

    fn backlog_of(&mut self, host: IpAddr, now: Instant) -> &mut Backlog {
        self.busy_host(host, now).backlog.get_or_insert_default()
    }

    /// Uncounts a target that no longer waits.
    fn taken(&mut self, waiting: Option<&Waiting>) {
        self.waiting -= usize::from(waiting.is_some());
        self.begun -= usize::from(matches!(waiting, Some(Waiting::Begun(_))));
    }

    /// Surveys all hosts: finds those that have timed out, and the one with the longest backlog.
    fn survey(&mut self, now: Instant) {
        if self.timeout.is_none() && self.is_idle() {
            self.backlog = None;
            return;
        }
        let has_timed_out =
            |host: &BusyHost| self.timeout.is_some_and(|timeout| now.since(host.since) >= timeout);
        let mut timed_out = Vec::new();
        let mut hosts = 0;
        let mut longest: Option<(IpAddr, &BusyHost)> = None;
        for (&address, host) in &self.busy {
            if has_timed_out(host) && !self.given_up.contains(&address) {
                timed_out.push(address);
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
        for host in timed_out {
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

/// Estimates how long a host's waiting targets will take, from those that have ended; `None` if none
/// has.
fn remaining(host: &BusyHost, now: Instant) -> Option<Duration> {
    let waiting = u32::try_from(host.waiting()).ok()?;
    now.since(host.since).checked_mul(waiting)?.checked_div(host.ended)
}
