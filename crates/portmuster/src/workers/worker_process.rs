//! The inside of a worker process: one thread reads the socket, one writes it, and others do the
//! work.
//!
//! - Invariant: the reader never waits for the writer, and neither of them waits for the work. So
//!   nothing delays a heartbeat, the answer to a recall, or the exit when the supervisor exits.
//! - Invariant: the queues in a worker hold at most the work that is leased to it.

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
    frames::{self, FrameBuffer, FrameError, FrameKind, FrameWriter, VERSION, Values},
    queue::Ticket,
};
use crate::{
    clock::{Clock, Instant},
    threads,
};

/// Interval between heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Pause after a frame of results, so that results which arrive together share the next frame. It
/// delays a result by at most this time.
///
/// A worker that finishes its whole lease within the pause waits for the rest of it. Measured with
/// two workers and work that costs nothing: 0.8 million pieces per second with a pause of 1 ms, 2.3
/// million with this one, and for less CPU.
const BATCH_DELAY: Duration = Duration::from_micros(100);
/// The most bytes that one read takes from the socket.
const READ_SIZE: usize = 64 << 10;
/// The most answers to recalls that wait for the writer. Only one recall is open at a time.
const REPLIES_MAX: usize = 4;

/// Does the work of a worker process.
pub(crate) trait Engine<W> {
    /// Returns the maximum number of tasks that it runs concurrently.
    fn concurrency(&self) -> usize;

    /// Queues work. Each piece starts as soon as the concurrency allows it.
    fn begin(&mut self, work: Vec<(Ticket, W)>);

    /// Removes up to `most` pieces of unstarted work. Returns their tickets.
    fn recall(&mut self, most: usize) -> Vec<Ticket>;
}

/// What an engine outputs at a time: any number of results.
pub(crate) trait ResultBatch<R>: Send + 'static {
    /// Returns each result with the ticket of its work.
    fn results(self) -> impl Iterator<Item = (Ticket, R)>;
}

impl<R: Send + 'static> ResultBatch<R> for (Ticket, R) {
    fn results(self) -> impl Iterator<Item = Self> {
        std::iter::once(self)
    }
}

/// An engine that has started, and the channel of its results.
pub(crate) type StartedEngine<E, B> = (E, Receiver<B>);

/// Why a worker process exits with an error.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    #[error(
        "only a process that portmuster starts by itself, with a socket as stdin, can be a worker"
    )]
    NoSocket,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("starting the threads that do the work failed: {0}")]
    Start(String),
    #[error("the process that started this worker has ended")]
    Orphaned,
    #[error("the socket to the supervisor failed: {0}")]
    Socket(#[from] io::Error),
}

