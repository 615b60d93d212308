//! The thread that keeps the workers of a run: it starts them, hands them work, takes what they
//! have done, and sees to it when one ends.
//!
//! - Invariant: it never waits for a worker. Sockets are non-blocking, what a socket does not take
//!   at once stays in the worker's buffer, and such a buffer holds at most what the worker is
//!   leased. So feeding one worker holds up neither the others nor what comes back.
//! - Invariant: before a worker is ended for its silence everything that had come was read, and
//!   time in which this thread itself was held up counts for nobody.
//! - Invariant: when the thread ends, every worker has ended and was waited for.

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
    frames::{self, FrameError, FrameWriter, Frames, Kind, Values},
    process::{Ended, Process, Program, WorkerExit},
    queue::{Completion, TaskError, Ticket, WorkQueue, WorkerId},
    status::PoolStatus,
};
use crate::{
    clock::{Clock, Instant},
    config::defaults,
    waker::Waker,
};

/// Bytes taken from a socket at a time, and how many times in a row.
const READ_SIZE: usize = 64 << 10;
const READS_MAX: usize = 4;
/// How often somebody looks whether a worker that was killed is gone.
const REAP: Duration = Duration::from_millis(10);
/// How long the thread waits at most, and between two looks at the workers how much more means
/// that it was held up.
const TICK: Duration = Duration::from_secs(1);
const HELD_UP: Duration = Duration::from_secs(2);
/// The pause before a worker is started again; each start in a row that came to nothing doubles
/// it, up to 1.6 s.
const PAUSE: Duration = Duration::from_millis(50);
/// Starts in a row that came to nothing after which a worker's place stays empty.
const FAILURES_MAX: u32 = 6;

/// Takes what is done, by the worker that did it; nothing, when there is only more room than
/// before. It never blocks.
pub(crate) type Deliver<W, R> = Box<dyn FnMut(WorkerId, Vec<Completion<W, R>>) + Send>;

/// What the supervisor's thread needs.
pub(super) struct SupervisorContext<W, R> {
    pub(super) clock: Clock,
    pub(super) program: Program,
    /// What a worker does at once, at most.
    pub(super) concurrency: usize,
    /// The first frame for each worker.
    pub(super) hello: Vec<u8>,
    /// Brings work; closed when all is to end.
    pub(super) work: Receiver<Vec<W>>,
    /// Called when `work` has something, or is closed.
    pub(super) call: Waker,
    pub(super) deliver: Deliver<W, R>,
    /// Closed when the barrier opens.
    pub(super) barrier: Option<Sender<()>>,
    pub(super) status: PoolStatus,
}

/// A run's workers, and the thread's whole state.
pub(super) struct Supervisor<Q: WorkQueue, R> {
    queue: Q,
    ends: SupervisorContext<Q::Work, R>,
    places: Vec<Place>,
    ended: Vec<(Ended, Option<WorkerExit>)>,
    done: Vec<Completion<Q::Work, R>>,
    looked: Instant,
    /// Which worker is given its share first.
    first: WorkerId,
    buffer: Vec<u8>,
}

/// Where one worker is, or was, or will be.
#[derive(Debug)]
struct Place {
    state: State,
    /// Starts in a row that came to nothing.
    failures: u32,
}

#[derive(Debug)]
enum State {
    /// It is started then.
    Empty(Instant),
    Taken(Box<Worker>),
    /// It is not started again.
    Closed,
}

#[derive(Debug)]
struct Worker {
    process: Process,
    input: Frames,
    output: Vec<u8>,
    written: usize,
    /// Until when it must be ready; `None` once it is.
    starting: Option<Instant>,
    /// Tickets that it was sent, and how many of them it must have read to be taken for alive.
    sent: u64,
    due: u64,
}

impl Worker {
    fn new(process: Process, hello: &[u8], now: Instant) -> Self {
        Self {
            process,
            input: Frames::default(),
            output: hello.to_vec(),
            written: 0,
            starting: Some(now.after(defaults::WORKERS_START)),
            sent: 0,
            due: 0,
        }
    }

    /// Sends what the socket takes.
    fn flush(&mut self) {
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            match rustix::net::send(&self.process.socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => self.written += sent,
                Err(Errno::INTR) => {}
                // A worker that is gone shows when its socket is read.
                Err(_) => break,
            }
        }
        // A socket that never runs empty must not keep all that has passed; half at a time, so
        // that each byte is moved once at most.
        if self.written >= self.output.len() / 2 {
            self.output.drain(..std::mem::take(&mut self.written));
        }
    }
}

