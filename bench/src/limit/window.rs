//! A new socket for each target, and one poller for all: what event loops usually do.

use std::{
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use anyhow::{Context, Result};
use rustix::{
    event::epoll::{self, EventData, EventFlags},
    io::Errno,
};

use super::baseline::{self, Ended, Tally, WINDOW};

/// A target under way.
struct Attempt {
    target: SocketAddr,
    descriptor: OwnedFd,
}

/// Connects to all of them once. When one of these events has come, `ask` says what became of the
/// target, if that can be said yet; then its socket is closed.
pub(super) fn connect(
    mut targets: impl Iterator<Item = SocketAddr>,
    events: EventFlags,
    ask: impl Fn(BorrowedFd<'_>) -> Result<Option<Ended>, Errno>,
) -> Result<Tally> {
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC).context("making a poller")?;
    let mut attempts: Vec<Option<Attempt>> = (0..WINDOW).map(|_| None).collect();
    let mut idle: Vec<usize> = (0..WINDOW).rev().collect();
    let mut tally = Tally::default();
    loop {
        while let Some(place) = idle.pop() {
            let Some(target) = targets.next() else {
                idle.push(place);
                break;
            };
            attempts[place] = Some(begin(&poller, place, target, events)?);
        }
        if idle.len() == WINDOW {
            return Ok(tally);
        }
        let mut buffer = [const { MaybeUninit::uninit() }; WINDOW];
        let (events, _) = epoll::wait(&poller, &mut buffer, None).context("waiting")?;
        for event in events {
            let place = usize::try_from(event.data.u64()).context("a place is a usize")?;
            let Some(attempt) = &attempts[place] else { continue };
            let ended = ask(attempt.descriptor.as_fd());
            if let Some(ended) = ended.map_err(|errno| baseline::failed(attempt.target, errno))? {
                tally.add(ended);
                attempts[place] = None;
                idle.push(place);
            }
        }
    }
}

fn begin(
    poller: &OwnedFd,
    place: usize,
    target: SocketAddr,
    events: EventFlags,
) -> Result<Attempt> {
    let descriptor = baseline::open()?;
    match rustix::net::connect(&descriptor, &target) {
        // What ended at once is told by the poller, too.
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(baseline::failed(target, errno)),
    }
    epoll::add(poller, &descriptor, EventData::new_u64(place as u64), events)
        .context("registering a socket")?;
    Ok(Attempt { target, descriptor })
}
