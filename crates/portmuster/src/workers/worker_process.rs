//! The inside of a worker process: one thread reads the socket, one writes it, others work.
//!
//! - Invariant: reading never waits for writing, nor either for the work: so the end of whoever
//!   started this process, a recall and a sign of life wait for nothing.
//! - Invariant: what waits here is bounded by what is leased.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rustix::{
    net::{AddressFamily, sockopt},
    process::{Signal, getppid, set_parent_process_death_signal},
};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{
    frames::{self, FrameError, FrameWriter, Frames, Kind, VERSION, Values},
    queue::Ticket,
};
use crate::clock::{Clock, Instant};

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(500);
/// Between two frames of results, so that many that come together share one. It delays a result
/// by no more. Whoever does its whole lease in less waits for the rest: with a millisecond two
/// workers did 0.8 million costless pieces a second, with this 2.3 million, and for less CPU.
const GATHER: Duration = Duration::from_micros(100);
/// Bytes taken from the socket at a time.
const READ_SIZE: usize = 64 << 10;
/// Answers to recalls that wait to be written. Only one recall is ever open.
const REPLIES_MAX: usize = 4;

/// What works in a worker process.
pub(crate) trait Engine<W> {
    /// How much it does at once.
    fn concurrency(&self) -> usize;

    /// Begins the work as soon as there is a hand for it.
    fn begin(&mut self, work: Vec<(Ticket, W)>);

    /// Takes back up to so much that has not begun.
    fn recall(&mut self, most: usize) -> Vec<Ticket>;
}

/// What comes out of an engine at a time.
pub(crate) trait Batch<R>: Send + 'static {
    /// What is done.
    fn results(self) -> impl Iterator<Item = (Ticket, R)>;
}

impl<R: Send + 'static> Batch<R> for (Ticket, R) {
    fn results(self) -> impl Iterator<Item = Self> {
        std::iter::once(self)
    }
}

/// An engine, and where what it has done comes out.
pub(crate) type Running<E, D> = (E, Receiver<D>);

/// Why a worker ends before its time.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    #[error("this is done by a process that portmuster starts by itself, with a socket as stdin")]
    NoSocket,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("starting to work failed: {0}")]
    Start(String),
    #[error("the process that started it has ended")]
    Orphaned,
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
}

/// Does what is leased over stdin until that is closed. `start` makes the engine from the setting
/// that was sent, and how much is ever leased.
///
/// It returns while threads still work: the process is to end with what this returns.
pub(crate) fn serve<S, W, R, E, D>(
    start: impl FnOnce(S, usize) -> Result<Running<E, D>, String>,
) -> ExitCode
where
    S: DeserializeOwned,
    W: DeserializeOwned,
    R: Serialize,
    E: Engine<W>,
    D: Batch<R>,
{
    let socket = stdin().and_then(|socket| end_with_parent(&socket).map(|()| socket));
    match socket.and_then(|socket| work(socket, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody else would tell: the other side sees only that this one has ended.
            let _ = writeln!(io::stderr(), "portmuster worker: {error}");
            ExitCode::from(2)
        }
    }
}

/// The socket that this process was started with.
fn stdin() -> Result<UnixStream, ServeError> {
    let stdin = io::stdin();
    let family = rustix::net::getsockname(stdin.as_fd()).map(|address| address.address_family());
    if family != Ok(AddressFamily::UNIX) {
        return Err(ServeError::NoSocket);
    }
    Ok(stdin.as_fd().try_clone_to_owned()?.into())
}

/// Has the system kill this process when the thread that started it ends: also while it is stopped,
/// or has a reader that hangs.
///
/// # Errors
/// It has ended already, so that nothing would ever come of it.
fn end_with_parent(socket: &UnixStream) -> Result<(), ServeError> {
    // Where it is refused the end of the socket is still noticed.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // A process without parents that it can see is in a namespace of its own.
    let Some(parent) = getppid() else { return Ok(()) };
    match sockopt::socket_peercred(socket) {
        Ok(starter) if starter.pid != parent => Err(ServeError::Orphaned),
        _ => Ok(()),
    }
}

