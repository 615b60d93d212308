//! How many checks run side by side, and where.
//!
//! Every method runs the same [attempts](crate::attempt) under the same
//! [schedule](crate::schedule), so all of them come to the same verdicts. They differ in what waits
//! for the network.

mod capacity;
mod cgroup;
mod context;
pub(crate) mod event_loop;
mod executor;
mod local;
mod plan;
mod processes;
mod proxy;
mod thread_pool;
mod threads;
mod worker_limits;

pub(crate) use capacity::waiting_targets;
pub use capacity::{InFlight, LimitingResource};
pub use context::StartError;
pub(crate) use context::{Panics, Reports, WorkerContext};
pub(crate) use executor::Executor;
pub use executor::WorkersReport;
pub(crate) use plan::Plan;
pub use processes::worker_main;
pub(crate) use proxy::admitted;
pub(crate) use worker_limits::{Size, size};
