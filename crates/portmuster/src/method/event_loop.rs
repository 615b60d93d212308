//! Event loops, each with many attempts at a time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    net::SocketAddr,
};

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use rustix::io::Errno;

use super::{
    capacity::LimitingResource,
    context::{Reports, StartError, WorkerContext, spawn},
    thread_pool::{RESERVED_THREADS, StartQueue, Started, ThreadPool},
};
use crate::{
    attempt::{Attempt, Rules, Timer, withdraw_refusal},
    clock::Instant,
    descriptors,
    driver::{Driver, IcmpErrors, Net, Socket, epoll::Epoll},
    memory::{Memory, Reservation},
    outcome::Conclusion,
    schedule::{CheckId, Report, Start},
    waker::Waker,
};

/// The most attempts to begin before events are polled again. A burst of 19,000 made thousands of
/// open targets look silent; a few hundred never did.
const BURST: usize = 256;

/// The most attempts that wait for each loop: twelve milliseconds of work, during which the loop
/// does not need the coordinator. When loops keep all processors busy, the coordinator waits a time
/// slice of three milliseconds for its turn, and so does the input thread that feeds it.
const BACKLOG_MAX: usize = 4096;

/// The maximum number of batches in the queue of starts of a loop. The coordinator may block on a full queue,
/// because a loop never waits for the coordinator.
const BATCHES_MAX: usize = 1024;

/// The most loops that are started only for their descriptor tables. At 20,000 descriptors each
/// they hold more than a million attempts.
const TABLES_MAX: usize = 64;

/// The fewest descriptors of this process's table per extra loop: each loop takes one of them.
const LOOP_DESCRIPTORS: usize = 16;

/// The most stale deadlines in the queues beyond twice the open attempts. Few enough to take little
/// memory, many enough that removing them costs little per attempt.
const STALE_MAX: usize = 4096;

/// Starts event loops, each with a queue of its own.
///
/// Each loop gets a descriptor table of its own if the system permits, and more loops than asked
/// for are started when `in_flight` needs more descriptors than one table holds. Fewer are started
/// when this system runs out of something.
///
/// # Errors
/// Not even one loop could be started.
pub(super) fn start(
    loops: usize,
    in_flight: usize,
    context: &WorkerContext,
) -> Result<Started, StartError> {
    let table = descriptors::budget().attempts;
    // Each loop also takes a descriptor of this process's table.
    let tables = in_flight.div_ceil(table).min(table / LOOP_DESCRIPTORS).min(TABLES_MAX);
    let (mut wanted, mut limited_by) = (loops.max(tables), LimitingResource::Descriptors);
    let mut own_tables = true;
    let mut pool = ThreadPool::default();
    while pool.queues.len() < wanted {
        match add_loop(&mut pool, in_flight, context) {
            Ok(true) => {}
            Ok(false) => {
                (own_tables, wanted, limited_by) =
                    (false, loops, LimitingResource::SharedDescriptors);
            }
            Err(error) if pool.queues.is_empty() => return Err(error),
            Err(error) => {
                pool.remove_last((pool.queues.len() - 1).min(RESERVED_THREADS));
                (wanted, limited_by) = (pool.queues.len(), error.limiting_resource());
            }
        }
    }
    pool.loads = vec![0; pool.queues.len()];
    pool.preferred = Some((loops, table - table / 8));
    pool.backlog_max = Some(BACKLOG_MAX * loops.min(pool.queues.len()));
    let tables = if own_tables { pool.queues.len() } else { 1 };
    Ok(Started { pool, capacity: in_flight.min(table.saturating_mul(tables)), limited_by })
}

