//! How many checks run side by side, and where.
//!
//! Every method runs the same [attempts](crate::check) under the same
//! [schedule](crate::schedule), so they answer alike; they differ in what waits for the network.

use std::{fmt, net::IpAddr, num::NonZeroUsize, str::FromStr, thread, thread::JoinHandle};

use crossbeam_channel::Sender;
use rustix::io::Errno;
use thiserror::Error;

use crate::{
    check::Rules,
    clock::Clock,
    config::{ConfigError, defaults},
    driver::waker::Waker,
    schedule::{Report, Start},
};

pub(crate) mod event_loop;
mod threads;

/// How checks run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Method {
    /// One after the other.
    Serial,
    /// Blocking threads, each with one check at a time.
    Threads,
    /// One event loop per core, each with many checks at a time.
    #[default]
    EventLoop,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Serial, Self::Threads, Self::EventLoop];

    /// The method's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Threads => "threads",
            Self::EventLoop => "event-loop",
        }
    }

    /// Threads or loops that it has when it is told `asked`.
    pub(crate) fn workers(self, asked: Option<usize>) -> Result<usize, ConfigError> {
        let (usual, most, what) = match self {
            Self::Serial => (1, 1, "threads of a serial run"),
            Self::Threads => (defaults::THREADS, THREADS_MAX, "threads"),
            Self::EventLoop => (cores(), LOOPS_MAX, "event loops"),
        };
        match asked {
            Some(0) => Err(ConfigError::Zero { setting: "workers" }),
            Some(asked) if asked > most => Err(ConfigError::TooMany { asked, what, most }),
            _ => Ok(asked.unwrap_or(usual)),
        }
    }
}

/// More threads than this are slower than fewer, and some systems allow a process no more.
const THREADS_MAX: usize = 4096;
/// More loops than this have no core to run on.
const LOOPS_MAX: usize = 256;

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get).min(LOOPS_MAX)
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// There is no method of this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no method {0:?}")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

/// This machine could not start a run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// No thread could be started.
    #[error("starting a thread failed; fewer workers may help")]
    Thread(#[source] std::io::Error),
    /// Connections can't begin at the source address.
    #[error("connecting from {source_address} is not possible: {error}")]
    Source {
        /// The address that was asked for.
        source_address: IpAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// No poller could be opened.
    #[error("opening a poller failed; a higher limit of descriptors (ulimit -n) may help")]
    Poller(#[source] std::io::Error),
}

impl From<Errno> for StartError {
    fn from(errno: Errno) -> Self {
        Self::Poller(errno.into())
    }
}

/// The threads that make the attempts of one run.
///
/// Invariant: at most [`Self::capacity`] attempts are started and not reported, and there is room
/// for as many reports, so reporting never blocks.
#[derive(Debug)]
pub(crate) struct Crew {
    lanes: Vec<Lane>,
    /// Every lane's attempts that are started and not reported.
    loads: Vec<usize>,
    capacity: usize,
    /// What calls the threads home.
    stops: Vec<Waker>,
    threads: Vec<JoinHandle<()>>,
}

/// The way to one event loop, or to all threads together.
#[derive(Debug)]
struct Lane {
    /// `None` once the crew is to go home.
    starts: Option<Sender<Vec<Start>>>,
    batch: Vec<Start>,
    batch_max: usize,
    /// What tells the lane of a batch; `None`: its threads wait at the lane itself.
    waker: Option<Waker>,
}

/// What a worker reports: which lane it stands at, and attempts that have ended.
pub(crate) type Reports = (usize, Vec<Report>);

impl Crew {
    /// Starts the method's threads.
    pub(crate) fn start(
        method: Method,
        workers: usize,
        in_flight: usize,
        setting: &Setting,
    ) -> Result<Self, StartError> {
        match method {
            Method::Serial => threads::start(1, setting),
            Method::Threads => threads::start(workers.min(in_flight), setting),
            Method::EventLoop => event_loop::start(workers.min(in_flight), in_flight, setting),
        }
    }

    /// Attempts that may be started and not reported.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Gives an attempt to whoever has least to do. It begins with the next [`Self::flush`].
    pub(crate) fn begin(&mut self, start: Start) {
        let least = (0..self.lanes.len()).min_by_key(|&lane| self.loads[lane]).unwrap_or(0);
        self.loads[least] += 1;
        self.lanes[least].batch.push(start);
        if self.lanes[least].batch.len() >= self.lanes[least].batch_max {
            self.lanes[least].flush();
        }
    }

    /// Sends what was given on its way.
    pub(crate) fn flush(&mut self) {
        for lane in &mut self.lanes {
            lane.flush();
        }
    }

    /// Attempts of a lane have been reported.
    pub(crate) fn reported(&mut self, lane: usize, attempts: usize) {
        self.loads[lane] -= attempts;
    }
}

impl Lane {
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if let Some(starts) = &self.starts {
            // Refused only when the lane's threads have panicked, which the coordinator is told.
            let _ = starts.send(std::mem::take(&mut self.batch));
        }
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

/// Ends every attempt and waits for the threads.
impl Drop for Crew {
    fn drop(&mut self) {
        for lane in &mut self.lanes {
            lane.starts = None;
        }
        for stop in &self.stops {
            stop.wake();
        }
        for thread in self.threads.drain(..) {
            // A panic of a worker was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// What every thread of a crew needs.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) source: Option<IpAddr>,
    pub(crate) reports: Sender<Reports>,
    /// Told when a thread ends by panicking.
    pub(crate) panics: Sender<()>,
}

/// Runs `work` in a thread that says so when it panics.
fn spawn(
    name: &str,
    setting: Setting,
    work: impl FnOnce(Setting) + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    struct Alarm(Sender<()>);
    impl Drop for Alarm {
        fn drop(&mut self) {
            if thread::panicking() {
                let _ = self.0.try_send(());
            }
        }
    }
    let work = move || {
        let _alarm = Alarm(setting.panics.clone());
        work(setting);
    };
    thread::Builder::new().name(name.into()).spawn(work).map_err(StartError::Thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
        }
        assert!("fibers".parse::<Method>().is_err());
    }

    #[test]
    fn workers_have_a_floor_and_a_ceiling() {
        assert_eq!(Method::Threads.workers(None), Ok(256));
        assert_eq!(Method::Threads.workers(Some(3)), Ok(3));
        assert!(Method::EventLoop.workers(None).is_ok_and(|loops| loops >= 1));
        assert_eq!(
            Method::EventLoop.workers(Some(0)),
            Err(ConfigError::Zero { setting: "workers" })
        );
        let error = Method::Threads.workers(Some(100_000)).expect_err("too many");
        assert_eq!(
            error.to_string(),
            "100000 threads are more than the 4096 that one run may have"
        );
    }
}
