//! Connecting with a new socket for each target: five system calls and a part of a wait.

use std::net::SocketAddr;

use anyhow::Result;
use rustix::{event::epoll::EventFlags, io::Errno, net::sockopt};

use super::{
    baseline::{Ended, Tally},
    window,
};

/// Connects to all of them once.
pub(super) fn connect(targets: impl Iterator<Item = SocketAddr>) -> Result<Tally> {
    window::connect(targets, EventFlags::OUT, |socket| match sockopt::socket_error(socket)? {
        Ok(()) => Ok(Some(Ended::Accepted)),
        Err(Errno::CONNREFUSED) => Ok(Some(Ended::Refused)),
        Err(errno) => Err(errno),
    })
}
