//! Blocking threads, each with one attempt at a time.

use crossbeam_channel::bounded;

use super::{Crew, Lane, Setting, StartError, spawn};
use crate::{
    check::{Attempt, Rules},
    driver::{self, Net, READ_SIZE, Woken, poll::Poll, waker::Waker},
    outcome::Conclusion,
    schedule::{Report, Start},
};

/// Starts the threads. They take starts one at a time from one lane, so that none holds more
/// than it works on.
pub(super) fn start(threads: usize, setting: &Setting) -> Result<Crew, StartError> {
    let (starts, queue) = bounded::<Vec<Start>>(threads);
    // Called once, when all are to go home, and never read.
    let stop = Waker::new()?;
    let lane = Lane { starts: Some(starts), batch: Vec::new(), batch_max: 1, waker: None };
    let mut crew = Crew {
        lanes: vec![lane],
        loads: vec![0],
        capacity: threads,
        stops: vec![stop.clone()],
        threads: Vec::new(),
    };
    for _ in 0..threads {
        let (queue, stop) = (queue.clone(), stop.clone());
        crew.threads.push(spawn("portmuster-thread", setting.clone(), move |setting| {
            let mut net = Poll::new(setting.clock, setting.source, stop.clone());
            let mut buffer = vec![0; READ_SIZE];
            for Start { id, endpoint } in queue.into_iter().flatten() {
                // What was queued before the stop comes out of the queue all the same.
                if stop.is_called() {
                    return;
                }
                let attempt = Attempt::new(endpoint, net.now());
                let Some(conclusion) = run(&mut net, attempt, &setting.rules, &mut buffer) else {
                    return;
                };
                if setting.reports.send((0, vec![Report { id, conclusion }])).is_err() {
                    return;
                }
            }
        })?);
    }
    Ok(crew)
}

/// Makes one attempt, the thread waiting with it; `None` when the thread is called away.
fn run<N: Net>(
    net: &mut N,
    mut attempt: Attempt,
    rules: &Rules,
    buffer: &mut [u8],
) -> Option<Conclusion> {
    let socket = match driver::begin(net, &mut attempt, rules, buffer) {
        Ok(socket) => socket,
        Err(conclusion) => return Some(conclusion),
    };
    let mut ready = Vec::new();
    loop {
        let (_, deadline) = attempt.deadline(&rules.limits);
        ready.clear();
        if net.wait(Some(deadline), &mut ready) == Woken::ByCall {
            net.close(socket);
            return None;
        }
        let over = if ready.is_empty() {
            driver::expire(net, socket, &mut attempt, rules, buffer)
        } else {
            driver::advance(net, socket, &mut attempt, rules, buffer)
        };
        if let Some(conclusion) = over {
            driver::close(net, socket, &conclusion, buffer);
            return Some(conclusion);
        }
    }
}
