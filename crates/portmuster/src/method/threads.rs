//! Blocking threads, each with one attempt at a time.

use crossbeam_channel::bounded;

use super::{
    capacity::LimitingResource,
    context::{Reports, StartError, WorkerContext, spawn},
    thread_pool::{RESERVED_THREADS, StartQueue, Started, ThreadPool},
};
use crate::{
    attempt::{Attempt, withdraw_refusal},
    driver::{
        Driver, IcmpErrors, Net, Socket, Woken,
        poll::{IdleSockets, Poll},
    },
    outcome::Conclusion,
    schedule::{Report, Start},
    waker::Waker,
};

/// Starts threads, or as many as this system can start.
///
/// They take one start at a time from a queue that they share, so that no thread holds more than it
/// works on. At most `room` attempts are handed over and not reported.
///
/// # Errors
/// Not even one thread could be started.
pub(super) fn start(
    threads: usize,
    room: usize,
    context: &WorkerContext,
) -> Result<Started, StartError> {
    let mut capacity = threads;
    loop {
        let pool = start_all(capacity, room, context)?;
        let started = pool.threads.len();
        if started == capacity {
            return Ok(Started { pool, capacity, limited_by: LimitingResource::Threads });
        }
        capacity = started.saturating_sub(RESERVED_THREADS).max(1);
    }
}

/// Starts threads up to the first that fails to start.
fn start_all(
    threads: usize,
    room: usize,
    context: &WorkerContext,
) -> Result<ThreadPool, StartError> {
    let (starts, queue) = bounded::<Vec<Start>>(room);
    // Called once, to stop all threads, and never read.
    let stop = Waker::new().map_err(StartError::poller)?;
    let queued = StartQueue {
        starts: Some(starts),
        batch: Vec::new(),
        batch_max: 1,
        waker: None,
        waiting: Some(queue.clone()),
    };
    let idle = IdleSockets::new(threads);
    let mut pool = ThreadPool::default();
    pool.queues.push(queued);
    pool.loads.push(0);
    pool.stops.push(stop.clone());
    for worker in 0..threads {
        let (queue, stop, idle) = (queue.clone(), stop.clone(), idle.clone());
        let started = spawn("portmuster-thread", context.clone(), move |context| {
            let net = Poll::new(context.clock, context.source, stop.clone(), idle, worker);
            let mut driver = Driver::new(net, context.rules.clone(), context.memory.clone());
            for start in queue.into_iter().flatten() {
                // The queue still has the starts that were sent before the stop.
                if stop.is_called() {
                    return;
                }
                let Start { id, endpoint, name, opening, patience, known_keys } = start;
                let attempt = Attempt::new(endpoint, driver.net.now()).name(name).opening(opening);
                let mut attempt = attempt.patience(patience).known_keys(known_keys);
                let Some(conclusion) = run(&mut driver, &mut attempt) else { return };
                let ended = vec![Report { id, conclusion }];
                let held = attempt.release().into_iter().collect();
                if context.reports.send(Reports { worker, begun: 0, ended, held }).is_err() {
                    return;
                }
            }
        });
        match started {
            Ok(thread) => pool.threads.push(thread),
            Err(error) if worker == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(pool)
}

/// Makes one attempt and blocks until it ends. Returns `None` if the thread is stopped first.
pub(super) fn run<N: Net>(driver: &mut Driver<N>, attempt: &mut Attempt) -> Option<Conclusion> {
    let peer = driver.peer(attempt);
    let mut conclusion = match driver.begin(attempt) {
        Ok(socket) => {
            driver.sent(attempt, driver.net.now());
            wait_out(driver, socket, attempt)?
        }
        Err(conclusion) => conclusion,
    };
    let IcmpErrors { errors, unreadable } = driver.net.take_icmp();
    if errors.iter().any(|error| error.is_about(peer)) {
        conclusion.refused_by_icmp();
    }
    if let Some(errno) = unreadable {
        withdraw_refusal(&mut conclusion, errno);
    }
    Some(conclusion)
}

/// Drives an attempt to its end. Returns `None` if the thread is stopped first.
///
/// The deadline is checked in every turn, because an error that stays at the socket ends every wait
/// at once.
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
            let errors = driver.net.take_icmp().errors;
            over = errors.iter().find_map(|error| driver.fail(socket, attempt, error));
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
