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
//! a [`Config`].
//!
//! # From a target to its row
//! [`targets`] describes what to check. The schedule decides which attempt starts next, and when. The
//! executor of the [method](Method) makes the attempts; each is a state machine without I/O, under a
//! driver that owns the sockets. The result is the target's [`Outcome`], which [sinks](sink) write.
//!
//! # Features
//! None is on by default.
//!
//! - `sqlite`: the sink and the reader for databases, with `SQLite` built in.
//! - `stream`: outcomes as a `futures_core::Stream`, with `Outcomes::into_stream`.
//! - `simulator`, `fuzzing`: for the tests of portmuster; they may change in any version.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod characters;
mod checker;
mod clock;
mod config;
mod coordinator;
mod descriptors;
mod driver;
mod fingerprint;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod history;
mod input;
mod memory;
mod method;
mod outcome;
mod positions;
mod probe;
mod resolver;
mod run_loop;
mod schedule;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod sink;
#[cfg(feature = "stream")]
mod stream;
pub mod targets;
mod waker;
pub mod workers;

pub use checker::{Checker, Next, Outcomes, Stopper, check_a_port, check_ports};
pub use config::{
    Addresses, Config, ConfigError, Limits, Method, Probing, SpeakFirst, UnknownMethod, defaults,
};
pub use fingerprint::Fingerprint;
pub use method::{InFlight, LimitingResource, StartError, WorkersReport, worker_main};
pub use outcome::{
    Account, Evidence, Fault, HostBacklog, Identification, KexFailure, KexInit, KeyExchange,
    NameList, Outcome, Part, PortState, Reason, Rule, Service, ServiceDetails, Side, TelnetOption,
    Throttle, Times, Verb, Verdict, Weakness,
};
pub use positions::{MissingPositions, Positions, PositionsError};
pub use probe::known_protocols;
pub use resolver::{ExcludeError, FailedName};
#[cfg(feature = "stream")]
pub use stream::OutcomesStream;
pub use targets::{Host, Target};

/// Makes rustdoc test the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
