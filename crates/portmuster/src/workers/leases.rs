//! Who holds which work: shares, recalls, and what becomes of a worker's work when it ends.
//!
//! - Invariant: a worker holds at most what it does at once and [`Leases::ahead`] more, and no
//!   more than its share of all there is: who starts early takes nothing from who starts late.
//! - Invariant: nothing is leased before every worker has joined or the time for that has passed.
//! - Invariant: work that was held when a worker ended is leased again apart from all other work,
//!   in halves, so that in the end the work that ends workers stands alone.

use std::{collections::VecDeque, time::Duration};

use slab::Slab;

use super::queue::{Ticket, WorkQueue, WorkerId};
use crate::{clock::Instant, config::defaults};

/// Workers that work must have ended while it was all they had, before it is given up. Who kills
/// workers at random may hit the same innocent work as often, but hardly ever does.
const ENDED_MAX: u8 = 3;

/// How long a worker keeps all that it was given. Work that takes less than this for each is done
/// before a recall of it has come back, and most was when it was sent: where the work cost nothing
/// and workers were many, half of all that was leased came back undone, at three times the price.
const RECALL_AFTER: Duration = Duration::from_millis(5);

/// The bits of a ticket that name a slot: as many as there may be attempts in flight. The others
/// count how often the slot was used.
const SLOT_BITS: u32 = 20;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// Leases of one run's work to its workers.
#[derive(Debug)]
pub(crate) struct Leases<W> {
    /// Work that a worker may hold beside what it does at once.
    ahead: usize,
    tasks: Slab<Task<W>>,
    /// How often each slot was used, in as many bits as a ticket has left.
    uses: Vec<u32>,
    waiting: VecDeque<Ticket>,
    /// What workers held when they ended. Each group is leased to a worker that holds nothing
    /// else.
    suspects: VecDeque<Vec<Ticket>>,
    /// Who gets nothing until it holds nothing, so that it can take a group of suspects.
    draining: Option<WorkerId>,
    workers: Vec<Worker>,
    /// Until when the barrier is closed; `None` once it is open.
    barrier: Option<Instant>,
    /// Held by workers that take part in the sharing out, and how many of them there are.
    shared: usize,
    sharers: usize,
    /// Begun and not settled, as far as can be told from here, and the most there ever were.
    open: usize,
    peak: usize,
}

#[derive(Debug)]
struct Task<W> {
    work: W,
    ticket: Ticket,
    holder: Option<WorkerId>,
    /// Workers that ended while this was all they held.
    ended: u8,
}

#[derive(Debug, Default)]
struct Worker {
    /// What it does at once; `None` while it is not there.
    concurrency: Option<usize>,
    held: usize,
    /// It holds suspects, and gets nothing else.
    apart: bool,
    /// It was asked to give so much back and has not answered.
    recalled: usize,
    /// When it was last given something.
    leased: Instant,
    heard: Instant,
    /// It is not there, and never will be.
    dismissed: bool,
}

impl<W> Leases<W> {
    /// Leases to this many workers, which may hold `ahead` more than they do at once. The barrier
    /// opens when all have joined, at the latest then.
    pub(crate) fn new(workers: usize, ahead: usize, barrier: Instant) -> Self {
        Self {
            ahead,
            tasks: Slab::new(),
            uses: Vec::new(),
            waiting: VecDeque::new(),
            suspects: VecDeque::new(),
            draining: None,
            workers: std::iter::repeat_with(Worker::default).take(workers).collect(),
            barrier: Some(barrier),
            shared: 0,
            sharers: 0,
            open: 0,
            peak: 0,
        }
    }

    /// Whether the ticket is this worker's.
    fn holds(&self, worker: WorkerId, ticket: Ticket) -> bool {
        let task = self.tasks.get(slot(ticket));
        task.is_some_and(|task| task.ticket == ticket && task.holder == Some(worker))
    }

    /// Whether the worker takes part in the sharing out.
    fn shares_out(&self, worker: WorkerId) -> bool {
        self.workers[worker].concurrency.is_some() && !self.workers[worker].apart
    }

    /// Changes something of a worker, and the sums with it.
    fn change(&mut self, worker: WorkerId, change: impl FnOnce(&mut Worker)) {
        if self.shares_out(worker) {
            self.sharers -= 1;
            self.shared -= self.workers[worker].held;
        }
        self.open -= self.workers[worker].begun();
        change(&mut self.workers[worker]);
        self.open += self.workers[worker].begun();
        if self.shares_out(worker) {
            self.sharers += 1;
            self.shared += self.workers[worker].held;
        }
        self.peak = self.peak.max(self.open);
    }

    /// The worker holds one less.
    fn release(&mut self, worker: WorkerId) {
        self.change(worker, |worker| {
            worker.held -= 1;
            worker.apart &= worker.held > 0;
        });
    }

