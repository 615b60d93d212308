//! Tracks which worker holds which work: leases, recalls, and the work of workers that end.
//!
//! - Invariant: a worker holds at most its concurrency plus [`Leases::prefetch`], and at most its
//!   share of all work: a worker that is ready early takes nothing from one that is ready late.
//! - Invariant: no work is leased before every worker has joined or the time for that is over.
//! - Invariant: work that a worker held when it ended is quarantined: it is leased again separately
//!   from all other work, in halves, until the work that ends workers is isolated.

use std::{collections::VecDeque, time::Duration};

use slab::Slab;

use super::queue::{Ticket, WorkQueue, WorkerId};
use crate::{clock::Instant, config::defaults};

/// How many workers must end while they hold only this work before it is given up. A process that
/// kills workers at random could hit the same innocent work this often, but that is very unlikely.
const KILLS_MAX: u8 = 3;

/// Time after a lease in which no work is recalled from the worker.
///
/// Pieces of work that take less than this are done before a recall returns, and most of them
/// before the recall is sent. Measured without this delay, with work that costs nothing and many
/// workers: half of all leased work was returned unstarted, at three times the cost.
const RECALL_AFTER: Duration = Duration::from_millis(5);

/// The bits of a ticket that hold the index of its task: enough for the largest number of attempts
/// in flight. The other bits hold the generation of the index.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// The [`WorkQueue`] of one run: the leases of its work to its workers.
#[derive(Debug)]
pub(crate) struct Leases<W> {
    /// The maximum number of tasks that a worker holds beyond its concurrency.
    prefetch: usize,
    tasks: Slab<Task<W>>,
    /// How often each index of `tasks` was used, modulo the values that a ticket can hold.
    generations: Vec<u32>,
    waiting: VecDeque<Ticket>,
    /// The work that workers held when they ended. Each group is leased to a worker that holds no
    /// other work.
    quarantine: VecDeque<Vec<Ticket>>,
    /// The worker that gets no work until it holds none, so that it can take a quarantined group.
    draining: Option<WorkerId>,
    holders: Vec<LeaseHolder>,
    /// When the start barrier opens at the latest; `None` once it is open.
    barrier: Option<Instant>,
    /// How much work the sharing workers hold, and how many such workers there are.
    shared: usize,
    sharing: usize,
    /// How much work is started and unsettled, estimated from the concurrency of its holders, and
    /// the largest value so far.
    started: usize,
    peak: usize,
}

#[derive(Debug)]
struct Task<W> {
    work: W,
    ticket: Ticket,
    holder: Option<WorkerId>,
    /// How many workers ended while this was the only work they held.
    kills: u8,
}

/// The state of one worker's leases.
#[derive(Debug, Default)]
struct LeaseHolder {
    /// How many tasks the worker runs concurrently; `None` until it has joined.
    concurrency: Option<usize>,
    held: usize,
    /// It holds quarantined work, and gets no other work.
    quarantined: bool,
    /// How much work was recalled from it in a recall that it has not answered.
    recalled: usize,
    /// The time of its latest lease.
    leased_at: Instant,
    /// The time of its latest heartbeat.
    heard_at: Instant,
    /// No worker will join here again.
    closed: bool,
}

impl<W> Leases<W> {
    /// Creates an empty queue for `workers` workers, each of which may hold `prefetch` pieces of
    /// work beyond its concurrency. The start barrier opens when all have joined, and at `barrier`
    /// at the latest.
    pub(crate) fn new(workers: usize, prefetch: usize, barrier: Instant) -> Self {
        Self {
            prefetch,
            tasks: Slab::new(),
            generations: Vec::new(),
            waiting: VecDeque::new(),
            quarantine: VecDeque::new(),
            draining: None,
            holders: std::iter::repeat_with(LeaseHolder::default).take(workers).collect(),
            barrier: Some(barrier),
            shared: 0,
            sharing: 0,
            started: 0,
            peak: 0,
        }
    }

