//! Event loops, each with many attempts at a time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    net::SocketAddr,
};

use crossbeam_channel::{Receiver, TryRecvError, bounded};
use rustix::io::Errno;

use super::{
    Reports, StartError, WorkerContext,
    capacity::LimitingResource,
    spawn,
    thread_pool::{Lane, Started, THREADS_SPARED, ThreadPool},
};
use crate::{
    attempt::{Attempt, Rules, Timer},
    clock::Instant,
    driver::{Driver, Net, Socket, descriptors, epoll::Epoll, waker::Waker},
    memory::{Memory, Reservation},
    outcome::Conclusion,
    schedule::{CheckId, Report, Start},
};

/// Attempts begun before events are looked at again. A burst of 19,000 made thousands of open
/// targets look silent; a few hundred never did.
const BURST: usize = 256;

/// Attempts that each loop may be given ahead of what it has begun: work for twelve milliseconds,
/// for which it can do without the coordinator. Where loops keep all processors busy, whoever feeds
/// them waits a time slice, three milliseconds, for its turn, and so does whoever feeds that one.
const LEAD: usize = 4096;

/// Batches of starts that wait for a loop. A loop never waits for the coordinator, so the
/// coordinator may wait for a place here.
const BATCHES_MAX: usize = 1024;

/// Loops that are started only for their descriptor tables: at 20,000 descriptors each they hold
/// more than a million attempts.
const TABLES_MAX: usize = 64;

/// Descriptors that one loop must be worth.
const LOOP_DESCRIPTORS: usize = 16;

/// Deadlines of attempts that have ended which may stand in the queues, beside as many again as
/// attempts are open: few enough to be small, many enough that clearing them costs little each.
const STALE_MAX: usize = 4096;

/// Starts the loops, each on a lane of its own. Each has a descriptor table of its own where the
/// system lets it, and there are more of them than asked for when so many attempts need more
/// descriptors than one table holds. Where the system gives fewer loops, these have to do.
pub(super) fn start(
    loops: usize,
    in_flight: usize,
    setting: &WorkerContext,
) -> Result<Started, StartError> {
    let table = descriptors::budget().attempts;
    // Each costs the table of this process a descriptor, too.
    let tables = in_flight.div_ceil(table).min(table / LOOP_DESCRIPTORS).min(TABLES_MAX);
    let (mut wanted, mut scarce) = (loops.max(tables), LimitingResource::Descriptors);
    let mut own_tables = true;
    let mut lanes = ThreadPool::default();
    while lanes.all.len() < wanted {
        match add_loop(&mut lanes, in_flight, setting) {
            Ok(true) => {}
            Ok(false) => {
                (own_tables, wanted, scarce) = (false, loops, LimitingResource::SharedDescriptors);
            }
            Err(error) if lanes.all.is_empty() => return Err(error),
            Err(error) => {
                lanes.dismiss((lanes.all.len() - 1).min(THREADS_SPARED));
                (wanted, scarce) = (lanes.all.len(), error.scarce());
            }
        }
    }
    lanes.loads = vec![0; lanes.all.len()];
    lanes.backlog_room = Some(LEAD * lanes.all.len());
    let tables = if own_tables { lanes.all.len() } else { 1 };
    Ok(Started { lanes, capacity: in_flight.min(table.saturating_mul(tables)), scarce })
}