/// Starts one more loop. Returns whether it has a descriptor table of its own.
fn add_loop(
    pool: &mut ThreadPool,
    in_flight: usize,
    context: &WorkerContext,
) -> Result<bool, StartError> {
    let place = pool.queues.len();
    let (starts, queue) = bounded::<Vec<Start>>(in_flight.min(BATCHES_MAX));
    let (ready, started) = bounded(1);
    let waker = Waker::new().map_err(StartError::poller)?;
    let stop = waker.clone();
    let thread = spawn("portmuster-loop", context.clone(), move |context| {
        let owns_table = descriptors::own_table(waker.descriptor());
        let net = Epoll::new(context.clock, context.source, waker);
        // `add_loop` waits for this message.
        let _ = ready.send(net.as_ref().map(|_| owns_table).map_err(|&errno| errno));
        if let Ok(net) = net {
            run(
                place,
                EventLoop::new(net, context.rules.clone(), context.memory.clone()),
                &queue,
                &context,
            );
        }
    })?;
    let owns_table = match started.recv().unwrap_or(Err(Errno::CANCELED)) {
        Ok(owns_table) => owns_table,
        Err(errno) => {
            // The thread ends by itself, and a panic was reported.
            let _ = thread.join();
            return Err(StartError::poller(errno));
        }
    };
    pool.threads.push(thread);
    pool.stops.push(stop.clone());
    pool.queues.push(StartQueue {
        starts: Some(starts),
        batch: Vec::new(),
        batch_max: BURST,
        waker: Some(stop),
        waiting: None,
    });
    Ok(owns_table)
}

