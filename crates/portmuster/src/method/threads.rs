//! Blocking threads, each with one attempt at a time.

use crossbeam_channel::bounded;

use super::{
    Reports, Setting, StartError,
    lanes::{Lane, Lanes},
    spawn,
};
use crate::{
    check::Attempt,
    driver::{Driver, Net, Woken, poll::Poll, waker::Waker},
    outcome::Conclusion,
    schedule::{Report, Start},
};

/// Starts the threads. They take starts one at a time from one lane, so that none holds more
/// than it works on; as many as `room` may be begun and not reported.
pub(super) fn start(threads: usize, room: usize, setting: &Setting) -> Result<Lanes, StartError> {
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
    let mut lanes = Lanes {
        all: vec![lane],
        loads: vec![0],
        lead: None,
        stops: vec![stop.clone()],
        threads: Vec::new(),
    };
    for worker in 0..threads {
        let (queue, stop) = (queue.clone(), stop.clone());
        lanes.threads.push(spawn("portmuster-thread", setting.clone(), move |setting| {
            let net = Poll::new(setting.clock, setting.source, stop.clone());
            let mut driver = Driver::new(net, setting.rules);
            for Start { id, endpoint, patient } in queue.into_iter().flatten() {
                // What was queued before the stop comes out of the queue all the same.
                if stop.is_called() {
                    return;
                }
                let attempt = Attempt::new(endpoint, driver.net.now()).patient(patient);
                let Some(conclusion) = run(&mut driver, attempt) else { return };
                let ended = vec![Report { id, conclusion }];
                if setting.reports.send(Reports { worker, begun: 0, ended }).is_err() {
                    return;
                }
            }
        })?);
    }
    Ok(lanes)
}

/// Makes one attempt, the thread waiting with it; `None` when the thread is called away.
fn run<N: Net>(driver: &mut Driver<N>, mut attempt: Attempt) -> Option<Conclusion> {
    let socket = match driver.begin(&mut attempt) {
        Ok(socket) => socket,
        Err(conclusion) => return Some(conclusion),
    };
    let mut ready = Vec::new();
    loop {
        let (_, deadline) = driver.deadline(&attempt);
        ready.clear();
        if driver.net.wait(Some(deadline), &mut ready) == Woken::ByCall {
            driver.net.close(socket);
            return None;
        }
        let over = if ready.is_empty() {
            driver.expire(socket, &mut attempt)
        } else {
            driver.advance(socket, &mut attempt)
        };
        if let Some(conclusion) = over {
            driver.close(socket, &conclusion);
            return Some(conclusion);
        }
    }
}
