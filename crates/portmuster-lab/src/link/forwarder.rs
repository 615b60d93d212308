//! The thread that carries packets between the two sides of a link.
//!
//! It decides nothing: [`PacketPath`](super::path::PacketPath) does. It uses the times at which the system received
//! packets, so it may read them later, and reads many at once.
//!
//! - Invariant: packets are delivered at the time of the path or later, never earlier.

use std::{
    io,
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::setpriority_process,
    time::{ClockId, clock_gettime},
};

use super::{
    devices::{GATEWAY_MAC, HOSTS_GATEWAY_MAC, HOSTS_MAC, INNER, NEAR_MAC, OUTER},
    error::LinkError,
    frame::{answer_arp, destination_mac, parse, readdress, refuse},
    packet_socket::PacketSocket,
    path::{Fate, PacketPath, SharedPath, lock},
    queue::DeliveryQueue,
};

/// The most batches that are read from one side before due packets are delivered.
const BATCHES_PER_TURN: usize = 16;

/// How long the forwarder lets packets collect. To be woken for each one would cost the sender more
/// than the packet.
const COLLECT: Duration = Duration::from_micros(500);

/// The priority of the thread, for which the machine may be too busy otherwise (nice(2)).
const NICE: i32 = -15;

/// A running forwarder. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Forwarder {
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Starts the thread, in the far namespace, of which the caller's thread must be.
    pub(crate) fn start(path: SharedPath) -> Result<Self, LinkError> {
        let open =
            |device| PacketSocket::open(device).map_err(|source| LinkError::Socket { source });
        let (near, far) = (open(OUTER)?, open(INNER)?);
        let thread_error = |source| LinkError::Thread { source };
        let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
        let clock = Clock::start();
        let sides =
            Sides { near, far, queue: DeliveryQueue::default(), clock, dropped: 0, lost: 0 };
        let thread = thread::Builder::new()
            .name("lab-forwarder".into())
            .spawn(move || {
                // Without the right to it, the forwarder is as patient as others.
                let _ = setpriority_process(None, NICE);
                sides.run(&stopped, &path);
            })
            .map_err(thread_error)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Closing the stream would not do: a child process being started may still hold a copy.
        let _ = self.stop.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The sockets of both sides and the packets between them.
struct Sides {
    near: PacketSocket,
    far: PacketSocket,
    queue: DeliveryQueue,
    clock: Clock,
    /// Packets that the system had dropped at the last turn.
    dropped: u32,
    /// Packets that could not be queued or sent in this turn.
    lost: u64,
}

impl Sides {
    /// Carries packets until the other end of `stop` is shut down, or a socket fails.
    fn run(mut self, stop: &UnixStream, path: &SharedPath) {
        let collect = COLLECT.min(lock(path).round_trip() / 4);
        while let Ok(false) = self.wait(stop, true, None) {
            if self.turn(path).is_err() {
                break;
            }
            if !collect.is_zero() && !matches!(self.wait(stop, false, Some(collect)), Ok(false)) {
                break;
            }
        }
    }

    /// Waits for a packet of a side (if `packets`), the next delivery, or the end of the time. Returns
    /// whether the forwarder was stopped.
    fn wait(&self, stop: &UnixStream, packets: bool, most: Option<Duration>) -> io::Result<bool> {
        let now = self.clock.now();
        let next = self.queue.next_time().map(|at| at.saturating_sub(now));
        let timeout = next.into_iter().chain(most).min();
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let fds = [stop.as_fd(), self.near.as_fd(), self.far.as_fd()];
        let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let polled = if packets { &mut polled[..] } else { &mut polled[..1] };
        match poll(polled, timeout.as_ref()) {
            Ok(_) => Ok(!polled[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads the packets that wait, and delivers those that are due.
    fn turn(&mut self, path: &SharedPath) -> io::Result<()> {
        for _ in 0..BATCHES_PER_TURN {
            let more = self.near.receive()?;
            self.read_near(&mut lock(path));
            if !more {
                break;
            }
        }
        for _ in 0..BATCHES_PER_TURN {
            let more = self.far.receive()?;
            self.read_far(&mut lock(path));
            if !more {
                break;
            }
        }
        self.deliver();
        self.record(&mut lock(path));
        Ok(())
    }

    fn read_near(&mut self, path: &mut PacketPath) {
        let clock = self.clock.at_once();
        for (frame, time) in self.near.frames() {
            let now = clock.since_start(time);
            let to = destination_mac(frame);
            if let Some(answer) = answer_arp(frame) {
                self.lost += u64::from(!self.queue.push(now, false, answer));
            }
            let Some(packet) = parse(frame).filter(|_| to == Some(GATEWAY_MAC)) else { continue };
            let queued = match path.packet_to_host(&packet, now) {
                Fate::Drop => true,
                Fate::Deliver(at) => {
                    readdress(frame, HOSTS_GATEWAY_MAC, HOSTS_MAC);
                    self.queue.push(at, true, frame.to_vec())
                }
                Fate::Refuse(at, reaction) => refuse(frame, reaction)
                    .is_none_or(|refusal| self.queue.push(at, false, refusal)),
            };
            self.lost += u64::from(!queued);
        }
    }

    fn read_far(&mut self, path: &mut PacketPath) {
        let clock = self.clock.at_once();
        for (frame, time) in self.far.frames() {
            let to = destination_mac(frame);
            let packet = parse(frame).filter(|_| to == Some(HOSTS_GATEWAY_MAC));
            let fate = packet.map(|packet| path.packet_from_host(&packet, clock.since_start(time)));
            if let Some(Fate::Deliver(at)) = fate {
                readdress(frame, GATEWAY_MAC, NEAR_MAC);
                self.lost += u64::from(!self.queue.push(at, false, frame.to_vec()));
            }
        }
    }

    fn deliver(&mut self) {
        let now = self.clock.now();
        while let Some((to_hosts, frame)) = self.queue.pop(now) {
            let socket = if to_hosts { &self.far } else { &self.near };
            self.lost += u64::from(socket.send(&frame).is_err());
        }
    }

    fn record(&mut self, path: &mut PacketPath) {
        let dropped = self.near.dropped().wrapping_add(self.far.dropped());
        let overflow = self.lost + u64::from(dropped.wrapping_sub(self.dropped));
        (self.dropped, self.lost) = (dropped, 0);
        path.record(self.clock.now(), thread_cpu(), overflow);
    }
}

/// The time since the start of the forwarder.
struct Clock(Instant);

/// The clock at one moment, to convert times of the system.
struct Moment {
    since_start: Duration,
    since_epoch: Duration,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the link delays packets in real time")]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the system's times of packets are of this clock"
    )]
    fn at_once(&self) -> Moment {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { since_start: self.now(), since_epoch }
    }
}

impl Moment {
    /// Converts a time since the epoch, which is in the past, to one since the start.
    fn since_start(&self, time: Duration) -> Duration {
        self.since_start.saturating_sub(self.since_epoch.saturating_sub(time))
    }
}

/// Returns the processor time that this thread has used.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
