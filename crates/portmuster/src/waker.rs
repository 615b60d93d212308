//! Wakers: they end another thread's wait.

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

/// Ends the wait of a thread in a [`Net`](crate::driver::Net). Clones wake the same thread.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    descriptor: OwnedFd,
    called: AtomicBool,
}

impl Waker {
    /// Creates a waker.
    ///
    /// # Errors
    /// This machine is short of descriptors or memory.
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let descriptor = eventfd(0, flags)?;
        Ok(Self(Arc::new(Shared { descriptor, called: AtomicBool::new(false) })))
    }

    /// Ends the current wait, or else the next one.
    pub(crate) fn wake(&self) {
        self.0.called.store(true, Ordering::Release);
        // Fails only after 2^64 calls without a reset.
        let call = 1_u64.to_ne_bytes();
        let _ = retry_on_intr(|| rustix::io::write(&self.0.descriptor, &call));
    }

    /// Returns the descriptor to poll: it is readable after a call.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.0.descriptor
    }

    /// Returns whether it was called since the last [reset](Self::reset).
    pub(crate) fn is_called(&self) -> bool {
        self.0.called.load(Ordering::Acquire)
    }

    /// Takes the call, so that the next wait blocks again.
    pub(crate) fn reset(&self) {
        self.0.called.store(false, Ordering::Release);
        let _ = retry_on_intr(|| rustix::io::read(&self.0.descriptor, &mut [0; 8]));
    }
}