    /// Returns whether the worker holds the work of this ticket.
    fn holds(&self, worker: WorkerId, ticket: Ticket) -> bool {
        let task = self.tasks.get(index(ticket));
        task.is_some_and(|task| task.ticket == ticket && task.holder == Some(worker))
    }

    /// Returns whether the worker gets a share of the work that is not quarantined.
    fn is_sharing(&self, worker: WorkerId) -> bool {
        self.holders[worker].concurrency.is_some() && !self.holders[worker].quarantined
    }

    /// Changes a worker's state, and updates the sums over all workers.
    fn update(&mut self, worker: WorkerId, change: impl FnOnce(&mut LeaseHolder)) {
        if self.is_sharing(worker) {
            self.sharing -= 1;
            self.shared -= self.holders[worker].held;
        }
        self.started -= self.holders[worker].started();
        change(&mut self.holders[worker]);
        self.started += self.holders[worker].started();
        if self.is_sharing(worker) {
            self.sharing += 1;
            self.shared += self.holders[worker].held;
        }
        self.peak = self.peak.max(self.started);
    }

    /// Records that the worker holds one piece of work less.
    fn release(&mut self, worker: WorkerId) {
        self.update(worker, |holder| {
            holder.held -= 1;
            holder.quarantined &= holder.held > 0;
        });
    }

    /// Records that the worker holds the work of these tickets.
    fn assign(&mut self, worker: WorkerId, tickets: &[Ticket], quarantined: bool, now: Instant) {
        if tickets.is_empty() {
            return;
        }
        for &ticket in tickets {
            self.tasks[index(ticket)].holder = Some(worker);
        }
        self.update(worker, |holder| {
            holder.held += tickets.len();
            holder.quarantined = quarantined;
            holder.leased_at = now;
        });
    }

    /// Returns whether workers are idle, no work is waiting, and less work was recalled than they
    /// could do.
    fn is_short(&self) -> bool {
        let recalled: usize = self.holders.iter().map(|holder| holder.recalled).sum();
        let idle: usize = self.holders.iter().map(LeaseHolder::idle).sum();
        self.waiting.is_empty() && self.quarantine.is_empty() && idle > recalled
    }

    /// Returns the workers from which work may be recalled, now or later. Quarantined work is
    /// recallable only while some worker holds no work, because only such a worker may take it.
    fn recallable(&self) -> impl Iterator<Item = (WorkerId, &LeaseHolder)> {
        let is_empty = |holder: &LeaseHolder| holder.concurrency.is_some() && holder.held == 0;
        let has_empty = self.holders.iter().any(is_empty);
        self.holders.iter().enumerate().filter(move |(_, holder)| {
            holder.recalled == 0 && holder.unstarted() > 0 && (!holder.quarantined || has_empty)
        })
    }

    /// Takes a group of at most `capacity` quarantined tickets. The rest of a larger group becomes
    /// the next group.
    fn next_quarantined(&mut self, capacity: usize) -> Vec<Ticket> {
        let mut group = self.quarantine.pop_front().unwrap_or_default();
        if group.len() > capacity {
            self.quarantine.push_front(group.split_off(capacity));
        }
        group
    }

    /// Returns whether the worker gets no more work, so that it can take quarantined work when it
    /// holds none.
    ///
    /// One worker drains at a time, and only while work is quarantined, no worker holds
    /// quarantined work, and no worker that could take it is being started.
    fn is_draining(&mut self, worker: WorkerId) -> bool {
        let takes_quarantined = |holder: &LeaseHolder| {
            holder.quarantined || holder.concurrency.is_none() && !holder.closed
        };
        if self.quarantine.is_empty() || self.holders.iter().any(takes_quarantined) {
            self.draining = None;
            return false;
        }
        let is_chosen = self.draining.is_some_and(|draining| self.is_sharing(draining));
        if !is_chosen {
            let sharing = (0..self.holders.len()).filter(|&worker| self.is_sharing(worker));
            self.draining = sharing.min_by_key(|&worker| self.holders[worker].held);
        }
        self.draining == Some(worker)
    }
}

