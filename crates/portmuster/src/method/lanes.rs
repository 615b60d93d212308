//! Threads of this process that make attempts, and the ways to them.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::Reports;
use crate::{driver::waker::Waker, schedule::Start};

/// The threads that make attempts in this process.
///
/// Invariant: whoever gives them attempts gives no more than they have room for, and there is
/// room for as many reports, so reporting never blocks.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(super) all: Vec<Lane>,
    /// Every lane's attempts that are started and not reported.
    pub(super) loads: Vec<usize>,
    /// What loops may be given ahead of what they have begun, all together; `None` for threads.
    pub(super) lead: Option<usize>,
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

impl Lanes {
    /// Gives an attempt to whoever has least to do. It begins with the next [`Self::flush`].
    pub(crate) fn begin(&mut self, start: Start) {
        let least = (0..self.all.len()).min_by_key(|&lane| self.loads[lane]).unwrap_or(0);
        self.loads[least] += 1;
        self.lead = self.lead.map(|lead| lead.saturating_sub(1));
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
    pub(crate) fn reported(&mut self, Reports { worker, begun, ended }: &Reports) {
        let lane = (*worker).min(self.loads.len() - 1);
        self.loads[lane] -= ended.len();
        self.lead = self.lead.map(|lead| lead + begun);
    }

    /// Attempts that may be given before those that were are begun.
    pub(crate) fn lead(&self) -> usize {
        self.lead.unwrap_or(usize::MAX)
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
impl Drop for Lanes {
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
