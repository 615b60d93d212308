//! The supervisor: the thread that starts the workers of a run, leases work to them, receives their
//! results and replaces workers that end.
//!
//! - Invariant: the supervisor never waits for one worker. Sockets are non-blocking. Bytes that a
//!   socket does not accept stay in the worker's buffer, which holds at most the work leased to
//!   that worker. So a slow worker delays neither the other workers nor the results.
//! - Invariant: before the supervisor kills a worker for missing heartbeats, it has read everything
//!   that the worker sent. Time in which the supervisor itself did not run does not count.
//! - Invariant: when the thread ends, every worker has exited and was waited for.

use std::{
    io::{self, ErrorKind, Read},
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    net::SendFlags,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    frames::{self, FrameBuffer, FrameError, FrameKind, FrameWriter, Values},
    process::{KilledProcess, Process, Program, WorkerExit},
    queue::{Completion, TaskError, Ticket, WorkQueue, WorkerId},
    status::PoolStatus,
};
use crate::{
    clock::{Clock, Instant},
    config::defaults,
    waker::Waker,
};

/// The most bytes that one read takes from a socket.
const READ_SIZE: usize = 64 << 10;
/// The most reads from one socket before the supervisor turns to the next.
const READS_MAX: usize = 4;
/// Interval at which the supervisor polls killed workers until they have exited.
const REAP_INTERVAL: Duration = Duration::from_millis(10);
/// The longest wait for events.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Time between two turns above which this thread was delayed, not waiting: more than [`WAIT_MAX`].
const DELAY_MIN: Duration = Duration::from_secs(2);
/// Pause before a worker is restarted. Each further failed start in a row doubles it, up to 0.8 s.
const RESTART_PAUSE: Duration = Duration::from_millis(50);
/// Failed starts in a row after which a slot is closed.
const FAILURES_MAX: u32 = 6;

/// Receives completions with the worker that they came from. Must not block.
///
/// The supervisor calls it without completions when the capacity of the pool has grown.
pub(crate) type Deliver<W, R> = Box<dyn FnMut(WorkerId, Vec<Completion<W, R>>) + Send>;

/// Everything that the supervisor's thread needs from the pool.
pub(super) struct SupervisorContext<W, R> {
    pub(super) clock: Clock,
    pub(super) program: Program,
    /// The maximum number of tasks that a worker runs concurrently.
    pub(super) concurrency: usize,
    /// The first frame to each worker.
    pub(super) hello_frame: Vec<u8>,
    /// Batches of work. The supervisor ends when the pool closes this channel.
    pub(super) work: Receiver<Vec<W>>,
    /// The pool wakes it after it sends to `work` or closes it.
    pub(super) waker: Waker,
    pub(super) deliver: Deliver<W, R>,
    /// Dropped when the start barrier opens, which closes the pool's end.
    pub(super) barrier: Option<Sender<()>>,
    pub(super) status: PoolStatus,
}

/// The workers of a run, and all other state of the supervisor's thread.
pub(super) struct Supervisor<Q: WorkQueue, R> {
    queue: Q,
    context: SupervisorContext<Q::Work, R>,
    slots: Vec<Slot>,
    /// Workers that were killed and not yet waited for, each with the reason; `None` if the reason
    /// is the exit status.
    killed: Vec<(KilledProcess, Option<WorkerExit>)>,
    done: Vec<Completion<Q::Work, R>>,
    /// When the latest turn of the loop began.
    last_turn: Instant,
    /// The worker that was first to get a lease in the latest round.
    first: WorkerId,
    buffer: Vec<u8>,
}

/// The slot of one worker and its replacements.
#[derive(Debug)]
struct Slot {
    state: SlotState,
    /// Failed starts in a row.
    failures: u32,
}

#[derive(Debug)]
enum SlotState {
    /// A worker will be started at this time.
    Vacant(Instant),
    Occupied(Box<RunningWorker>),
    /// No worker will be started here again.
    Closed,
}

