//! Checks which of millions of host:port pairs support **ssh** or **telnet**, concurrently and in
//! bounded memory. Each outcome is available the moment it is known.
//!
//! ```
//! for outcome in portmuster::check_ports([("127.0.0.1", 22), ("localhost", 23)]) {
//!     let (host, port, open) = outcome.into();
//!     println!("{host} {port} {open}");
//! }
//! ```
//!
//! [`check_ports`] only connects. A [`Checker`] also reads what the servers send, with the settings of
//! a [`Config`], and takes networks and ranges too:
//!
//! ```
//! use portmuster::{Checker, Config, Service, TargetSet};
//!
//! let network: TargetSet = "127.0.0.1/32:22,23".parse()?;
//! for outcome in Checker::new(Config::default()).check(network)? {
//!     if outcome.verdict.service == Some(Service::Telnet) {
//!         println!("telnet is left at {}", outcome.target);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The settings are in [`config`], everything that an outcome contains in [`outcome`], and lists of
//! targets in [`targets`].
//!
//! # From a target to its row
//! [`targets`] describes what to check. The schedule decides which attempt starts next, and when. The
//! executor of the [method](Method) makes the attempts; each is a state machine without I/O, under a
//! driver that owns the sockets. The result is the target's [`Outcome`], which [sinks](sink) write.
//! [Gates](gates) say whether a run proves that no telnet or weak ssh is left, and a
//! [journal] records the progress of a run, so that a later process can resume it.
//!
//! # Features
//! None is on by default.
//!
//! - `host-keys`: the host keys of ssh servers, with [`config::ConfigBuilder::host_keys`].
//! - `sqlite`: the sink and the reader for databases, with `SQLite` built in.
//! - `stream`: outcomes as a `futures_core::Stream`, with `Outcomes::into_stream`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod characters;
mod checker;
mod clock;
pub mod config;
mod coordinator;
mod descriptors;
#[cfg(test)]
mod documented;
mod driver;
mod fingerprint;
#[cfg(any(test, feature = "__fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gates;
pub mod history;
mod input;
pub mod journal;
mod memory;
pub mod method;
mod named_enum;
pub mod outcome;
mod positions;
mod preload;
mod probe;
mod random;
mod resolver;
mod run_loop;
mod schedule;
#[cfg(feature = "__simulator")]
#[doc(hidden)]
pub mod simulator;
pub mod sink;
pub mod software;
#[cfg(feature = "stream")]
mod stream;
pub mod targets;
mod threads;
mod waker;
pub mod workers;

pub use checker::{Checker, Next, Outcomes, Stopper, check_a_port, check_ports};
pub use config::{Config, ConfigError, Method};
pub use method::{StartError, worker_main};
pub use named_enum::UnknownName;
pub use outcome::{Account, Outcome, PortState, Reason, Service, Verdict};
pub use positions::Positions;
pub use probe::{known_protocols, protocol_meaning};
pub use resolver::{ExcludeError, FailedName};
#[cfg(feature = "stream")]
pub use stream::OutcomesStream;
pub use targets::{Host, Target, TargetSet};

/// Makes rustdoc test the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Callers move these between threads, share them and print them.
#[cfg(test)]
const _: () = {
    const fn shared<T: Send + Sync + std::fmt::Debug>() {}
    const fn moved<T: Send + std::fmt::Debug>() {}

    shared::<(Checker, Config, config::ConfigBuilder, Outcome, Account, Positions, Stopper)>();
    shared::<(TargetSet, targets::Targets, targets::Excludes, gates::Gates, gates::GateReport)>();
    shared::<(history::RunResults, history::Changes, workers::Workers)>();
    shared::<(StartError, ConfigError, ExcludeError, UnknownName, targets::LineError)>();
    shared::<(outcome::Software, software::Fingerprints, software::RecogError)>();
    shared::<(history::RowError, journal::JournalError, workers::WorkersError)>();
    moved::<(Outcomes, journal::Journal, journal::JournaledRun)>();
    moved::<(
        sink::Sarif<Vec<u8>>,
        sink::List<Vec<u8>>,
        sink::Jsonl<Vec<u8>>,
        sink::Csv<Vec<u8>>,
        sink::Table<Vec<u8>>,
        sink::XmlFile<Vec<u8>>,
    )>();
    moved::<workers::Results<u8, u8>>();
    #[cfg(feature = "sqlite")]
    {
        shared::<(sink::DatabaseError, history::StoredRunError)>();
        moved::<(sink::Sqlite, sink::PreparedRun)>();
    }
};
