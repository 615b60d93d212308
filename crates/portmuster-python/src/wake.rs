//! A descriptor that becomes readable when there is more to poll, for event loops of Python.

use std::{
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::Arc,
    task::Wake,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::{Errno, retry_on_intr},
};

/// A descriptor to wait for: it is readable after a wake-up.
#[derive(Debug)]
pub(crate) struct WakeDescriptor(OwnedFd);

impl WakeDescriptor {
    /// Creates the descriptor. No program that is executed inherits it.
    ///
    /// # Errors
    /// This process is short of descriptors, or the system of memory.
    pub(crate) fn new() -> Result<Self, Errno> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map(Self)
    }

    /// Returns the number of the descriptor, which stays open as long as this object.
    pub(crate) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes the wake-ups, so that the descriptor is readable only after another one.
    pub(crate) fn reset(&self) {
        // Fails if there was no wake-up.
        let _ = retry_on_intr(|| rustix::io::read(&self.0, &mut [0; 8]));
    }
}

impl Wake for WakeDescriptor {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Fails only after 2^64 wake-ups without a reset.
        let _ = retry_on_intr(|| rustix::io::write(&self.0, &1_u64.to_ne_bytes()));
    }
}
