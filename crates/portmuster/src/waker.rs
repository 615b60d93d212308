//! What calls a thread away from its wait.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, retry_on_intr},
};

/// Calls a thread that waits in a [`Net`](super::Net).
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<Bell>);

#[derive(Debug)]
struct Bell {
    descriptor: OwnedFd,
    called: AtomicBool,
}

impl Waker {
    /// # Errors
    /// This machine is short of descriptors or memory.
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let descriptor = eventfd(0, flags)?;
        Ok(Self(Arc::new(Bell { descriptor, called: AtomicBool::new(false) })))
    }

    /// Ends the wait that is under way, or else the next one.
    pub(crate) fn wake(&self) {
        self.0.called.store(true, Ordering::Release);
        // Fails only when it has been called 2^64 times and never heard, or by a signal.
        let call = 1_u64.to_ne_bytes();
        let _ = retry_on_intr(|| rustix::io::write(&self.0.descriptor, &call));
    }

    /// Readable when somebody has called.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.0.descriptor
    }

    /// Whether somebody has called and was not heard.
    pub(crate) fn is_called(&self) -> bool {
        self.0.called.load(Ordering::Acquire)
    }

    /// Takes the call, so that the next wait waits again.
    pub(crate) fn heard(&self) {
        self.0.called.store(false, Ordering::Release);
        let _ = retry_on_intr(|| rustix::io::read(&self.0.descriptor, &mut [0; 8]));
    }
}
