//! The thread that carries packets between the two sides of a link.
//!
//! It decides nothing: [`PacketPath`] does.
//!
//! - Invariant: packets are delivered at the time of the path or later, never earlier.

use std::{
    io, mem,
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::setpriority_process,
    time::{ClockId, clock_gettime},
};

use super::{
    addresses::{GATEWAY_MAC, HOSTS_GATEWAY_MAC, HOSTS_MAC, NEAR_MAC},
    error::LinkError,
    frame::{answer_arp, parse, readdress, refuse},
    path::{Fate, PacketPath, SharedPath, lock},
    queue::DeliveryQueue,
    tap::Tap,
};

/// The most packets that are read from one side before due packets are delivered.
const PACKETS_PER_TURN: usize = 1024;

/// How long the forwarder lets packets collect. To be woken for each one would cost the sender more
/// than the packet.
const COLLECT: Duration = Duration::from_micros(500);

/// The priority of the thread (nice(2)). Other programs may keep the machine busy.
const NICE: i32 = -15;

/// A running forwarder. Dropping it ends its thread.
#[derive(Debug)]
pub(crate) struct Forwarder {
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Starts the thread between the device of the near side and that of the hosts.
    pub(crate) fn start(wire: Tap, hosts: Tap, path: SharedPath) -> Result<Self, LinkError> {
        let thread_error = |source| LinkError::Thread { source };
        let (stop, stopped) = UnixStream::pair().map_err(thread_error)?;
        let queue = DeliveryQueue::default();
        let sides = Sides { wire, hosts, queue, start: now(), lost: 0 };
        let thread = thread::Builder::new()
            .name("lab-forwarder".into())
            .spawn(move || {
                // Without the right to it, the thread keeps the priority of the process.
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

/// The devices of both sides and the packets between them.
#[derive(Debug)]
struct Sides {
    wire: Tap,
    hosts: Tap,
    queue: DeliveryQueue,
    /// The origin of all times.
    start: Instant,
    /// Packets of this turn that could not be queued or sent.
    lost: u64,
}

impl Sides {
    /// Carries packets until the other end of `stop` is shut down, or a device fails.
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
        let now = self.start.elapsed();
        let next = self.queue.next_time().map(|at| at.saturating_sub(now));
        let timeout = next.into_iter().chain(most).min();
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let fds = [stop.as_fd(), self.wire.as_fd(), self.hosts.as_fd()];
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
        let mut path = lock(path);
        for _ in 0..PACKETS_PER_TURN {
            if !self.read_wire(&mut path)? {
                break;
            }
        }
        for _ in 0..PACKETS_PER_TURN {
            if !self.read_hosts(&mut path)? {
                break;
            }
        }
        path.record(self.start.elapsed(), thread_cpu(), mem::take(&mut self.lost));
        drop(path);
        self.deliver();
        Ok(())
    }

    /// Reads a packet of the near side. Returns whether there was one.
    fn read_wire(&mut self, path: &mut PacketPath) -> io::Result<bool> {
        let Some(frame) = self.wire.receive()? else { return Ok(false) };
        let now = self.start.elapsed();
        let queued = match parse(frame).map(|packet| path.packet_to_host(&packet, now)) {
            Some(Fate::Drop) => true,
            Some(Fate::Deliver(at)) => {
                readdress(frame, HOSTS_GATEWAY_MAC, HOSTS_MAC);
                self.queue.push(at, true, frame.to_vec())
            }
            Some(Fate::Refuse(at, reaction)) => {
                refuse(frame, reaction).is_none_or(|refusal| self.queue.push(at, false, refusal))
            }
            None => answer_arp(frame).is_none_or(|answer| self.queue.push(now, false, answer)),
        };
        self.lost += u64::from(!queued);
        Ok(true)
    }

    /// Reads a packet of a host. Returns whether there was one.
    fn read_hosts(&mut self, path: &mut PacketPath) -> io::Result<bool> {
        let Some(frame) = self.hosts.receive()? else { return Ok(false) };
        let now = self.start.elapsed();
        let fate = parse(frame).map(|packet| path.packet_from_host(&packet, now));
        if let Some(Fate::Deliver(at)) = fate {
            readdress(frame, GATEWAY_MAC, NEAR_MAC);
            self.lost += u64::from(!self.queue.push(at, false, frame.to_vec()));
        }
        Ok(true)
    }

    fn deliver(&mut self) {
        let now = self.start.elapsed();
        while let Some((to_hosts, frame)) = self.queue.pop(now) {
            let device = if to_hosts { &mut self.hosts } else { &mut self.wire };
            self.lost += u64::from(device.send(&frame).is_err());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the link delays packets in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Returns the processor time that this thread has used.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
