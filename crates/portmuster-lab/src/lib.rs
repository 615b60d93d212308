//! Servers to check on loopback: the other side of portmuster's tests, benches and demo.
//!
//! - [`Server`] plays one [`Behaviour`] (honest, odd or hostile) on one port, a [`Crowd`] the same
//!   one on many.
//! - [`Lab`] runs the whole [`fn@fixtures`], one server for each [`Fixture`], with the verdict a check
//!   should reach.
//! - [`real`] starts OpenSSH, Dropbear and two telnetds as child processes.
//!
//! It refuses to listen anywhere but on loopback, and to be more of a server than a check sees:
//! nobody can log in.
//!
//! - Invariant: every socket is bound to a loopback address.
//! - Invariant: dropping a handle ends all it started (threads joined, child processes waited for).
//! - Invariant: nothing a client does makes a server panic, grow without bound or stop serving
//!   others.

mod behaviour;
mod connection;
mod error;
mod fixtures;
mod host;
mod penalties;
#[cfg(feature = "real")]
pub mod real;
mod script;
mod server;
mod stats;

pub use behaviour::{Behaviour, Lie};
pub use connection::MAX_LIFE;
pub use error::LabError;
pub use fixtures::{Fixture, Kind, Lab, fixtures};
pub use host::MAX_CONNECTIONS;
pub use server::{Crowd, Server};
pub use stats::Counts;
