//! Attempts in threads of this process.

use super::{
    capacity::LimitingResource,
    context::{StartError, WorkerContext},
    event_loop,
    thread_pool::Started,
    threads,
};
use crate::{config::defaults, descriptors};

/// Starts event loops, or, on a system that gives no poller, threads that each wait for one
/// socket.
pub(super) fn loops_or_threads(
    loops: usize,
    in_flight: usize,
    setting: &WorkerContext,
) -> Result<Started, StartError> {
    match event_loop::start(loops, in_flight, setting) {
        Err(StartError::Poller(_)) => {
            let threads = in_flight.min(defaults::THREADS).min(descriptors::budget().attempts);
            let started = threads::start(threads, threads, setting)?;
            Ok(Started { scarce: LimitingResource::Pollers, ..started })
        }
        started => started,
    }
}