    fn hold(&mut self, worker: WorkerId, tickets: &[Ticket], apart: bool, now: Instant) {
        if tickets.is_empty() {
            return;
        }
        for &ticket in tickets {
            self.tasks[slot(ticket)].holder = Some(worker);
        }
        self.change(worker, |worker| {
            worker.held += tickets.len();
            worker.apart = apart;
            worker.leased = now;
        });
    }

    /// Whether somebody has nothing to do, there is nothing to give it, and not enough was asked
    /// back from others.
    fn is_short(&self) -> bool {
        let asked: usize = self.workers.iter().map(|worker| worker.recalled).sum();
        let idle: usize = self.workers.iter().map(Worker::idle).sum();
        self.waiting.is_empty() && self.suspects.is_empty() && idle > asked
    }

    /// Who may be asked to give something back, now or later. Suspects only when somebody holds
    /// nothing: they are not for anybody else.
    fn recallable(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        let is_free = |worker: &Worker| worker.concurrency.is_some() && worker.held == 0;
        let somebody_is_free = self.workers.iter().any(is_free);
        let workers = self.workers.iter().enumerate();
        workers.filter(move |(_, worker)| {
            worker.recalled == 0 && worker.surplus() > 0 && (!worker.apart || somebody_is_free)
        })
    }

    /// A group of suspects for a worker that holds nothing.
    fn next_suspects(&mut self, room: usize) -> Vec<Ticket> {
        let mut group = self.suspects.pop_front().unwrap_or_default();
        if group.len() > room {
            self.suspects.push_front(group.split_off(room));
        }
        group
    }

    /// Whether the worker is to run dry, so that it can take suspects. One does, while there are
    /// any and nobody else is at some, or is being started and can take them.
    fn is_draining(&mut self, worker: WorkerId) -> bool {
        let is_awaited =
            |worker: &Worker| worker.apart || worker.concurrency.is_none() && !worker.dismissed;
        if self.suspects.is_empty() || self.workers.iter().any(is_awaited) {
            self.draining = None;
            return false;
        }
        let is_taken = self.draining.is_some_and(|drained| self.shares_out(drained));
        if !is_taken {
            let sharers = (0..self.workers.len()).filter(|&worker| self.shares_out(worker));
            self.draining = sharers.min_by_key(|&worker| self.workers[worker].held);
        }
        self.draining == Some(worker)
    }
}

impl Worker {
    /// What it has begun, as far as can be told from here.
    fn begun(&self) -> usize {
        self.held.min(self.concurrency.unwrap_or(0))
    }

    /// What it has not begun, if it is there.
    fn surplus(&self) -> usize {
        self.concurrency.map_or(0, |concurrency| self.held.saturating_sub(concurrency))
    }

    /// How much more it could do at once.
    fn idle(&self) -> usize {
        match self.concurrency {
            Some(concurrency) if !self.apart => concurrency.saturating_sub(self.held),
            _ => 0,
        }
    }

    /// When it may be asked to give something back.
    fn recallable_at(&self) -> Instant {
        self.leased.after(RECALL_AFTER)
    }
}

fn slot(ticket: Ticket) -> usize {
    (ticket.0 & SLOT_MASK) as usize
}

impl<W> WorkQueue for Leases<W> {
    type Work = W;

