//! Threads of this process that make attempts, and the ways to them.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::{capacity::LimitingResource, context::Reports};
use crate::{
    outcome::Conclusion,
    schedule::{Report, Start},
    waker::Waker,
};

/// Threads that are left to others, and the address space of their stacks, where this system
/// starts no more: a run has a few beside those that make attempts.
pub(super) const THREADS_SPARED: usize = 8;

/// Attempts that end before a lane that was short of something counts as the others do.
const SPARED: usize = 1024;

/// What was started to make attempts.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) lanes: ThreadPool,
    /// Attempts that may be given and not reported.
    pub(crate) capacity: usize,
    /// What this system had not enough of when that is fewer than wanted.
    pub(crate) scarce: LimitingResource,
}

/// The threads that make attempts in this process.
///
/// Invariant: whoever gives them attempts gives no more than they have room for, and there is
/// room for as many reports, so reporting never blocks.
#[derive(Debug, Default)]
pub(crate) struct ThreadPool {
    pub(super) all: Vec<Lane>,
    /// Every lane's attempts that are started and not reported.
    pub(super) loads: Vec<usize>,
    /// The lane that had not enough of something for a single attempt, and how many are to end
    /// before it is given as many as the others again: having least to do, it would be given all.
    /// Among loops that share a descriptor table one may keep all the sockets.
    pub(super) short: Option<(usize, usize)>,
    /// What loops may be given ahead of what they have begun, all together; `None` for threads.
    pub(super) backlog_room: Option<usize>,
    /// What loops were given and have not begun.
    pub(super) queued: usize,
    /// What calls the threads home.
    pub(super) stops: Vec<Waker>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// The way to one event loop, or to all threads together.
#[derive(Debug)]
pub(super) struct Lane {
    /// `None` once the threads are to go home.
    pub(super) starts: Option<Sender<Vec<Start>>>,
    pub(super) batch: Vec<Start>,
    pub(super) batch_max: usize,
    /// What tells the lane of a batch; `None`: its threads wait at the lane itself.
    pub(super) waker: Option<Waker>,
    /// What nobody has begun; `None`: they begin at once.
    pub(super) waiting: Option<Receiver<Vec<Start>>>,
}

impl ThreadPool {
    /// Gives an attempt to whoever has least to do. It begins with the next [`Self::flush`].
    pub(crate) fn begin(&mut self, start: Start) {
        let short = self.short.map(|(lane, _)| lane);
        let burden = |&lane: &usize| (short == Some(lane), self.loads[lane]);
        let least = (0..self.all.len()).min_by_key(burden).unwrap_or(0);
        self.loads[least] += 1;
        self.queued += usize::from(self.backlog_room.is_some());
        self.all[least].batch.push(start);
        if self.all[least].batch.len() >= self.all[least].batch_max {
            self.all[least].flush();
        }
    }

    /// Sends what was given on its way.
    pub(crate) fn flush(&mut self) {
        for lane in &mut self.all {
            lane.flush();
        }
    }

    /// Takes what a worker has reported off its lane's load.
    pub(crate) fn reported(&mut self, Reports { worker, begun, ended, .. }: &Reports) {
        let lane = (*worker).min(self.loads.len() - 1);
        self.loads[lane] -= ended.len();
        self.queued -= begun;
        let faulted = |report: &Report| matches!(report.conclusion, Conclusion::Fault(_));
        if self.loads[lane] == 0 && !ended.is_empty() && ended.iter().all(faulted) {
            self.short = Some((lane, SPARED));
        } else if let Some((short, left)) = self.short {
            self.short = left.checked_sub(ended.len()).map(|left| (short, left));
        }
    }

    /// Ends so many of those that were started last, each of which has a lane of its own and has
    /// been given nothing.
    pub(super) fn dismiss(&mut self, lanes: usize) {
        for _ in 0..lanes {
            drop(self.all.pop());
            if let Some(stop) = self.stops.pop() {
                stop.wake();
            }
            // A panic of a worker was reported when it happened.
            let _ = self.threads.pop().map(JoinHandle::join);
        }
    }

    /// Attempts that may be given before those that were are begun.
    pub(crate) fn backlog_room(&self) -> usize {
        self.backlog_room
            .map_or(usize::MAX, |backlog_room| backlog_room.saturating_sub(self.queued))
    }

    /// Takes back up to this many that nobody has begun.
    pub(crate) fn recall(&mut self, most: usize) -> Vec<Start> {
        let waiting = self.all.iter().filter_map(|lane| lane.waiting.as_ref());
        waiting.flat_map(Receiver::try_iter).flatten().take(most).collect()
    }
}

impl Lane {
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if let Some(starts) = &self.starts {
            // Refused only when the lane's threads have panicked, which is told elsewhere.
            let _ = starts.send(std::mem::take(&mut self.batch));
        }
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

/// Ends every attempt and waits for the threads.
impl Drop for ThreadPool {
    fn drop(&mut self) {
        for lane in &mut self.all {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Fault, schedule::CheckId};

    fn lane() -> Lane {
        Lane { starts: None, batch: Vec::new(), batch_max: usize::MAX, waker: None, waiting: None }
    }

    #[test]
    fn who_can_bear_nothing_is_not_given_everything() {
        let start = Start {
            id: CheckId(0),
            endpoint: ([127, 0, 0, 1], 1).into(),
            opening: crate::attempt::Opening::Listen,
        };
        let fault = || Report { id: CheckId(0), conclusion: Conclusion::Fault(Fault::Buffers) };
        let mut lanes = ThreadPool::default();
        lanes.all.extend([lane(), lane()]);
        lanes.loads.extend([0, 0]);
        lanes.begin(start);
        lanes.begin(start);
        assert_eq!(lanes.loads, [1, 1]);
        let reports = |worker, ended| Reports { worker, begun: 0, ended, held: Vec::new() };
        lanes.reported(&reports(0, vec![fault()]));
        lanes.begin(start);
        assert_eq!(lanes.loads, [0, 2], "the other has more to do, and what it takes");
        lanes.reported(&reports(1, vec![fault(), fault()]));
        lanes.begin(start);
        assert_eq!(lanes.loads, [1, 0]);
    }
}