impl<Q, R> Supervisor<Q, R>
where
    Q: WorkQueue<Work: Serialize>,
    R: DeserializeOwned,
{
    /// Starts this many workers.
    ///
    /// # Errors
    /// Not even one can be started.
    pub(super) fn start(
        queue: Q,
        workers: usize,
        ends: SupervisorContext<Q::Work, R>,
    ) -> io::Result<Self> {
        let now = ends.clock.now();
        let mut supervisor = Self {
            queue,
            ends,
            places: Vec::new(),
            ended: Vec::new(),
            done: Vec::new(),
            looked: now,
            first: 0,
            buffer: vec![0; READ_SIZE],
        };
        let first = supervisor.ends.program.start()?;
        let taken = State::Taken(Box::new(Worker::new(first, &supervisor.ends.hello, now)));
        supervisor.places.push(Place { state: taken, failures: 0 });
        for _ in 1..workers {
            supervisor.places.push(Place { state: State::Empty(now), failures: 0 });
        }
        supervisor.fill(now);
        Ok(supervisor)
    }

    /// Works until the owner has gone.
    pub(super) fn run(mut self) {
        while self.turn() {}
        let mut kept = Vec::new();
        for place in &mut self.places {
            if let State::Taken(worker) = std::mem::replace(&mut place.state, State::Closed) {
                kept.push(worker.process.kill());
            }
        }
        for (ended, cause) in self.ended.drain(..) {
            let ending = ended.wait();
            count_loss(&self.ends.status, cause.unwrap_or(ending));
        }
        for ended in kept {
            ended.wait();
        }
        self.ends.status.with(|stats| stats.peak = self.queue.peak());
    }

    /// Waits, and deals with all that has come; false when the owner has gone.
    fn turn(&mut self) -> bool {
        let readable = self.wait();
        let now = self.ends.clock.now();
        let gap = now.since(self.looked);
        if gap > HELD_UP {
            self.held_up(gap, now);
        }
        self.looked = now;
        if !self.take_work() {
            return false;
        }
        for worker in readable {
            self.read(worker, now);
        }
        self.expire(now);
        self.fill(now);
        self.open_barrier(now);
        self.hand_out(now);
        self.tell_room();
        self.reap();
        true
    }

    /// Time in which this thread did not run counts against nobody.
    fn held_up(&mut self, gap: Duration, now: Instant) {
        self.queue.held_up(gap, now);
        for place in &mut self.places {
            if let State::Taken(worker) = &mut place.state {
                worker.starting = worker.starting.map(|until| until.after(gap));
            }
        }
    }

    /// Waits until something has come or is due; the workers that have sent something.
    fn wait(&self) -> Vec<WorkerId> {
        let now = self.ends.clock.now();
        let due = self.due().map_or(TICK, |at| at.since(now).min(TICK));
        let timeout = Timespec::try_from(due).unwrap_or_default();
        let call = PollFd::new(self.ends.call.descriptor(), PollFlags::IN);
        let mut polled = vec![call];
        let mut workers = Vec::new();
        for (place, worker) in self.taken() {
            let wanted = if worker.output.is_empty() { PollFlags::IN } else { WANTS_ROOM };
            polled.push(PollFd::new(&worker.process.socket, wanted));
            workers.push(place);
        }
        // Cut short, or without the memory to wait with: everybody is asked, and nobody waits.
        if rustix::event::poll(&mut polled, Some(&timeout)).is_err() {
            return workers;
        }
        if !polled[0].revents().is_empty() {
            self.ends.call.reset();
        }
        let happened = |polled: &PollFd<'_>| !polled.revents().is_empty();
        workers
            .into_iter()
            .zip(&polled[1..])
            .filter(|(_, at)| happened(at))
            .map(|(at, _)| at)
            .collect()
    }

    fn taken(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.places.iter().enumerate().filter_map(|(place, Place { state, .. })| match state {
            State::Taken(worker) => Some((place, &**worker)),
            State::Empty(_) | State::Closed => None,
        })
    }

    /// When something is due although nothing has come.
    fn due(&self) -> Option<Instant> {
        let places = self.places.iter().filter_map(|place| match &place.state {
            State::Empty(at) => Some(*at),
            State::Taken(worker) => worker.starting,
            State::Closed => None,
        });
        let reap = (!self.ended.is_empty()).then(|| self.looked.after(REAP));
        places.chain(self.queue.wake_at()).chain(reap).min()
    }

    /// Takes the work that was brought; false when the owner has gone.
    fn take_work(&mut self) -> bool {
        loop {
            match self.ends.work.try_recv() {
                Ok(work) => work.into_iter().for_each(|work| self.queue.add(work)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Takes what a worker sent, and sends what its socket has room for.
    fn read(&mut self, place: WorkerId, now: Instant) {
        for _ in 0..READS_MAX {
            let State::Taken(worker) = &mut self.places[place].state else { return };
            worker.flush();
            match worker.process.socket.read(&mut self.buffer) {
                Ok(0) => return self.lose(place, None, now),
                Ok(length) => {
                    worker.input.extend(&self.buffer[..length]);
                    if self.take_frames(place, now).is_err() {
                        return self.lose(place, Some(WorkerExit::Garbage), now);
                    }
                    if length < READ_SIZE {
                        return;
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted => {}
                    _ => return self.lose(place, None, now),
                },
            }
        }
    }

    fn take_frames(&mut self, place: WorkerId, now: Instant) -> Result<(), FrameError> {
        let Self { queue, places, done, .. } = self;
        let Place { state: State::Taken(worker), failures } = &mut places[place] else {
            return Ok(());
        };
        while let Some((kind, mut values)) = worker.input.next()? {
            match kind {
                Kind::Ready if worker.starting.is_some() => {
                    let concurrency = ready(&mut values)?.min(self.ends.concurrency);
                    worker.starting = None;
                    queue.join(place, concurrency, now);
                }
                Kind::Settled if worker.starting.is_none() => {
                    settled(queue, place, &mut values, done)?;
                    *failures = 0;
                }
                Kind::Failed => {
                    for ticket in values.all::<Ticket>()? {
                        let work = queue.settle(place, ticket);
                        done.extend(work.map(|work| (work, Err(TaskError::Unsendable))));
                    }
                }
                Kind::Returned => queue.returned(place, &values.all::<Ticket>()?),
                Kind::Alive => {
                    let read: u64 = values.expect()?;
                    // Who writes but does not read holds its work for ever.
                    if read >= worker.due {
                        worker.due = worker.sent;
                        queue.extend(place, now);
                    }
                }
                kind => return Err(FrameError::OutOfPlace(kind)),
            }
        }
        self.deliver(place);
        Ok(())
    }

    /// The worker has ended, or is ended now, for this cause.
    fn lose(&mut self, place: WorkerId, cause: Option<WorkerExit>, now: Instant) {
        // What it held may have ended it: a start came to nothing only when it held nothing. How
        // often work ends workers has a bound of its own.
        let in_vain = self.queue.held(place) == 0;
        let failures = self.places[place].failures + u32::from(in_vain);
        let next = Place { state: pause(failures, now), failures };
        if let State::Taken(worker) = std::mem::replace(&mut self.places[place], next).state {
            self.ended.push((worker.process.kill(), cause));
        }
        let lost = self.queue.leave(place);
        if matches!(self.places[place].state, State::Closed) {
            self.queue.dismiss(place);
        }
        self.done.extend(lost.into_iter().map(|work| (work, Err(TaskError::KillsWorkers))));
        self.deliver(place);
    }

    /// Ends who has been silent or starting for too long.
    fn expire(&mut self, now: Instant) {
        while let Some(worker) = self.queue.overdue(now) {
            self.lose(worker, Some(WorkerExit::Silent), now);
        }
        let late = |worker: &Worker| worker.starting.is_some_and(|until| until <= now);
        let late: Vec<_> =
            self.taken().filter(|(_, worker)| late(worker)).map(|(place, _)| place).collect();
        for place in late {
            self.lose(place, Some(WorkerExit::NotReady), now);
        }
    }

    /// Starts the workers that are due.
    fn fill(&mut self, now: Instant) {
        let others = self.taken().next().is_some();
        for (place, own) in self.places.iter_mut().enumerate() {
            if !matches!(own.state, State::Empty(at) if at <= now) {
                continue;
            }
            if let Ok(process) = self.ends.program.start() {
                let worker = Worker::new(process, &self.ends.hello, now);
                own.state = State::Taken(Box::new(worker));
                continue;
            }
            // This machine is short of something. It may have it again as soon as others end.
            count_loss(&self.ends.status, WorkerExit::NotStarted);
            own.failures = (own.failures + 1).min(if others { FAILURES_MAX - 1 } else { u32::MAX });
            own.state = pause(own.failures, now);
            if matches!(own.state, State::Closed) {
                self.queue.dismiss(place);
            }
        }
        if self.places.iter().all(|place| matches!(place.state, State::Closed)) {
            let lost = self.queue.abandon();
            self.done.extend(lost.into_iter().map(|work| (work, Err(TaskError::NoWorkers))));
            self.ends.barrier = None;
            self.deliver(0);
        }
    }

    fn open_barrier(&mut self, now: Instant) {
        if self.ends.barrier.is_some()
            && let Some(ready) = self.queue.opened(now)
        {
            self.ends.status.with(|stats| stats.ready = Some(ready));
            self.ends.barrier = None;
        }
    }

    /// Gives every worker its share, and asks for what is better done elsewhere.
    fn hand_out(&mut self, now: Instant) {
        self.first = (self.first + 1) % self.places.len();
        for place in (self.first..self.places.len()).chain(0..self.first) {
            let tickets = self.queue.lease(place, now);
            if !tickets.is_empty() {
                self.send(place, &tickets);
            }
        }
        while let Some((place, most)) = self.queue.recall(now) {
            if let State::Taken(worker) = &mut self.places[place].state {
                let most = u32::try_from(most).unwrap_or(u32::MAX);
                let written = frames::write(&mut worker.output, Kind::Recall, &most);
                debug_assert!(written.is_ok(), "a number can be written");
                worker.flush();
            }
        }
    }

    fn send(&mut self, place: WorkerId, tickets: &[Ticket]) {
        let Self { queue, places, done, .. } = self;
        let State::Taken(worker) = &mut places[place].state else { return };
        let mut rest = tickets.iter().peekable();
        while rest.peek().is_some() {
            let mut frame = FrameWriter::begin(&mut worker.output, Kind::Lease);
            let mut written = 0;
            while !frame.is_full()
                && let Some(&&ticket) = rest.peek()
            {
                match frame.value(&(ticket, queue.work(ticket))) {
                    Ok(()) => written += 1,
                    // It may go into a frame of its own.
                    Err(FrameError::TooLong(_)) if written > 0 => break,
                    Err(_) => {
                        let work = queue.settle(place, ticket);
                        done.extend(work.map(|work| (work, Err(TaskError::Unsendable))));
                    }
                }
                rest.next();
            }
            worker.sent += written;
            frame.end();
        }
        worker.flush();
        self.deliver(place);
    }

    /// Says how much may be brought; who brings it is called when that has grown.
    fn tell_room(&mut self) {
        let room = self.queue.room();
        if self.ends.status.set_capacity(room) < room {
            (self.ends.deliver)(0, Vec::new());
        }
    }

    /// Backend over what is done.
    fn deliver(&mut self, place: WorkerId) {
        if !self.done.is_empty() {
            (self.ends.deliver)(place, std::mem::take(&mut self.done));
        }
    }

    fn reap(&mut self) {
        let status = &self.ends.status;
        self.ended.retain_mut(|(ended, cause)| {
            let Some(ending) = ended.poll() else { return true };
            count_loss(status, cause.unwrap_or(ending));
            false
        });
    }
}

/// For a socket that did not take all it was given.
const WANTS_ROOM: PollFlags = PollFlags::IN.union(PollFlags::OUT);

fn count_loss(status: &PoolStatus, ending: WorkerExit) {
    status.with(|stats| *stats.losses.entry(ending).or_default() += 1);
}

/// Where a place goes from here after so many starts that came to nothing.
fn pause(failures: u32, now: Instant) -> State {
    if failures >= FAILURES_MAX {
        return State::Closed;
    }
    State::Empty(now.after(PAUSE * (1 << failures.saturating_sub(1))))
}

/// Reads what a worker says when it is ready: how many it does at once.
fn ready(values: &mut Values<'_>) -> Result<usize, FrameError> {
    frames::check_version(values)?;
    let concurrency: u32 = values.expect()?;
    Ok(usize::try_from(concurrency).unwrap_or(usize::MAX))
}

/// Settles what a worker has done. What comes late or twice is dropped.
fn settled<Q: WorkQueue, R: DeserializeOwned>(
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