impl LeaseHolder {
    /// Returns how much of its work it has started, estimated from its concurrency.
    fn started(&self) -> usize {
        self.held.min(self.concurrency.unwrap_or(0))
    }

    /// Returns how much of its work it has not started; 0 if no worker has joined.
    fn unstarted(&self) -> usize {
        self.concurrency.map_or(0, |concurrency| self.held.saturating_sub(concurrency))
    }

    /// Returns how many more tasks the worker could run concurrently.
    fn idle(&self) -> usize {
        match self.concurrency {
            Some(concurrency) if !self.quarantined => concurrency.saturating_sub(self.held),
            _ => 0,
        }
    }

    /// Returns the earliest time at which work may be recalled from it.
    fn recallable_at(&self) -> Instant {
        self.leased_at.after(RECALL_AFTER)
    }
}

/// Returns the index of a ticket's task.
fn index(ticket: Ticket) -> usize {
    (ticket.0 & INDEX_MASK) as usize
}

impl<W> WorkQueue for Leases<W> {
    type Work = W;

    fn open_barrier(&mut self, now: Instant) -> Option<usize> {
        let joined = self.holders.iter().filter(|holder| holder.concurrency.is_some()).count();
        let expected = self.holders.iter().filter(|holder| !holder.closed).count();
        match self.barrier {
            Some(until) if joined < expected && (joined == 0 || now < until) => None,
            _ => {
                self.barrier = None;
                Some(joined)
            }
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let joined = self.holders.iter().filter(|holder| holder.concurrency.is_some());
        let overdue = joined.map(|holder| holder.heard_at.after(defaults::WORKER_SILENCE)).min();
        let recall = self.recallable().map(|(_, holder)| holder.recallable_at()).min();
        let recall = recall.filter(|_| self.is_short());
        self.barrier.into_iter().chain(overdue).chain(recall).min()
    }

    fn add(&mut self, work: W) {
        let entry = self.tasks.vacant_entry();
        let index = entry.key();
        if self.generations.len() <= index {
            self.generations.resize(index + 1, 0);
        }
        self.generations[index] =
            self.generations[index].wrapping_add(1) & (u32::MAX >> INDEX_BITS);
        let low_bits = u32::try_from(index).unwrap_or(u32::MAX) & INDEX_MASK;
        debug_assert_eq!(low_bits as usize, index, "the caller bounds the open work");
        let ticket = Ticket(self.generations[index] << INDEX_BITS | low_bits);
        entry.insert(Task { work, ticket, holder: None, kills: 0 });
        self.waiting.push_back(ticket);
    }

    fn join(&mut self, worker: WorkerId, concurrency: usize, now: Instant) {
        self.update(worker, |holder| {
            holder.concurrency = Some(concurrency.max(1));
            holder.heard_at = now;
        });
    }

    fn lease(&mut self, worker: WorkerId, now: Instant) -> Vec<Ticket> {
        let LeaseHolder { concurrency: Some(concurrency), held, quarantined: false, .. } =
            self.holders[worker]
        else {
            return Vec::new();
        };
        if self.barrier.is_some() && self.open_barrier(now).is_none() {
            return Vec::new();
        }
        let capacity = concurrency.saturating_add(self.prefetch);
        if held == 0 && !self.quarantine.is_empty() {
            let group = self.next_quarantined(capacity);
            self.assign(worker, &group, true, now);
            return group;
        }
        // While the worker has more than half of its prefetch, a lease would not be worth its
        // frame.
        if self.is_draining(worker) || held > concurrency + self.prefetch / 2 {
            return Vec::new();
        }
        let share = (self.shared + self.waiting.len()).div_ceil(self.sharing);
        let taken = share.min(capacity).saturating_sub(held).min(self.waiting.len());
        let tickets: Vec<_> = self.waiting.drain(..taken).collect();
        self.assign(worker, &tickets, false, now);
        tickets
    }

    fn work(&self, ticket: Ticket) -> &W {
        &self.tasks[index(ticket)].work
    }

    fn settle(&mut self, worker: WorkerId, ticket: Ticket) -> Option<W> {
        if !self.holds(worker, ticket) {
            return None;
        }
        self.release(worker);
        Some(self.tasks.remove(index(ticket)).work)
    }

    fn recall(&mut self, now: Instant) -> Option<(WorkerId, usize)> {
        if !self.is_short() {
            return None;
        }
        let due = self.recallable().filter(|(_, holder)| holder.recallable_at() <= now);
        let unstarted = due.map(|(worker, holder)| (worker, holder.unstarted()));
        let (worker, unstarted) = unstarted.max_by_key(|&(_, unstarted)| unstarted)?;
        let half = unstarted.div_ceil(2);
        self.holders[worker].recalled = half;
        Some((worker, half))
    }

    fn take_back(&mut self, worker: WorkerId, tickets: &[Ticket]) {
        let was_quarantined = self.holders[worker].quarantined;
        self.holders[worker].recalled = 0;
        let mut returned = Vec::new();
        for &ticket in tickets {
            if self.holds(worker, ticket) {
                self.tasks[index(ticket)].holder = None;
                self.release(worker);
                returned.push(ticket);
            }
        }
        if !was_quarantined {
            self.waiting.extend(returned);
        } else if !returned.is_empty() {
            self.quarantine.push_back(returned);
        }
    }

    fn renew(&mut self, worker: WorkerId, now: Instant) {
        self.holders[worker].heard_at = now;
    }

    fn overdue(&self, now: Instant) -> Option<WorkerId> {
        self.holders.iter().position(|holder| {
            holder.concurrency.is_some() && holder.heard_at.after(defaults::WORKER_SILENCE) <= now
        })
    }

    fn delayed(&mut self, gap: Duration, now: Instant) {
        self.barrier = self.barrier.map(|until| until.after(gap));
        for holder in &mut self.holders {
            holder.heard_at = now;
        }
    }

    fn capacity(&self) -> usize {
        if self.holders.iter().all(|holder| holder.closed) {
            // Without workers all work is returned at once.
            return usize::MAX;
        }
        let capacity = |holder: &LeaseHolder| match holder.concurrency {
            Some(concurrency) if !holder.quarantined => concurrency.saturating_add(self.prefetch),
            _ => holder.held,
        };
        let quarantined: usize = self.quarantine.iter().map(Vec::len).sum();
        self.holders.iter().map(capacity).fold(quarantined, usize::saturating_add)
    }

    fn close_slot(&mut self, worker: WorkerId) {
        self.holders[worker].closed = true;
    }

    fn held(&self, worker: WorkerId) -> usize {
        self.holders[worker].held
    }

    fn remove_worker(&mut self, worker: WorkerId) -> Vec<W> {
        let held = self.tasks.iter().filter(|(_, task)| task.holder == Some(worker));
        let mut held: Vec<_> = held.map(|(_, task)| task.ticket).collect();
        for &ticket in &held {
            self.tasks[index(ticket)].holder = None;
        }
        self.update(worker, |holder| *holder = LeaseHolder::default());
        match held.as_slice() {
            [] => {}
            &[only] => {
                let task = &mut self.tasks[index(only)];
                task.kills += 1;
                if task.kills >= KILLS_MAX {
                    return vec![self.tasks.remove(index(only)).work];
                }
                self.quarantine.push_back(held);
            }
            several => {
                let half = held.split_off(several.len() / 2);
                self.quarantine.extend([held, half]);
            }
        }
        Vec::new()
    }

    fn drain(&mut self) -> Vec<W> {
        self.waiting.clear();
        self.quarantine.clear();
        self.tasks.drain().map(|task| task.work).collect()
    }

    fn peak(&self) -> usize {
        self.peak
    }
}

#[cfg(test)]
mod tests;
