//! What calls a thread away from its wait.

use std::{os::fd::OwnedFd, sync::Arc};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::Errno,
};

/// Calls a thread that waits in a [`Net`](super::Net).
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    /// # Errors
    /// This machine is short of descriptors or memory.
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags)?)))
    }

    /// Ends the wait that is under way, or else the next one.
    pub(crate) fn wake(&self) {
        // Fails only when it has been called 2^64 times and never heard.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Readable when somebody has called.
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// Takes the call, so that the next wait waits again.
    pub(super) fn heard(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}