fn work<S, W, R, E, D>(
    socket: UnixStream,
    start: impl FnOnce(S, usize) -> Result<Running<E, D>, String>,
) -> Result<(), ServeError>
where
    S: DeserializeOwned,
    W: DeserializeOwned,
    R: Serialize,
    E: Engine<W>,
    D: Batch<R>,
{
    let read = Arc::new(AtomicU64::new(0));
    let mut input = Input {
        socket: socket.try_clone()?,
        frames: Frames::default(),
        buffer: vec![0; READ_SIZE],
        read: Arc::clone(&read),
    };
    let Some((room, setting)) = input.next(Kind::Hello, |values| {
        frames::check_version(values)?;
        Ok((values.expect::<u32>()? as usize, values.expect::<S>()?))
    })?
    else {
        return Ok(());
    };
    let (mut engine, done) = start(setting, room).map_err(ServeError::Start)?;
    let concurrency = u32::try_from(engine.concurrency()).unwrap_or(u32::MAX);
    let mut output = Output {
        socket: socket.try_clone()?,
        buffer: Vec::new(),
        clock: Clock::start(),
        read,
        settled: 0,
        beat: Instant::START,
    };
    let (replies, returned) = bounded(REPLIES_MAX);
    let writer = thread::Builder::new().name("portmuster-results".into());
    let results = move || {
        let _alarm = Abort;
        // Nothing is leased to who has no thread to say what came of it. A socket that can't be
        // written has nobody at its other end; the reader is told so.
        let _ = output.ready(concurrency).and_then(|()| output.run(&done, &returned));
        let _ = socket.shutdown(Shutdown::Both);
    };
    writer.spawn(results).map_err(|error| ServeError::Start(error.to_string()))?;
    let served = input.serve(&mut engine, &replies);
    // Waiting for what is under way would keep this process after the one that wanted it.
    std::mem::forget(engine);
    served
}

/// What comes from the coordinator.
struct Input {
    socket: UnixStream,
    frames: Frames,
    buffer: Vec<u8>,
    /// Tickets that have come.
    read: Arc<AtomicU64>,
}

impl Input {
    /// Takes the first frame; `None` when the other side has gone.
    fn next<T>(
        &mut self,
        wanted: Kind,
        mut take: impl FnMut(&mut Values<'_>) -> Result<T, FrameError>,
    ) -> Result<Option<T>, ServeError> {
        loop {
            if let Some((kind, mut values)) = self.frames.next()? {
                let is_wanted = kind == wanted;
                return if is_wanted {
                    Ok(Some(take(&mut values)?))
                } else {
                    Err(FrameError::OutOfPlace(kind).into())
                };
            }
            if !self.read()? {
                return Ok(None);
            }
        }
    }

    /// Gives the engine what comes, until the other side has gone.
    fn serve<W: DeserializeOwned>(
        &mut self,
        engine: &mut impl Engine<W>,
        replies: &Sender<Vec<Ticket>>,
    ) -> Result<(), ServeError> {
        loop {
            while let Some((kind, mut values)) = self.frames.next()? {
                match kind {
                    Kind::Lease => {
                        let work = values.all()?;
                        self.read.fetch_add(work.len() as u64, Ordering::Relaxed);
                        engine.begin(work);
                    }
                    Kind::Recall => {
                        let most: u32 = values.expect()?;
                        if replies.send(engine.recall(most as usize)).is_err() {
                            return Ok(());
                        }
                    }
                    kind => return Err(FrameError::OutOfPlace(kind).into()),
                }
            }
            if !self.read()? {
                return Ok(());
            }
        }
    }

    /// Waits for more; false when the other side has gone.
    fn read(&mut self) -> io::Result<bool> {
        loop {
            match self.socket.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.frames.extend(&self.buffer[..length]);
                    return Ok(true);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => return Ok(false),
                    _ => return Err(error),
                },
            }
        }
    }
}

/// What goes to the coordinator.
struct Output {
    socket: UnixStream,
    buffer: Vec<u8>,
    clock: Clock,
    /// Tickets that have come.
    read: Arc<AtomicU64>,
    /// Tickets that have gone.
    settled: u64,
    /// When a sign of life is due.
    beat: Instant,
}

impl Output {
    fn ready(&mut self, concurrency: u32) -> Result<(), ServeError> {
        frames::write(&mut self.buffer, Kind::Ready, &(VERSION, concurrency))?;
        Ok(self.send()?)
    }