/// A worker process and the bytes received from it and unsent to it.
#[derive(Debug)]
struct RunningWorker {
    process: Process,
    received: FrameBuffer,
    unsent: Vec<u8>,
    /// How many bytes at the beginning of `unsent` were sent.
    sent_bytes: usize,
    /// When it must be ready; `None` once it is ready.
    ready_by: Option<Instant>,
    /// How many tickets were written to it.
    sent_tickets: u64,
    /// How many tickets it must have read for its next heartbeat to count.
    due_tickets: u64,
}

impl RunningWorker {
    fn new(process: Process, hello_frame: &[u8], now: Instant) -> Self {
        Self {
            process,
            received: FrameBuffer::default(),
            unsent: hello_frame.to_vec(),
            sent_bytes: 0,
            ready_by: Some(now.after(defaults::WORKERS_START)),
            sent_tickets: 0,
            due_tickets: 0,
        }
    }

    /// Sends as many bytes as the socket accepts.
    fn flush(&mut self) {
        while self.sent_bytes < self.unsent.len() {
            let rest = &self.unsent[self.sent_bytes..];
            match rustix::net::send(&self.process.socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => self.sent_bytes += sent,
                Err(Errno::INTR) => {}
                // The next read from the socket shows whether the worker has exited.
                Err(_) => break,
            }
        }
        // The sent bytes must not accumulate when the buffer never runs empty. They are removed
        // when they are half of it, so that each byte moves at most once.
        if self.sent_bytes >= self.unsent.len() / 2 {
            self.unsent.drain(..std::mem::take(&mut self.sent_bytes));
        }
    }
}

