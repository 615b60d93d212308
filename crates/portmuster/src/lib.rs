//! Which of these addresses support **ssh** or **telnet**? Checks host:port pairs by the million,
//! side by side, in bounded memory, and hands over each outcome the moment it is known.
//!
//! ```
//! for outcome in portmuster::check_ports([("127.0.0.1", 22), ("localhost", 23)]) {
//!     let (host, port, open) = outcome.into();
//!     println!("{host} {port} {open}");
//! }
//! ```
//!
//! [`check_ports`] only connects. A [`Checker`] reads what the servers say, by the [`Config`] it
//! is given.
//!
//! # From a target to its row
//! [`targets`] says what to check. The schedule decides what starts next and when; the
//! [method](Method) makes the attempts, each of which is a machine without I/O under a driver
//! that owns the sockets; what is true of the target is its [`Outcome`], which [sinks](sink)
//! write.

mod attempt;
mod characters;
mod checker;
mod clock;
mod config;
mod coordinator;
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
mod schedule;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod sink;
pub mod targets;
pub mod workers;

pub use checker::{Checker, Next, Outcomes, Stopper, check_a_port, check_ports};
pub use config::{Addresses, Config, ConfigError, Limits, Probing, SpeakFirst, defaults};
pub use fingerprint::Fingerprint;
pub use method::{
    InFlight, LimitingResource, Method, StartError, UnknownMethod, WorkersReport, worker_main,
};
pub use outcome::{
    Account, Evidence, Fault, HostBacklog, Identification, KexFailure, KexInit, KeyExchange,
    NameList, Outcome, Part, PortState, Reason, Rule, Service, ServiceDetails, Side, TelnetOption,
    Throttle, Times, Verb, Verdict, Weakness,
};
pub use positions::{MissingPositions, Positions, PositionsError};
pub use probe::known_protocols;
pub use resolver::{ExcludeError, FailedName};
pub use targets::{Host, Target};

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