    /// Writes what is done and what was recalled, and otherwise a sign of life.
    fn run<R: Serialize, D: Batch<R>>(
        &mut self,
        done: &Receiver<D>,
        returned: &Receiver<Vec<Ticket>>,
    ) -> Result<(), ServeError> {
        loop {
            crossbeam_channel::select_biased! {
                recv(returned) -> tickets => match tickets {
                    Ok(tickets) => self.give_back(&tickets)?,
                    Err(_) => return Ok(()),
                },
                recv(done) -> results => match results {
                    Ok(results) => {
                        self.settle(std::iter::once(results).chain(done.try_iter()).flat_map(D::results))?;
                        self.send()?;
                        // Who has nothing more to do is waited for, and has nothing to gather.
                        if self.settled < self.read.load(Ordering::Relaxed) {
                            match returned.recv_timeout(GATHER) {
                                Ok(tickets) => self.give_back(&tickets)?,
                                Err(RecvTimeoutError::Timeout) => {}
                                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                            }
                        }
                    }
                    Err(_) => return Ok(()),
                },
                default(BEAT) => {}
            }
            self.show_life()?;
            self.send()?;
        }
    }

    fn show_life(&mut self) -> Result<(), ServeError> {
        let now = self.clock.now();
        if now >= self.beat {
            self.beat = now.after(BEAT);
            frames::write(&mut self.buffer, Kind::Alive, &self.read.load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn give_back(&mut self, returned: &[Ticket]) -> Result<(), ServeError> {
        self.settled += returned.len() as u64;
        Ok(tickets(&mut self.buffer, Kind::Returned, returned)?)
    }

    fn settle<R: Serialize>(
        &mut self,
        results: impl Iterator<Item = (Ticket, R)>,
    ) -> Result<(), ServeError> {
        let mut results = results.peekable();
        let mut failed = Vec::new();
        while results.peek().is_some() {
            let mut frame = FrameWriter::begin(&mut self.buffer, Kind::Settled);
            let before = self.settled;
            while !frame.is_full()
                && let Some(result) = results.peek()
            {
                match frame.value(result) {
                    Ok(()) => self.settled += 1,
                    // It may go into a frame of its own.
                    Err(FrameError::TooLong(_)) if self.settled > before => break,
                    Err(_) => failed.push(result.0),
                }
                results.next();
            }
            frame.end();
            self.send()?;
        }
        if !failed.is_empty() {
            self.settled += failed.len() as u64;
            tickets(&mut self.buffer, Kind::Failed, &failed)?;
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let sent = self.socket.write_all(&self.buffer);
        self.buffer.clear();
        sent
    }
}

/// Writes a frame of tickets.
fn tickets(buffer: &mut Vec<u8>, kind: Kind, tickets: &[Ticket]) -> Result<(), FrameError> {
    let mut frame = FrameWriter::begin(buffer, kind);
    for ticket in tickets {
        frame.value(ticket)?;
    }
    frame.end();
    Ok(())
}

/// Threads that do a job, one piece of work at a time each.
#[derive(Debug)]
pub(super) struct JobThreads<W> {
    threads: usize,
    queue: Sender<(Ticket, W)>,
    waiting: Receiver<(Ticket, W)>,
}

impl<W: Send + 'static> JobThreads<W> {
    /// Starts this many threads, with room for this much work.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(super) fn start<R: Send + 'static>(
        threads: usize,
        room: usize,
        job: impl Fn(W) -> R + Send + Sync + 'static,
    ) -> Result<Running<Self, (Ticket, R)>, String> {
        let (queue, waiting) = bounded(room);
        let (done, results) = bounded(room);
        let job = Arc::new(job);
        for _ in 0..threads {
            let (waiting, done, job) = (Receiver::clone(&waiting), done.clone(), Arc::clone(&job));
            let work = move || {
                let _alarm = Abort;
                for (ticket, work) in waiting {
                    if done.send((ticket, job(work))).is_err() {
                        return;
                    }
                }
            };
            let thread = thread::Builder::new().name("portmuster-job".into());
            thread.spawn(work).map_err(|error| error.to_string())?;
        }
        Ok((Self { threads, queue, waiting }, results))
    }
}

impl<W> Engine<W> for JobThreads<W> {
    fn concurrency(&self) -> usize {
        self.threads
    }

    fn begin(&mut self, work: Vec<(Ticket, W)>) {
        for work in work {
            // Refused never: a receiver is held here.
            let _ = self.queue.send(work);
        }
    }

    fn recall(&mut self, most: usize) -> Vec<Ticket> {
        self.waiting.try_iter().take(most).map(|(ticket, _)| ticket).collect()
    }
}

/// Ends the process when the thread panics: its work would never be settled.
struct Abort;

impl Drop for Abort {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}