    fn opened(&mut self, now: Instant) -> Option<usize> {
        let joined = self.workers.iter().filter(|worker| worker.concurrency.is_some()).count();
        let expected = self.workers.iter().filter(|worker| !worker.dismissed).count();
        match self.barrier {
            Some(until) if joined < expected && (joined == 0 || now < until) => None,
            _ => {
                self.barrier = None;
                Some(joined)
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let present = self.workers.iter().filter(|worker| worker.concurrency.is_some());
        let overdue = present.map(|worker| worker.heard.after(defaults::WORKER_SILENCE)).min();
        let recall = self.recallable().map(|(_, worker)| worker.recallable_at()).min();
        let recall = recall.filter(|_| self.is_short());
        self.barrier.into_iter().chain(overdue).chain(recall).min()
    }

    fn add(&mut self, work: W) {
        let entry = self.tasks.vacant_entry();
        let slot = entry.key();
        if self.uses.len() <= slot {
            self.uses.resize(slot + 1, 0);
        }
        self.uses[slot] = self.uses[slot].wrapping_add(1) & (u32::MAX >> SLOT_BITS);
        let place = u32::try_from(slot).unwrap_or(u32::MAX) & SLOT_MASK;
        debug_assert_eq!(place as usize, slot, "whoever adds work bounds it");
        let ticket = Ticket(self.uses[slot] << SLOT_BITS | place);
        entry.insert(Task { work, ticket, holder: None, ended: 0 });
        self.waiting.push_back(ticket);
    }

    fn join(&mut self, worker: WorkerId, concurrency: usize, now: Instant) {
        self.change(worker, |worker| {
            worker.concurrency = Some(concurrency.max(1));
            worker.heard = now;
        });
    }

    fn lease(&mut self, worker: WorkerId, now: Instant) -> Vec<Ticket> {
        let Worker { concurrency: Some(concurrency), held, apart: false, .. } =
            self.workers[worker]
        else {
            return Vec::new();
        };
        if self.barrier.is_some() && self.opened(now).is_none() {
            return Vec::new();
        }
        let room = concurrency.saturating_add(self.ahead);
        if held == 0 && !self.suspects.is_empty() {
            let group = self.next_suspects(room);
            self.hold(worker, &group, true, now);
            return group;
        }
        // Who still has plenty waits, so that leases are worth their frame.
        if self.is_draining(worker) || held > concurrency + self.ahead / 2 {
            return Vec::new();
        }
        let share = (self.shared + self.waiting.len()).div_ceil(self.sharers);
        let taken = share.min(room).saturating_sub(held).min(self.waiting.len());
        let tickets: Vec<_> = self.waiting.drain(..taken).collect();
        self.hold(worker, &tickets, false, now);
        tickets
    }

    fn work(&self, ticket: Ticket) -> &W {
        &self.tasks[slot(ticket)].work
    }

    fn settle(&mut self, worker: WorkerId, ticket: Ticket) -> Option<W> {
        if !self.holds(worker, ticket) {
            return None;
        }
        self.release(worker);
        Some(self.tasks.remove(slot(ticket)).work)
    }

    fn recall(&mut self, now: Instant) -> Option<(WorkerId, usize)> {
        if !self.is_short() {
            return None;
        }
        let due = self.recallable().filter(|(_, worker)| worker.recallable_at() <= now);
        let (most, surplus) =
            due.map(|(id, worker)| (id, worker.surplus())).max_by_key(|&(_, surplus)| surplus)?;
        let half = surplus.div_ceil(2);
        self.workers[most].recalled = half;
        Some((most, half))
    }

    fn returned(&mut self, worker: WorkerId, tickets: &[Ticket]) {
        let were_suspects = self.workers[worker].apart;
        self.workers[worker].recalled = 0;
        let mut back = Vec::new();
        for &ticket in tickets {
            if self.holds(worker, ticket) {
                self.tasks[slot(ticket)].holder = None;
                self.release(worker);
                back.push(ticket);
            }
        }
        if !were_suspects {
            self.waiting.extend(back);
        } else if !back.is_empty() {
            self.suspects.push_back(back);
        }
    }

    fn room(&self) -> usize {
        if self.workers.iter().all(|worker| worker.dismissed) {
            // Whatever is brought comes back.
            return usize::MAX;
        }
        let holds = |worker: &Worker| match worker.concurrency {
            Some(concurrency) if !worker.apart => concurrency.saturating_add(self.ahead),
            _ => worker.held,
        };
        let suspects: usize = self.suspects.iter().map(Vec::len).sum();
        self.workers.iter().map(holds).fold(suspects, usize::saturating_add)
    }

    fn held_up(&mut self, gap: Duration, now: Instant) {
        self.barrier = self.barrier.map(|until| until.after(gap));
        for worker in &mut self.workers {
            worker.heard = now;
        }
    }

    fn dismiss(&mut self, worker: WorkerId) {
        self.workers[worker].dismissed = true;
    }

    fn extend(&mut self, worker: WorkerId, now: Instant) {
        self.workers[worker].heard = now;
    }

    fn overdue(&self, now: Instant) -> Option<WorkerId> {
        self.workers.iter().position(|worker| {
            worker.concurrency.is_some() && worker.heard.after(defaults::WORKER_SILENCE) <= now
        })
    }

    fn held(&self, worker: WorkerId) -> usize {
        self.workers[worker].held
    }

    fn leave(&mut self, worker: WorkerId) -> Vec<W> {
        let held = self.tasks.iter().filter(|(_, task)| task.holder == Some(worker));
        let mut held: Vec<_> = held.map(|(_, task)| task.ticket).collect();
        for &ticket in &held {
            self.tasks[slot(ticket)].holder = None;
        }
        self.change(worker, |worker| *worker = Worker::default());
        match held.as_slice() {
            [] => {}
            &[alone] => {
                let task = &mut self.tasks[slot(alone)];
                task.ended += 1;
                if task.ended >= ENDED_MAX {
                    return vec![self.tasks.remove(slot(alone)).work];
                }
                self.suspects.push_back(held);
            }
            several => {
                let half = held.split_off(several.len() / 2);
                self.suspects.extend([held, half]);
            }
        }
        Vec::new()
    }

    fn abandon(&mut self) -> Vec<W> {
        self.waiting.clear();
        self.suspects.clear();
        self.tasks.drain().map(|task| task.work).collect()
    }

    fn peak(&self) -> usize {
        self.peak
    }
}

#[cfg(test)]
mod tests;
