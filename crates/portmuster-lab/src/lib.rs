//! Servers on loopback for portmuster's tests and its demo.
//!
//! - A [`Server`] runs one [`Behaviour`] (honest, odd or hostile) on one port; a [`Crowd`]
//!   runs the same behaviour on many ports.
//! - A [`Lab`] runs one server for each [`Fixture`] of [`fn@fixtures`]. A fixture states the
//!   verdict that a check should reach.
//! - A [`SocksProxy`] relays connections, and fails on demand.
//! - The module `real` (feature `real`) starts OpenSSH, Dropbear and two telnetds as child
//!   processes.
//! - The module `link` (feature `link`) puts whole networks of hosts behind a slow, lossy link, in
//!   network namespaces.
//!
//! The servers listen on loopback and behind links only, and implement only as much of a protocol as
//! a check sees: no client can log in.
//!
//! - Invariant: every socket is bound to a loopback address, or belongs to the namespace of a link.
//! - Invariant: dropping a handle ends everything that it started (threads are joined, child
//!   processes are waited for).
//! - Invariant: no client can make a server panic, grow without bound, or stop serving others.

mod behaviour;
mod connection;
mod error;
mod fixtures;
mod limits;
#[cfg(feature = "link")]
pub mod link;
mod penalties;
#[cfg(feature = "real")]
pub mod real;
mod script;
mod server;
mod server_loop;
mod server_policy;
mod socks;
mod stats;

#[cfg(feature = "host-keys")]
pub use behaviour::KeyExchange;
pub use behaviour::{Behaviour, KexInitDefect};
pub use error::LabError;
pub use fixtures::{Fixture, FixtureKind, Lab, fixtures};
pub use limits::{MAX_CONNECTIONS, MAX_LIFE};
pub use server::{Crowd, Server};
pub use socks::SocksProxy;
pub use stats::Counts;

/// Makes rustdoc test the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