/// Starts one more loop; whether it has a descriptor table of its own.
fn add_loop(
    lanes: &mut ThreadPool,
    in_flight: usize,
    setting: &WorkerContext,
) -> Result<bool, StartError> {
    let place = lanes.all.len();
    let (starts, queue) = bounded::<Vec<Start>>(in_flight.min(BATCHES_MAX));
    let (ready, started) = bounded(1);
    let waker = Waker::new()?;
    let stop = waker.clone();
    let thread = spawn("portmuster-loop", setting.clone(), move |setting| {
        let owns_table = descriptors::own_table(waker.descriptor());
        let net = Epoll::new(setting.clock, setting.source, waker);
        // It is waited for.
        let _ = ready.send(net.as_ref().map(|_| owns_table).map_err(|&errno| errno));
        if let Ok(net) = net {
            run(
                place,
                EventLoop::new(net, setting.rules, setting.memory.clone()),
                &queue,
                &setting,
            );
        }
    })?;
    let owns_table = match started.recv().unwrap_or(Err(Errno::CANCELED)) {
        Ok(owns_table) => owns_table,
        Err(errno) => {
            // It ends by itself; its panic was reported.
            let _ = thread.join();
            return Err(errno.into());
        }
    };
    lanes.threads.push(thread);
    lanes.stops.push(stop.clone());
    lanes.all.push(Lane {
        starts: Some(starts),
        batch: Vec::new(),
        batch_max: BURST,
        waker: Some(stop),
        waiting: None,
    });
    Ok(owns_table)
}

/// One loop, until the lane is closed.
fn run(
    worker: usize,
    mut event_loop: EventLoop<Epoll>,
    queue: &Receiver<Vec<Start>>,
    setting: &WorkerContext,
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
        if setting.reports.send(Reports { worker, begun, ended, held }).is_err() {
            return;
        }
    }
}

/// Many attempts over one [`Net`].
#[derive(Debug)]
pub(crate) struct EventLoop<N> {
    pub(crate) driver: Driver<N>,
    /// By socket.
    active: Vec<Option<Active>>,
    open: usize,
    deadlines: Deadlines,
    serial: u64,
    ready: Vec<Socket>,
    /// Refusals of this turn, which ICMP may have made: places among the reports, and of which
    /// endpoint.
    refused: Vec<(usize, SocketAddr)>,
    /// Memory of conversations whose reports have not left.
    held: Vec<Reservation>,
}

