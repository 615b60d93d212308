//! Network namespaces without a name.

use std::{fs::File, io, panic, thread};

use nix::sched::{CloneFlags, setns, unshare};

use super::error::LinkError;

/// Makes a network namespace. It exists while the file is open, or a thread is in it.
pub(crate) fn create() -> Result<File, LinkError> {
    let create = || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        File::open("/proc/thread-self/ns/net")
    };
    in_thread(create)?.map_err(|source| LinkError::Namespace { source })
}

/// Runs the function in a thread of the namespace, and returns its result.
pub(crate) fn enter<T: Send>(
    namespace: &File,
    work: impl FnOnce() -> T + Send,
) -> Result<T, LinkError> {
    in_thread(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| LinkError::Namespace { source: errno.into() })?;
        Ok(work())
    })?
}

/// Runs the function in a thread of its own, which alone changes its namespace.
fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("lab-namespace".into())
            .spawn_scoped(scope, work)
            .map_err(|source: io::Error| LinkError::Thread { source })?;
        Ok(thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}
