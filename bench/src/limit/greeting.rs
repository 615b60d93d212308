//! Connecting to who is there, and reading one greeting: five system calls and a part of a wait.
//!
//! A socket that was accepted can't be connected again without a reset, so each target has its own.

use std::{mem::MaybeUninit, net::SocketAddr};

use anyhow::Result;
use rustix::{event::epoll::EventFlags, io::Errno, net::RecvFlags};

use super::{
    baseline::{Ended, Tally},
    window,
};

/// More than a greeting: a socket that has given less than was asked of it holds nothing any more
/// (epoll(7)), so that its close sends FIN.
const BUFFER: usize = 1024;

/// Connects to all of them once.
pub(super) fn connect(targets: impl Iterator<Item = SocketAddr>) -> Result<Tally> {
    window::connect(targets, EventFlags::IN, |socket| {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        match rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok((([], _), _)) => Ok(Some(Ended::Accepted)),
            Ok(((bytes, _), _)) => {
                let is_whole = bytes.len() < BUFFER && bytes.ends_with(b"\n");
                Ok(is_whole.then_some(Ended::Greeted))
            }
            Err(Errno::CONNREFUSED) => Ok(Some(Ended::Refused)),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    })
}
