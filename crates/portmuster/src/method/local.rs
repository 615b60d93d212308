//! Attempts in threads of this process.

use super::{
    capacity::LimitingResource,
    context::{StartError, WorkerContext},
    event_loop,
    thread_pool::Started,
    threads,
};
use crate::{config::defaults, descriptors};

/// Starts event loops, or blocking threads on a system without epoll.
///
/// # Errors
/// This system starts neither.
pub(super) fn loops_or_threads(
    loops: usize,
    in_flight: usize,
    context: &WorkerContext,
) -> Result<Started, StartError> {
    match event_loop::start(loops, in_flight, context) {
        Err(StartError::Poller(_)) => {
            let threads = in_flight.min(defaults::THREADS).min(descriptors::budget().attempts);
            let started = threads::start(threads, threads, context)?;
            Ok(Started { limited_by: LimitingResource::Pollers, ..started })
        }
        started => started,
    }
}