/// Runs one loop until its queue is closed.
fn run(
    worker: usize,
    mut event_loop: EventLoop<Epoll>,
    queue: &Receiver<Vec<Start>>,
    context: &WorkerContext,
) {
    let (mut leased, mut ended) = (VecDeque::new(), Vec::new());
    loop {
        loop {
            match queue.try_recv() {
                Ok(batch) => leased.extend(batch),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        let begun = event_loop.turn(&mut leased, &mut ended, None);
        if begun + ended.len() == 0 {
            continue;
        }
        let ended = std::mem::replace(&mut ended, Vec::with_capacity(BURST));
        let held = std::mem::take(&mut event_loop.held);
        if context.reports.send(Reports { worker, begun, ended, held }).is_err() {
            return;
        }
    }
}

/// An event loop with many attempts over one [`Net`].
#[derive(Debug)]
pub(crate) struct EventLoop<N> {
    pub(crate) driver: Driver<N>,
    /// The open attempts, indexed by socket.
    active: Vec<Option<Active>>,
    open: usize,
    deadlines: Deadlines,
    ready: Vec<Socket>,
    /// Refusals in this turn, which may turn out to be ICMP's: index of the report, and endpoint.
    refused: Vec<(usize, SocketAddr)>,
    /// Memory of conversations whose reports were not sent yet.
    held: Vec<Reservation>,
}

#[derive(Debug)]
struct Active {
    id: CheckId,
    attempt: Attempt,
    /// The earliest of its deadlines in the queues.
    queued: Instant,
}

impl<N: Net> EventLoop<N> {
    pub(crate) fn new(net: N, rules: Rules, memory: Memory) -> Self {
        Self {
            driver: Driver::new(net, rules, memory),
            held: Vec::new(),
            active: Vec::new(),
            open: 0,
            deadlines: Deadlines::default(),
            ready: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Begins leased attempts, waits for events (until `until` at most), and handles them.
    ///
    /// Adds attempts that ended to `reports`. Returns how many attempts have begun.
    pub(crate) fn turn(
        &mut self,
        leased: &mut VecDeque<Start>,
        reports: &mut Vec<Report>,
        until: Option<Instant>,
    ) -> usize {
        let begun = leased.len().min(BURST);
        let mut now = self.driver.net.now();
        for start in leased.drain(..begun) {
            now = self.begin(start, now, reports);
        }
        // Do not delay the reports.
        let until = if begun == 0 && reports.is_empty() {
            self.deadlines.next().into_iter().chain(until).min()
        } else {
            Some(now)
        };
        let mut ready = std::mem::take(&mut self.ready);
        self.driver.net.wait(until, &mut ready);
        self.advance_all(ready, reports);
        self.expire(reports);
        self.take_icmp(reports);
        begun
    }

    /// Begins an attempt at `now`. Returns the time afterwards.
    fn begin(&mut self, start: Start, now: Instant, reports: &mut Vec<Report>) -> Instant {
        let Start { id, endpoint, name, opening, patience, known_keys } = start;
        let attempt = Attempt::new(endpoint, now).name(name).opening(opening).patience(patience);
        let mut attempt = attempt.known_keys(known_keys);
        match self.driver.begin(&mut attempt) {
            Err(conclusion) => {
                // The clock was read for the verdict. Reading it again for the next attempt would
                // cost 1 % of the time that a refused target takes.
                let ended = match &conclusion {
                    Conclusion::Verdict(verdict) => now.after(verdict.times.total),
                    Conclusion::Fault(_) => self.driver.net.now(),
                };
                self.held.extend(attempt.release());
                self.report(id, endpoint, conclusion, reports);
                ended
            }
            Ok(socket) => {
                self.open += 1;
                let now = self.driver.net.now();
                self.driver.sent(&mut attempt, now);
                let (timer, at) = self.driver.deadline(&attempt);
                self.deadlines.push(timer, Due { at, socket });
                if self.active.len() <= socket.0 {
                    self.active.resize_with(socket.0 + 1, || None);
                }
                self.active[socket.0] = Some(Active { id, attempt, queued: at });
                now
            }
        }
    }

    /// Handles the events that have arrived since the last wait. Returns whether these were all.
    fn take_events(&mut self, reports: &mut Vec<Report>) -> bool {
        let mut ready = std::mem::take(&mut self.ready);
        let has_all = self.driver.net.take_events(&mut ready);
        self.advance_all(ready, reports);
        has_all
    }

    /// Handles the events of these sockets, and keeps the memory of the vector for the next wait.
    fn advance_all(&mut self, mut ready: Vec<Socket>, reports: &mut Vec<Report>) {
        for socket in ready.drain(..) {
            self.advance(socket, reports);
        }
        self.ready = ready;
    }

    fn advance(&mut self, socket: Socket, reports: &mut Vec<Report>) {
        let Some(active) = self.active.get_mut(socket.0).and_then(Option::as_mut) else { return };
        let over = self.driver.advance(socket, &mut active.attempt);
        self.settle(socket, over, reports);
    }

    fn expire(&mut self, reports: &mut Vec<Report>) {
        let now = self.driver.net.now();
        let mut taken = None;
        while let Some(due) = self.deadlines.pop(now) {
            if !due.is_current(&self.active) {
                continue;
            }
            // Reading the events once is cheaper than polling each connection that is due.
            let has_all = *taken.get_or_insert_with(|| self.take_events(reports));
            // An event may have ended it.
            if !due.is_current(&self.active) {
                continue;
            }
            let Some(active) = &mut self.active[due.socket.0] else { continue };
            active.queued = Instant::NEVER;
            let over = if has_all && active.attempt.is_connecting() {
                self.driver.pass_deadline(due.socket, &mut active.attempt)
            } else {
                self.driver.expire(due.socket, &mut active.attempt)
            };
            self.settle(due.socket, over, reports);
        }
        if self.deadlines.len() > 2 * self.open + STALE_MAX {
            let active = &self.active;
            self.deadlines.retain(|due| due.is_current(active));
        }
    }

    /// Ends the attempt if it has a conclusion, or else queues its next deadline.
    fn settle(&mut self, socket: Socket, over: Option<Conclusion>, reports: &mut Vec<Report>) {
        let Some(active) = &mut self.active[socket.0] else { return };
        if let Some(conclusion) = over {
            self.driver.close(socket, &conclusion);
            self.held.extend(active.attempt.release());
            let (id, endpoint) = (active.id, active.attempt.endpoint());
            self.active[socket.0] = None;
            self.open -= 1;
            return self.report(id, endpoint, conclusion, reports);
        }
        let (timer, at) = self.driver.deadline(&active.attempt);
        // A deadline that moved back is found when the queued one expires: a server that sends
        // byte by byte moves it with every byte.
        if at < active.queued {
            active.queued = at;
            self.deadlines.push(timer, Due { at, socket });
        }
    }

    fn report(
        &mut self,
        id: CheckId,
        endpoint: SocketAddr,
        conclusion: Conclusion,
        reports: &mut Vec<Report>,
    ) {
        if conclusion.is_refusal() {
            self.refused.push((reports.len(), endpoint));
        }
        reports.push(Report { id, conclusion });
    }

    /// Applies the ICMP errors of this turn: they end pending attempts, and explain refusals. When an
    /// endpoint was refused twice in one turn, both refusals count as ICMP's.
    fn take_icmp(&mut self, reports: &mut Vec<Report>) {
        let IcmpErrors { errors, unreadable } = self.driver.net.take_icmp();
        for error in errors {
            let active = self.active.get_mut(error.socket.0).and_then(Option::as_mut);
            if let Some(active) = active
                && let over @ Some(_) = self.driver.fail(error.socket, &mut active.attempt, &error)
            {
                self.settle(error.socket, over, reports);
            }
            let refused = self.refused.iter().filter(|(_, endpoint)| error.is_about(*endpoint));
            refused.for_each(|&(report, _)| reports[report].conclusion.refused_by_icmp());
        }
        if let Some(errno) = unreadable {
            for &(report, _) in &self.refused {
                withdraw_refusal(&mut reports[report].conclusion, errno);
            }
        }
        self.refused.clear();
    }
}

/// A deadline in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    socket: Socket,
}

impl Due {
    /// Returns false if it is stale: its attempt has ended, or an earlier deadline has replaced it. One
    /// that was queued for an earlier attempt on the socket counts if it is at the same time.
    fn is_current(&self, active: &[Option<Active>]) -> bool {
        active[self.socket.0].as_ref().is_some_and(|active| active.queued == self.at)
    }
}

/// The deadlines of all attempts.
#[derive(Debug, Default)]
struct Deadlines {
    /// Deadlines of connection attempts, each queue in order. Most attempts of a run wait equally long,
    /// and some for the whole timeout, so two queues take almost all of them.
    connects: [VecDeque<Due>; 2],
    /// Deadlines of conversations, which move, and those of other connection attempts.
    others: BinaryHeap<Reverse<Due>>,
}

impl Deadlines {
    fn push(&mut self, timer: Timer, due: Due) {
        let is_after =
            |queue: &&mut VecDeque<Due>| queue.back().is_none_or(|last| last.at <= due.at);
        let last = |queue: &&mut VecDeque<Due>| queue.back().map(|last| last.at);
        let connects = self.connects.iter_mut().filter(|_| timer == Timer::Connect);
        match connects.filter(is_after).max_by_key(last) {
            Some(queue) => queue.push_back(due),
            None => self.others.push(Reverse(due)),
        }
    }

    fn len(&self) -> usize {
        self.connects.iter().map(VecDeque::len).sum::<usize>() + self.others.len()
    }

    fn retain(&mut self, mut is_current: impl FnMut(&Due) -> bool) {
        for queue in &mut self.connects {
            queue.retain(&mut is_current);
        }
        self.others.retain(|Reverse(due)| is_current(due));
    }

    /// Returns the earliest deadline.
    fn next(&self) -> Option<Instant> {
        let connects = self.connects.iter().filter_map(VecDeque::front);
        connects.chain(self.others.peek().map(|Reverse(due)| due)).map(|due| due.at).min()
    }

    /// Removes a deadline that has passed.
    fn pop(&mut self, now: Instant) -> Option<Due> {
        for queue in &mut self.connects {
            if queue.front().is_some_and(|due| due.at <= now) {
                return queue.pop_front();
            }
        }
        if self.others.peek().is_some_and(|Reverse(due)| due.at <= now) {
            return self.others.pop().map(|Reverse(due)| due);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_kinds_of_connection_attempts_stay_in_their_queues() {
        let mut deadlines = Deadlines::default();
        let at = |milliseconds| Instant::START.after(Duration::from_millis(milliseconds));
        let due = |at| Due { at, socket: Socket(0) };
        for started in 0..1000 {
            let wait = if started % 64 == 7 { 10_000 } else { 3200 };
            deadlines.push(Timer::Connect, due(at(started + wait)));
        }
        assert!(deadlines.others.is_empty());
        deadlines.push(Timer::Connect, due(at(5)));
        deadlines.push(Timer::Quiet, due(at(6)));
        assert_eq!((deadlines.others.len(), deadlines.len()), (2, 1002));
        assert_eq!(deadlines.next(), Some(at(5)));
        let passed = std::iter::from_fn(|| deadlines.pop(at(4200))).count();
        assert_eq!(passed, 2 + 1000 - 1000_usize.div_ceil(64));
        assert_eq!(deadlines.next(), Some(at(10_007)));
    }
}
