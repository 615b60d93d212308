//! Blocking threads, each with one attempt at a time.

use crossbeam_channel::bounded;

use super::{
    capacity::LimitingResource,
    context::{Reports, StartError, WorkerContext, spawn},
    thread_pool::{Lane, Started, THREADS_SPARED, ThreadPool},
};
use crate::{
    attempt::Attempt,
    driver::{
        Driver, Net, Socket, Woken,
        poll::{Idle, Poll},
    },
    outcome::Conclusion,
    schedule::{Report, Start},
    waker::Waker,
};

/// Starts the threads, or as many as this system gives. They take starts one at a time from one
/// lane, so that none holds more than it works on; as many as `room` may be begun and not
/// reported.
pub(super) fn start(
    threads: usize,
    room: usize,
    setting: &WorkerContext,
) -> Result<Started, StartError> {
    let mut capacity = threads;
    loop {
        let lanes = start_all(capacity, room, setting)?;
        let started = lanes.threads.len();
        if started == capacity {
            return Ok(Started { lanes, capacity, scarce: LimitingResource::Threads });
        }
        capacity = started.saturating_sub(THREADS_SPARED).max(1);
    }
}

/// Starts the threads up to the first that can't be started.
fn start_all(
    threads: usize,
    room: usize,
    setting: &WorkerContext,
) -> Result<ThreadPool, StartError> {
    let (starts, queue) = bounded::<Vec<Start>>(room);
    // Called once, when all are to go home, and never read.
    let stop = Waker::new()?;
    let lane = Lane {
        starts: Some(starts),
        batch: Vec::new(),
        batch_max: 1,
        waker: None,
        waiting: Some(queue.clone()),
    };
    let idle = Idle::new(threads);
    let mut lanes = ThreadPool::default();
    lanes.all.push(lane);
    lanes.loads.push(0);
    lanes.stops.push(stop.clone());
    for worker in 0..threads {
        let (queue, stop, idle) = (queue.clone(), stop.clone(), idle.clone());
        let started = spawn("portmuster-thread", setting.clone(), move |setting| {
            let net = Poll::new(setting.clock, setting.source, stop.clone(), idle, worker);
            let mut driver = Driver::new(net, setting.rules, setting.memory.clone());
            for Start { id, endpoint, opening } in queue.into_iter().flatten() {
                // What was queued before the stop comes out of the queue all the same.
                if stop.is_called() {
                    return;
                }
                let mut attempt = Attempt::new(endpoint, driver.net.now()).opening(opening);
                let Some(conclusion) = run(&mut driver, &mut attempt) else { return };
                let ended = vec![Report { id, conclusion }];
                let held = attempt.release().into_iter().collect();
                if setting.reports.send(Reports { worker, begun: 0, ended, held }).is_err() {
                    return;
                }
            }
        });
        match started {
            Ok(thread) => lanes.threads.push(thread),
            Err(error) if worker == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(lanes)
}

/// Makes one attempt, the thread waiting with it; `None` when the thread is called away.
fn run<N: Net>(driver: &mut Driver<N>, attempt: &mut Attempt) -> Option<Conclusion> {
    let endpoint = attempt.endpoint();
    let mut conclusion = match driver.begin(attempt) {
        Ok(socket) => wait_out(driver, socket, attempt)?,
        Err(conclusion) => conclusion,
    };
    if driver.net.take_icmp().iter().any(|error| error.is_about(endpoint)) {
        conclusion.refused_by_icmp();
    }
    Some(conclusion)
}

/// Brings an attempt to its end. Its deadline is looked at in every turn: an error that stays at
/// the socket makes every wait end at once.
fn wait_out<N: Net>(
    driver: &mut Driver<N>,
    socket: Socket,
    attempt: &mut Attempt,
) -> Option<Conclusion> {
    let mut ready = Vec::new();
    loop {
        let (_, deadline) = driver.deadline(attempt);
        ready.clear();
        if driver.net.wait(Some(deadline), &mut ready) == Woken::ByCall {
            driver.net.close(socket);
            return None;
        }
        let mut over = None;
        if !ready.is_empty() {
            over = driver.advance(socket, attempt);
        }
        if over.is_none() && attempt.is_connecting() {
            let told = driver.net.take_icmp();
            over = told.iter().find_map(|error| driver.fail(socket, attempt, error));
        }
        if over.is_none() && driver.is_due(attempt) {
            over = driver.expire(socket, attempt);
        }
        if let Some(conclusion) = over {
            driver.close(socket, &conclusion);
            return Some(conclusion);
        }
    }
}