#[derive(Debug)]
struct Active {
    id: CheckId,
    attempt: Attempt,
    /// Tells this attempt from others that had the same socket.
    serial: u64,
    /// The earliest of its deadlines that stands in the queues.
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
            serial: 0,
            ready: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Begins what was leased, waits for something to happen (at most until then), and deals
    /// with it. What has ended is added to the reports. How many have begun.
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
        // Whoever gave them is to know at once.
        let until = if begun == 0 && reports.is_empty() {
            self.deadlines.next().into_iter().chain(until).min()
        } else {
            Some(now)
        };
        let mut ready = std::mem::take(&mut self.ready);
        self.driver.net.wait(until, &mut ready);
        for socket in ready.drain(..) {
            self.advance(socket, reports);
        }
        self.ready = ready;
        self.expire(reports);
        self.take_icmp(reports);
        begun
    }

    /// Begins an attempt now; what time it is then.
    fn begin(&mut self, start: Start, now: Instant, reports: &mut Vec<Report>) -> Instant {
        let Start { id, endpoint, opening } = start;
        let mut attempt = Attempt::new(endpoint, now).opening(opening);
        match self.driver.begin(&mut attempt) {
            Err(conclusion) => {
                // The clock was read for the verdict; reading it once more for the next attempt
                // would be a part in a hundred of all that a refused target costs.
                let ended = match &conclusion {
                    Conclusion::Verdict(verdict) => now.after(verdict.times.total),
                    Conclusion::Fault(_) => self.driver.net.now(),
                };
                self.held.extend(attempt.release());
                self.report(id, endpoint, conclusion, reports);
                return ended;
            }
            Ok(socket) => {
                self.serial += 1;
                self.open += 1;
                let (timer, at) = self.driver.deadline(&attempt);
                self.deadlines.push(timer, Due { at, socket, serial: self.serial });
                if self.active.len() <= socket.0 {
                    self.active.resize_with(socket.0 + 1, || None);
                }
                self.active[socket.0] =
                    Some(Active { id, attempt, serial: self.serial, queued: at });
            }
        }
        self.driver.net.now()
    }

    fn advance(&mut self, socket: Socket, reports: &mut Vec<Report>) {
        let Some(active) = self.active.get_mut(socket.0).and_then(Option::as_mut) else { return };
        let over = self.driver.advance(socket, &mut active.attempt);
        self.settle(socket, over, reports);
    }

    fn expire(&mut self, reports: &mut Vec<Report>) {
        let now = self.driver.net.now();
        while let Some(Due { at, socket, serial }) = self.deadlines.pop(now) {
            let Some(active) = &mut self.active[socket.0] else { continue };
            // Another attempt's, or one that an earlier deadline has taken the place of.
            if active.serial != serial || active.queued != at {
                continue;
            }
            active.queued = Instant::NEVER;
            let over = self.driver.expire(socket, &mut active.attempt);
            self.settle(socket, over, reports);
        }
        if self.deadlines.len() > 2 * self.open + STALE_MAX {
            let active = &self.active;
            self.deadlines.retain(|due| {
                active[due.socket.0]
                    .as_ref()
                    .is_some_and(|active| active.serial == due.serial && active.queued == due.at)
            });
        }
    }

    /// Ends the attempt, or sees to it that its next deadline stands in the queues.
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
        // A deadline that moved away is looked at when the one in the queue comes up: a server
        // that drips bytes moves it with each of them.
        if at < active.queued {
            active.queued = at;
            self.deadlines.push(timer, Due { at, socket, serial: active.serial });
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

    /// Takes what ICMP has said in this turn: it ends what is pending, and what was refused may have
    /// been refused by it. Of two refusals of one endpoint in a turn both count as ICMP's.
    fn take_icmp(&mut self, reports: &mut Vec<Report>) {
        for error in self.driver.net.take_icmp() {
            let active = self.active.get_mut(error.socket.0).and_then(Option::as_mut);
            if let Some(active) = active
                && let over @ Some(_) = self.driver.fail(error.socket, &mut active.attempt, &error)
            {
                self.settle(error.socket, over, reports);
            }
            let refused = self.refused.iter().filter(|(_, endpoint)| error.is_about(*endpoint));
            refused.for_each(|&(report, _)| reports[report].conclusion.refused_by_icmp());
        }
        self.refused.clear();
    }
}

/// A deadline in a queue. It holds no longer when the attempt has ended or has got an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    socket: Socket,
    serial: u64,
}

/// The deadlines of all attempts.
#[derive(Debug, Default)]
struct Deadlines {
    /// All connection attempts have the same time, so they fall due in the order they began.
    connects: VecDeque<Due>,
    /// Conversations have several limits, which move.
    conversations: BinaryHeap<Reverse<Due>>,
}

impl Deadlines {
    fn push(&mut self, timer: Timer, due: Due) {
        match timer {
            Timer::Connect => self.connects.push_back(due),
            _ => self.conversations.push(Reverse(due)),
        }
    }

    fn len(&self) -> usize {
        self.connects.len() + self.conversations.len()
    }

    fn retain(&mut self, mut holds: impl FnMut(&Due) -> bool) {
        self.connects.retain(&mut holds);
        self.conversations.retain(|Reverse(due)| holds(due));
    }

    /// When the first of them falls due.
    fn next(&self) -> Option<Instant> {
        let connect = self.connects.front().map(|due| due.at);
        let conversation = self.conversations.peek().map(|Reverse(due)| due.at);
        connect.into_iter().chain(conversation).min()
    }

    /// Takes one that has fallen due.
    fn pop(&mut self, now: Instant) -> Option<Due> {
        if self.connects.front().is_some_and(|due| due.at <= now) {
            return self.connects.pop_front();
        }
        if self.conversations.peek().is_some_and(|Reverse(due)| due.at <= now) {
            return self.conversations.pop().map(|Reverse(due)| due);
        }
        None
    }
}