impl<Q, R> Supervisor<Q, R>
where
    Q: WorkQueue<Work: Serialize>,
    R: DeserializeOwned,
{
    /// Starts the workers. Those that can't be started are started again later, except the first.
    ///
    /// # Errors
    /// The first worker can't be started.
    pub(super) fn start(
        queue: Q,
        workers: usize,
        context: SupervisorContext<Q::Work, R>,
    ) -> io::Result<Self> {
        let now = context.clock.now();
        let mut supervisor = Self {
            queue,
            context,
            slots: Vec::new(),
            killed: Vec::new(),
            done: Vec::new(),
            last_turn: now,
            first: 0,
            buffer: vec![0; READ_SIZE],
        };
        let process = supervisor.context.program.start()?;
        let first = RunningWorker::new(process, &supervisor.context.hello_frame, now);
        let state = SlotState::Occupied(Box::new(first));
        supervisor.slots.push(Slot { state, failures: 0 });
        for _ in 1..workers {
            supervisor.slots.push(Slot { state: SlotState::Vacant(now), failures: 0 });
        }
        supervisor.start_workers(now);
        Ok(supervisor)
    }

    /// Runs until the pool closes the channel of work, then kills the workers and waits for them.
    pub(super) fn run(mut self) {
        while self.turn() {}
        let mut killed = Vec::new();
        for slot in &mut self.slots {
            if let SlotState::Occupied(worker) =
                std::mem::replace(&mut slot.state, SlotState::Closed)
            {
                killed.push(worker.process.kill());
            }
        }
        // These ended during the run, so they count as losses.
        for (process, cause) in self.killed.drain(..) {
            let exit = process.wait();
            count_loss(&self.context.status, cause.unwrap_or(exit));
        }
        for process in killed {
            process.wait();
        }
        self.context.status.with(|stats| stats.peak = self.queue.peak());
    }

    /// Waits for events and handles them. Returns false when the pool has closed the channel of
    /// work.
    fn turn(&mut self) -> bool {
        let ready = self.wait();
        let now = self.context.clock.now();
        let gap = now.since(self.last_turn);
        if gap > DELAY_MIN {
            self.delayed(gap, now);
        }
        self.last_turn = now;
        if !self.receive_work() {
            return false;
        }
        for worker in ready {
            self.exchange(worker, now);
        }
        self.expire(now);
        self.start_workers(now);
        self.open_barrier(now);
        self.lease_and_recall(now);
        self.update_capacity();
        self.reap();
        true
    }

    /// Extends all timeouts by the time in which this thread did not run.
    fn delayed(&mut self, gap: Duration, now: Instant) {
        self.queue.delayed(gap, now);
        for slot in &mut self.slots {
            if let SlotState::Occupied(worker) = &mut slot.state {
                worker.ready_by = worker.ready_by.map(|until| until.after(gap));
            }
        }
    }

    /// Waits for an event or a timeout. Returns the workers whose sockets are ready.
    fn wait(&self) -> Vec<WorkerId> {
        let now = self.context.clock.now();
        let wait = self.next_timeout().map_or(WAIT_MAX, |at| at.since(now).min(WAIT_MAX));
        let timeout = Timespec::try_from(wait).unwrap_or_default();
        let mut polled = vec![PollFd::new(self.context.waker.descriptor(), PollFlags::IN)];
        let mut workers = Vec::new();
        for (id, worker) in self.workers() {
            let flags = if worker.unsent.is_empty() { PollFlags::IN } else { READABLE_OR_WRITABLE };
            polled.push(PollFd::new(&worker.process.socket, flags));
            workers.push(id);
        }
        // A signal interrupted the wait, or the system lacks memory for it. No socket blocks, so
        // it is safe to try them all.
        if rustix::event::poll(&mut polled, Some(&timeout)).is_err() {
            return workers;
        }
        let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
        if is_ready(&polled[0]) {
            self.context.waker.reset();
        }
        let sockets = workers.into_iter().zip(&polled[1..]);
        sockets.filter(|(_, polled)| is_ready(polled)).map(|(worker, _)| worker).collect()
    }

    /// Iterates over the running workers.
    fn workers(&self) -> impl Iterator<Item = (WorkerId, &RunningWorker)> {
        self.slots.iter().enumerate().filter_map(|(id, slot)| match &slot.state {
            SlotState::Occupied(worker) => Some((id, &**worker)),
            SlotState::Vacant(_) | SlotState::Closed => None,
        })
    }

    /// Returns the next time at which something must be done even if no event arrives.
    fn next_timeout(&self) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|slot| match &slot.state {
            SlotState::Vacant(restart_at) => Some(*restart_at),
            SlotState::Occupied(worker) => worker.ready_by,
            SlotState::Closed => None,
        });
        let reap = (!self.killed.is_empty()).then(|| self.last_turn.after(REAP_INTERVAL));
        slots.chain(self.queue.next_timeout()).chain(reap).min()
    }

    /// Moves new work from the pool into the queue. Returns false when the pool has closed the
    /// channel.
    fn receive_work(&mut self) -> bool {
        loop {
            match self.context.work.try_recv() {
                Ok(batch) => batch.into_iter().for_each(|work| self.queue.add(work)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Sends what a worker's socket accepts, reads what the worker has sent, and handles the
    /// frames.
    fn exchange(&mut self, id: WorkerId, now: Instant) {
        for _ in 0..READS_MAX {
            let SlotState::Occupied(worker) = &mut self.slots[id].state else { return };
            worker.flush();
            match worker.process.socket.read(&mut self.buffer) {
                Ok(0) => return self.remove(id, None, now),
                Ok(length) => {
                    worker.received.extend(&self.buffer[..length]);
                    if self.handle_frames(id, now).is_err() {
                        return self.remove(id, Some(WorkerExit::Garbage), now);
                    }
                    if length < READ_SIZE {
                        return;
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted => {}
                    _ => return self.remove(id, None, now),
                },
            }
        }
    }

    /// Handles the complete frames that a worker has sent.
    ///
    /// # Errors
    /// A frame is invalid or unexpected.
    fn handle_frames(&mut self, id: WorkerId, now: Instant) -> Result<(), FrameError> {
        let Self { queue, slots, done, .. } = self;
        let Slot { state: SlotState::Occupied(worker), failures } = &mut slots[id] else {
            return Ok(());
        };
        while let Some((kind, mut values)) = worker.received.next()? {
            match kind {
                FrameKind::Ready if worker.ready_by.is_some() => {
                    let concurrency = read_ready(&mut values)?.min(self.context.concurrency);
                    worker.ready_by = None;
                    queue.join(id, concurrency, now);
                }
                FrameKind::Settled if worker.ready_by.is_none() => {
                    settle_results(queue, id, &mut values, done)?;
                    *failures = 0;
                }
                FrameKind::Failed => {
                    for ticket in values.all::<Ticket>()? {
                        let work = queue.settle(id, ticket);
                        done.extend(work.map(|work| (work, Err(TaskError::Unsendable))));
                    }
                }
                FrameKind::Returned => queue.take_back(id, &values.all::<Ticket>()?),
                FrameKind::Alive => {
                    let read: u64 = values.expect()?;
                    // A worker that sends heartbeats but does not read would hold its work forever.
                    if read >= worker.due_tickets {
                        worker.due_tickets = worker.sent_tickets;
                        queue.renew(id, now);
                    }
                }
                kind => return Err(FrameError::Unexpected(kind)),
            }
        }
        self.deliver(id);
        Ok(())
    }

    /// Kills a worker if it is still running, and schedules its replacement. `cause` is `None` if
    /// the worker's exit status is the cause.
    fn remove(&mut self, id: WorkerId, cause: Option<WorkerExit>, now: Instant) {
        // Work may have ended a worker that held some, so only an end without work is a failed
        // start. The queue bounds how many workers the same work can end.
        let is_failed_start = self.queue.held(id) == 0;
        let failures = self.slots[id].failures + u32::from(is_failed_start);
        let next = Slot { state: state_after(failures, now), failures };
        let previous = std::mem::replace(&mut self.slots[id], next);
        if let SlotState::Occupied(worker) = previous.state {
            self.killed.push((worker.process.kill(), cause));
        }
        let given_up = self.queue.remove_worker(id);
        if matches!(self.slots[id].state, SlotState::Closed) {
            self.queue.close_slot(id);
        }
        self.done.extend(given_up.into_iter().map(|work| (work, Err(TaskError::KillsWorkers))));
        self.deliver(id);
    }

    /// Removes the workers that missed their heartbeats or were not ready in time.
    fn expire(&mut self, now: Instant) {
        while let Some(worker) = self.queue.overdue(now) {
            self.remove(worker, Some(WorkerExit::Silent), now);
        }
        let is_late = |worker: &RunningWorker| worker.ready_by.is_some_and(|until| until <= now);
        let late = self.workers().filter(|(_, worker)| is_late(worker)).map(|(id, _)| id);
        for id in late.collect::<Vec<_>>() {
            self.remove(id, Some(WorkerExit::NotReady), now);
        }
    }

    /// Starts workers in the vacant slots whose time has come. When all slots are closed, returns
    /// all work to the pool.
    fn start_workers(&mut self, now: Instant) {
        let has_workers = self.workers().next().is_some();
        for (id, slot) in self.slots.iter_mut().enumerate() {
            if !matches!(slot.state, SlotState::Vacant(restart_at) if restart_at <= now) {
                continue;
            }
            if let Ok(process) = self.context.program.start() {
                let worker = RunningWorker::new(process, &self.context.hello_frame, now);
                slot.state = SlotState::Occupied(Box::new(worker));
                continue;
            }
            // This machine is short of some resource. While other workers run, the slot stays open,
            // because their exit may free it.
            count_loss(&self.context.status, WorkerExit::NotStarted);
            let most = if has_workers { FAILURES_MAX - 1 } else { u32::MAX };
            slot.failures = (slot.failures + 1).min(most);
            slot.state = state_after(slot.failures, now);
            if matches!(slot.state, SlotState::Closed) {
                self.queue.close_slot(id);
            }
        }
        if self.slots.iter().all(|slot| matches!(slot.state, SlotState::Closed)) {
            let unsettled = self.queue.drain();
            self.done.extend(unsettled.into_iter().map(|work| (work, Err(TaskError::NoWorkers))));
            self.context.barrier = None;
            self.deliver(0);
        }
    }

    /// Opens the pool's start barrier once the queue's has opened.
    fn open_barrier(&mut self, now: Instant) {
        if self.context.barrier.is_some()
            && let Some(ready) = self.queue.open_barrier(now)
        {
            self.context.status.with(|stats| stats.ready = Some(ready));
            self.context.barrier = None;
        }
    }

    /// Leases work to every worker, and recalls unstarted work for idle workers.
    fn lease_and_recall(&mut self, now: Instant) {
        self.first = (self.first + 1) % self.slots.len();
        for id in (self.first..self.slots.len()).chain(0..self.first) {
            let tickets = self.queue.lease(id, now);
            if !tickets.is_empty() {
                self.send_leases(id, &tickets);
            }
        }
        while let Some((id, count)) = self.queue.recall(now) {
            if let SlotState::Occupied(worker) = &mut self.slots[id].state {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                let written = frames::write(&mut worker.unsent, FrameKind::Recall, &count);
                debug_assert!(written.is_ok(), "a number is serializable");
                worker.flush();
            }
        }
    }

    /// Sends leases with their work to a worker. Work that can't be sent is settled as an error.
    fn send_leases(&mut self, id: WorkerId, tickets: &[Ticket]) {
        let Self { queue, slots, done, .. } = self;
        let SlotState::Occupied(worker) = &mut slots[id].state else { return };
        let mut rest = tickets.iter().peekable();
        while rest.peek().is_some() {
            let mut frame = FrameWriter::begin(&mut worker.unsent, FrameKind::Lease);
            let mut written = 0;
            while !frame.is_full()
                && let Some(&&ticket) = rest.peek()
            {
                match frame.value(&(ticket, queue.work(ticket))) {
                    Ok(()) => written += 1,
                    // It may fit into a frame of its own.
                    Err(FrameError::TooLong(_)) if written > 0 => break,
                    Err(_) => {
                        let work = queue.settle(id, ticket);
                        done.extend(work.map(|work| (work, Err(TaskError::Unsendable))));
                    }
                }
                rest.next();
            }
            worker.sent_tickets += written;
            frame.end();
        }
        worker.flush();
        self.deliver(id);
    }

    /// Publishes the queue's capacity. If it has grown, calls `deliver` so that the pool's owner
    /// wakes up.
    fn update_capacity(&mut self) {
        let capacity = self.queue.capacity();
        if self.context.status.set_capacity(capacity) < capacity {
            (self.context.deliver)(0, Vec::new());
        }
    }

    /// Delivers the completions that have accumulated.
    fn deliver(&mut self, id: WorkerId) {
        if !self.done.is_empty() {
            (self.context.deliver)(id, std::mem::take(&mut self.done));
        }
    }

    /// Counts the killed workers that have exited, and forgets them.
    fn reap(&mut self) {
        let status = &self.context.status;
        self.killed.retain_mut(|(process, cause)| {
            let Some(exit) = process.poll() else { return true };
            count_loss(status, cause.unwrap_or(exit));
            false
        });
    }
}

/// The events to wait for at a socket that did not accept all bytes.
const READABLE_OR_WRITABLE: PollFlags = PollFlags::IN.union(PollFlags::OUT);

fn count_loss(status: &PoolStatus, exit: WorkerExit) {
    status.with(|stats| *stats.losses.entry(exit).or_default() += 1);
}

/// Returns the state of a slot without a worker after this many failed starts in a row.
fn state_after(failures: u32, now: Instant) -> SlotState {
    if failures >= FAILURES_MAX {
        return SlotState::Closed;
    }
    SlotState::Vacant(now.after(RESTART_PAUSE * (1 << failures.saturating_sub(1))))
}

/// Reads the values of a worker's first frame. Returns its concurrency.
fn read_ready(values: &mut Values<'_>) -> Result<usize, FrameError> {
    frames::check_version(values)?;
    let concurrency: u32 = values.expect()?;
    Ok(usize::try_from(concurrency).unwrap_or(usize::MAX))
}

/// Settles the results of a worker. Late and duplicate results are dropped.
fn settle_results<Q: WorkQueue, R: DeserializeOwned>(
    queue: &mut Q,
    worker: WorkerId,
    values: &mut Values<'_>,
    done: &mut Vec<Completion<Q::Work, R>>,
) -> Result<(), FrameError> {
    while let Some((ticket, result)) = values.next::<(Ticket, R)>()? {
        if let Some(work) = queue.settle(worker, ticket) {
            done.push((work, Ok(result)));
        }
    }
    Ok(())
}
