//! Threads of this process that make attempts, and the queues that feed them.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::{capacity::LimitingResource, context::Reports};
use crate::{
    outcome::Conclusion,
    schedule::{Report, Start},
    waker::Waker,
};

/// How many threads are ended again when this system starts no more, so that the run's other threads
/// can be started and have address space for their stacks.
pub(super) const RESERVED_THREADS: usize = 8;

/// How many attempts must end before a queue whose worker lacked a resource counts like the others.
const AVOIDED_FOR: usize = 1024;

/// A thread pool that was started, and its capacity.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pool: ThreadPool,
    /// The most attempts that may be handed over and not reported.
    pub(crate) capacity: usize,
    /// The resource that limits the capacity if it is less than wanted.
    pub(crate) limited_by: LimitingResource,
}

/// Threads that make attempts in this process.
///
/// Invariant: the caller hands over at most as many attempts as the pool has capacity for, and the
/// report queue has room for twice as many reports, so reporting never blocks.
#[derive(Debug, Default)]
pub(crate) struct ThreadPool {
    /// One queue per event loop, or a single one that all blocking threads share.
    pub(super) queues: Vec<StartQueue>,
    /// How many attempts each queue was given that are not reported.
    pub(super) loads: Vec<usize>,
    /// How many of the first queues get all attempts until each has this load; `None`: all queues are
    /// equal. The others exist for their descriptors, and more threads than processors are slower.
    pub(super) preferred: Option<(usize, usize)>,
    /// A queue to avoid, and how many attempts must end before it no longer is. Its loop lacked a
    /// resource for a single attempt, so it has the least load and would otherwise get every start.
    /// Among loops that share a descriptor table one may keep all the sockets.
    pub(super) avoided: Option<(usize, usize)>,
    /// The most attempts that are queued at all loops together; `None` for blocking threads.
    pub(super) backlog_max: Option<usize>,
    /// How many attempts are queued at loops and not begun.
    pub(super) queued: usize,
    /// The wakers that stop the threads.
    pub(super) stops: Vec<Waker>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// The queue of starts for one event loop, or for all blocking threads.
#[derive(Debug)]
pub(super) struct StartQueue {
    /// `None` once the threads are to end.
    pub(super) starts: Option<Sender<Vec<Start>>>,
    pub(super) batch: Vec<Start>,
    pub(super) batch_max: usize,
    /// Wakes the loop for a batch; `None` if the threads block on the queue itself.
    pub(super) waker: Option<Waker>,
    /// The far end of the queue, for recalls; `None` if starts begin at once.
    pub(super) waiting: Option<Receiver<Vec<Start>>>,
}

impl ThreadPool {
    /// Adds an attempt to the queue with the least load. It begins with the next [`Self::flush`].
    pub(crate) fn begin(&mut self, start: Start) {
        let avoided = self.avoided.map(|(queue, _)| queue);
        let is_extra = |queue| {
            self.preferred.is_some_and(|(first, full)| {
                queue >= first && self.loads[..first].iter().any(|&load| load < full)
            })
        };
        let burden = |&queue: &usize| (avoided == Some(queue), is_extra(queue), self.loads[queue]);
        let least = (0..self.queues.len()).min_by_key(burden).unwrap_or(0);
        self.loads[least] += 1;
        self.queued += usize::from(self.backlog_max.is_some());
        self.queues[least].batch.push(start);
        if self.queues[least].batch.len() >= self.queues[least].batch_max {
            self.queues[least].flush();
        }
    }

    /// Sends all batches.
    pub(crate) fn flush(&mut self) {
        for queue in &mut self.queues {
            queue.flush();
        }
    }

    /// Takes the attempts of a report off the load of the worker's queue.
    pub(crate) fn reported(&mut self, Reports { worker, begun, ended, .. }: &Reports) {
        let queue = (*worker).min(self.loads.len() - 1);
        self.loads[queue] -= ended.len();
        self.queued -= begun;
        let faulted = |report: &Report| matches!(report.conclusion, Conclusion::Fault(_));
        if self.loads[queue] == 0 && !ended.is_empty() && ended.iter().all(faulted) {
            self.avoided = Some((queue, AVOIDED_FOR));
        } else if let Some((avoided, left)) = self.avoided {
            self.avoided = left.checked_sub(ended.len()).map(|left| (avoided, left));
        }
    }

    /// Ends the threads that were started last. Each has a queue of its own, which must be empty.
    pub(super) fn remove_last(&mut self, threads: usize) {
        for _ in 0..threads {
            drop(self.queues.pop());
            if let Some(stop) = self.stops.pop() {
                stop.wake();
            }
            // A panic of the thread was reported when it happened.
            let _ = self.threads.pop().map(JoinHandle::join);
        }
    }

    /// Returns how many more attempts may be queued.
    pub(crate) fn backlog_room(&self) -> usize {
        self.backlog_max.map_or(usize::MAX, |most| most.saturating_sub(self.queued))
    }

    /// Removes up to `most` attempts that no thread has begun.
    pub(crate) fn recall(&mut self, most: usize) -> Vec<Start> {
        let waiting = self.queues.iter().filter_map(|queue| queue.waiting.as_ref());
        waiting.flat_map(Receiver::try_iter).flatten().take(most).collect()
    }
}

impl StartQueue {
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if let Some(starts) = &self.starts {
            // Fails only when the threads have panicked, which was reported.
            let _ = starts.send(std::mem::take(&mut self.batch));
        }
        if let Some(waker) = &self.waker {
            waker.wake();
        }
    }
}

/// Ends every attempt and joins the threads.
impl Drop for ThreadPool {
    fn drop(&mut self) {
        for queue in &mut self.queues {
            queue.starts = None;
        }
        for stop in &self.stops {
            stop.wake();
        }
        for thread in self.threads.drain(..) {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Fault, schedule::CheckId};

    fn queue() -> StartQueue {
        StartQueue {
            starts: None,
            batch: Vec::new(),
            batch_max: usize::MAX,
            waker: None,
            waiting: None,
        }
    }

    #[test]
    fn queue_of_a_loop_that_lacks_a_resource_is_avoided() {
        let start = Start {
            id: CheckId(0),
            endpoint: ([127, 0, 0, 1], 1).into(),
            name: None,
            opening: crate::attempt::Opening::Listen,
            patience: None,
            known_keys: crate::outcome::KeyTypes::default(),
        };
        let fault = || Report { id: CheckId(0), conclusion: Conclusion::Fault(Fault::Buffers) };
        let mut pool = ThreadPool::default();
        pool.queues.extend([queue(), queue()]);
        pool.loads.extend([0, 0]);
        pool.begin(start.clone());
        pool.begin(start.clone());
        assert_eq!(pool.loads, [1, 1]);
        let reports = |worker, ended| Reports { worker, begun: 0, ended, held: Vec::new() };
        pool.reported(&reports(0, vec![fault()]));
        pool.begin(start.clone());
        assert_eq!(pool.loads, [0, 2], "the other queue has more load and is not avoided");
        pool.reported(&reports(1, vec![fault(), fault()]));
        pool.begin(start.clone());
        assert_eq!(pool.loads, [1, 0]);
    }
}