/// Does the work that the supervisor leases over stdin, until the supervisor closes the socket.
///
/// `start` creates the engine from the settings that the supervisor sent and the most work that it
/// will lease at a time.
///
/// Threads of the engine may still be running when this returns, so the process must exit with the
/// returned code at once.
pub(crate) fn serve<S, W, R, E, B>(
    start: impl FnOnce(S, usize) -> Result<StartedEngine<E, B>, String>,
) -> ExitCode
where
    S: DeserializeOwned,
    W: DeserializeOwned,
    R: Serialize,
    E: Engine<W>,
    B: ResultBatch<R>,
{
    let socket = stdin().and_then(|socket| end_with_parent(&socket).map(|()| socket));
    match socket.and_then(|socket| run_engine(socket, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The supervisor sees only that this process has exited, not why.
            let _ = writeln!(io::stderr(), "portmuster worker: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns the socket that this process has as stdin.
///
/// # Errors
/// Stdin is not a Unix socket, or can't be duplicated.
fn stdin() -> Result<UnixStream, ServeError> {
    let stdin = io::stdin();
    let family = rustix::net::getsockname(stdin.as_fd()).map(|address| address.address_family());
    if family != Ok(AddressFamily::UNIX) {
        return Err(ServeError::NoSocket);
    }
    Ok(stdin.as_fd().try_clone_to_owned()?.into())
}

/// Makes the system kill this process when the thread that started it ends, even if this process is
/// stopped or its reader hangs.
///
/// # Errors
/// The parent has already ended, so that the system will not send the signal.
fn end_with_parent(socket: &UnixStream) -> Result<(), ServeError> {
    // If the system refuses, the reader still notices that the socket was closed.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // In a PID namespace of its own a process sees no parent.
    let Some(parent) = getppid() else { return Ok(()) };
    match sockopt::socket_peercred(socket) {
        Ok(peer) if peer.pid != parent => Err(ServeError::Orphaned),
        _ => Ok(()),
    }
}

/// Starts the engine and the writer, and reads leases until the supervisor closes the socket.
fn run_engine<S, W, R, E, B>(
    socket: UnixStream,
    start: impl FnOnce(S, usize) -> Result<StartedEngine<E, B>, String>,
) -> Result<(), ServeError>
where
    S: DeserializeOwned,
    W: DeserializeOwned,
    R: Serialize,
    E: Engine<W>,
    B: ResultBatch<R>,
{
    let read_tickets = Arc::new(AtomicU64::new(0));
    let mut reader = LeaseReader {
        socket: socket.try_clone()?,
        frames: FrameBuffer::default(),
        buffer: vec![0; READ_SIZE],
        read_tickets: Arc::clone(&read_tickets),
    };
    let Some((capacity, settings)) = reader.next(FrameKind::Hello, |values| {
        frames::check_version(values)?;
        Ok((values.expect::<u32>()? as usize, values.expect::<S>()?))
    })?
    else {
        return Ok(());
    };
    let (mut engine, done) = start(settings, capacity).map_err(ServeError::Start)?;
    let concurrency = u32::try_from(engine.concurrency()).unwrap_or(u32::MAX);
    let mut writer = ResultWriter {
        socket: socket.try_clone()?,
        buffer: Vec::new(),
        clock: Clock::start(),
        read_tickets,
        settled: 0,
        heartbeat_due: Instant::START,
    };
    let (replies, returned) = bounded(REPLIES_MAX);
    let thread = threads::named("portmuster-results");
    let write = move || {
        let _guard = AbortOnPanic;
        // The writer sends the first frame, so that no work is leased to a process without a
        // writer. When a write fails, the supervisor is gone, and the shutdown ends the reader.
        let _ = writer.write_ready(concurrency).and_then(|()| writer.run(&done, &returned));
        let _ = socket.shutdown(Shutdown::Both);
    };
    thread.spawn(write).map_err(|error| ServeError::Start(error.to_string()))?;
    let result = reader.run(&mut engine, &replies);
    // Dropping the engine would wait for work in progress, whose results the supervisor can't
    // receive.
    std::mem::forget(engine);
    result
}

/// Reads the frames of the supervisor.
struct LeaseReader {
    socket: UnixStream,
    frames: FrameBuffer,
    buffer: Vec<u8>,
    /// How many tickets were read from the socket.
    read_tickets: Arc<AtomicU64>,
}

impl LeaseReader {
    /// Waits for a frame of this kind and reads its values with `take`. Returns `None` when the
    /// supervisor has closed the socket.
    ///
    /// # Errors
    /// The frame is invalid or of another kind, or the socket fails.
    fn next<T>(
        &mut self,
        wanted: FrameKind,
        mut take: impl FnMut(&mut Values<'_>) -> Result<T, FrameError>,
    ) -> Result<Option<T>, ServeError> {
        loop {
            if let Some((kind, mut values)) = self.frames.next()? {
                let is_wanted = kind == wanted;
                return if is_wanted {
                    Ok(Some(take(&mut values)?))
                } else {
                    Err(FrameError::Unexpected(kind).into())
                };
            }
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    /// Passes leases and recalls to the engine until the supervisor closes the socket.
    ///
    /// # Errors
    /// A frame is invalid or unexpected, or the socket fails.
    fn run<W: DeserializeOwned>(
        &mut self,
        engine: &mut impl Engine<W>,
        replies: &Sender<Vec<Ticket>>,
    ) -> Result<(), ServeError> {
        loop {
            while let Some((kind, mut values)) = self.frames.next()? {
                match kind {
                    FrameKind::Lease => {
                        let work = values.all()?;
                        self.read_tickets.fetch_add(work.len() as u64, Ordering::Relaxed);
                        engine.begin(work);
                    }
                    FrameKind::Recall => {
                        let most: u32 = values.expect()?;
                        if replies.send(engine.recall(most as usize)).is_err() {
                            return Ok(());
                        }
                    }
                    kind => return Err(FrameError::Unexpected(kind).into()),
                }
            }
            if !self.receive()? {
                return Ok(());
            }
        }
    }

    /// Waits for bytes. Returns false when the supervisor has closed the socket.
    fn receive(&mut self) -> io::Result<bool> {
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

/// Writes the frames to the supervisor.
struct ResultWriter {
    socket: UnixStream,
    buffer: Vec<u8>,
    clock: Clock,
    /// How many tickets were read from the socket.
    read_tickets: Arc<AtomicU64>,
    /// How many tickets were settled, failed or returned.
    settled: u64,
    /// When the next heartbeat is due.
    heartbeat_due: Instant,
}

impl ResultWriter {
    /// Sends the first frame.
    fn write_ready(&mut self, concurrency: u32) -> Result<(), ServeError> {
        frames::write(&mut self.buffer, FrameKind::Ready, &(VERSION, concurrency))?;
        Ok(self.send()?)
    }

    /// Sends results, returned tickets and heartbeats, until the reader or the engine ends.
    ///
    /// # Errors
    /// The socket fails.
    fn run<R: Serialize, B: ResultBatch<R>>(
        &mut self,
        done: &Receiver<B>,
        returned: &Receiver<Vec<Ticket>>,
    ) -> Result<(), ServeError> {
        loop {
            crossbeam_channel::select_biased! {
                recv(returned) -> tickets => match tickets {
                    Ok(tickets) => self.write_returned(&tickets)?,
                    Err(_) => return Ok(()),
                },
                recv(done) -> results => match results {
                    Ok(results) => {
                        let batches = std::iter::once(results).chain(done.try_iter());
                        self.write_results(batches.flat_map(B::results))?;
                        self.send()?;
                        if !self.pause(returned)? {
                            return Ok(());
                        }
                    }
                    Err(_) => return Ok(()),
                },
                default(HEARTBEAT) => {}
            }
            self.write_heartbeat()?;
            self.send()?;
        }
    }

    /// Waits for [`BATCH_DELAY`] or until tickets are returned, and writes those. Without open work
    /// there is nothing to batch, so it does not wait. Returns false when the reader has ended.
    fn pause(&mut self, returned: &Receiver<Vec<Ticket>>) -> Result<bool, ServeError> {
        if self.settled >= self.read_tickets.load(Ordering::Relaxed) {
            return Ok(true);
        }
        match returned.recv_timeout(BATCH_DELAY) {
            Ok(tickets) => self.write_returned(&tickets)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        Ok(true)
    }

    /// Writes a heartbeat if one is due.
    fn write_heartbeat(&mut self) -> Result<(), ServeError> {
        let now = self.clock.now();
        if now >= self.heartbeat_due {
            self.heartbeat_due = now.after(HEARTBEAT);
            frames::write(
                &mut self.buffer,
                FrameKind::Alive,
                &self.read_tickets.load(Ordering::Relaxed),
            )?;
        }
        Ok(())
    }

    /// Writes the tickets that were recalled.
    fn write_returned(&mut self, returned: &[Ticket]) -> Result<(), ServeError> {
        self.settled += returned.len() as u64;
        Ok(write_tickets(&mut self.buffer, FrameKind::Returned, returned)?)
    }

    /// Writes and sends results. A result that can't be serialized becomes a failed ticket.
    fn write_results<R: Serialize>(
        &mut self,
        results: impl Iterator<Item = (Ticket, R)>,
    ) -> Result<(), ServeError> {
        let mut results = results.peekable();
        let mut failed = Vec::new();
        while results.peek().is_some() {
            let mut frame = FrameWriter::begin(&mut self.buffer, FrameKind::Settled);
            let before = self.settled;
            while !frame.is_full()
                && let Some(result) = results.peek()
            {
                match frame.value(result) {
                    Ok(()) => self.settled += 1,
                    // It may fit into a frame of its own.
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
            write_tickets(&mut self.buffer, FrameKind::Failed, &failed)?;
        }
        Ok(())
    }

    /// Sends the buffered frames.
    fn send(&mut self) -> io::Result<()> {
        let sent = self.socket.write_all(&self.buffer);
        self.buffer.clear();
        sent
    }
}

/// Writes a frame of tickets.
fn write_tickets(
    buffer: &mut Vec<u8>,
    kind: FrameKind,
    tickets: &[Ticket],
) -> Result<(), FrameError> {
    let mut frame = FrameWriter::begin(buffer, kind);
    for ticket in tickets {
        frame.value(ticket)?;
    }
    frame.end();
    Ok(())
}

/// An engine of threads, each of which does one piece of work at a time.
#[derive(Debug)]
pub(super) struct JobThreads<W> {
    threads: usize,
    queue: Sender<(Ticket, W)>,
    waiting: Receiver<(Ticket, W)>,
}

impl<W: Send + 'static> JobThreads<W> {
    /// Starts the threads. At most `capacity` tasks may be queued.
    ///
    /// # Errors
    /// A thread can't be started.
    pub(super) fn start<R: Send + 'static>(
        threads: usize,
        capacity: usize,
        job: impl Fn(W) -> R + Send + Sync + 'static,
    ) -> Result<StartedEngine<Self, (Ticket, R)>, String> {
        let (queue, waiting) = bounded(capacity);
        let (done, results) = bounded(capacity);
        let job = Arc::new(job);
        for _ in 0..threads {
            let (waiting, done, job) = (Receiver::clone(&waiting), done.clone(), Arc::clone(&job));
            let work = move || {
                let _guard = AbortOnPanic;
                for (ticket, work) in waiting {
                    if done.send((ticket, job(work))).is_err() {
                        return;
                    }
                }
            };
            let thread = threads::named("portmuster-job");
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
            // Never fails, because `self.waiting` keeps the channel open.
            let _ = self.queue.send(work);
        }
    }

    fn recall(&mut self, most: usize) -> Vec<Ticket> {
        self.waiting.try_iter().take(most).map(|(ticket, _)| ticket).collect()
    }
}

/// Aborts the process when its thread panics, because the work of the thread would never be
/// settled.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}
