//! Gets the host key of an ssh server: a key exchange up to the server's reply, without authentication.
//!
//! After the server's offer, [`HostKeyExchange`] answers with one method and one host key algorithm out of
//! it, and a public value of its own. The reply has the host key, and a signature over all of this. Feature
//! `host-keys`.
//!
//! Invariant: nothing that a server sends makes the computation take longer than some milliseconds:
//! packets have at most 35,000 bytes, and numbers the sizes that [`groups`] and [`signature`] allow.

#[cfg(not(feature = "host-keys"))]
mod absent;
#[cfg(feature = "host-keys")]
mod agreement;
#[cfg(feature = "host-keys")]
mod algorithms;
#[cfg(feature = "host-keys")]
mod exchange;
#[cfg(feature = "host-keys")]
mod exchange_hash;
#[cfg(feature = "host-keys")]
mod groups;
mod interface;
#[cfg(feature = "host-keys")]
mod nist;
#[cfg(feature = "host-keys")]
mod public_key;
#[cfg(feature = "host-keys")]
mod received_key;
#[cfg(feature = "host-keys")]
mod signature;
#[cfg(all(test, feature = "host-keys"))]
mod tests;
#[cfg(feature = "host-keys")]
mod wire;

#[cfg(not(feature = "host-keys"))]
pub(super) use absent::{EXCHANGE_WRITTEN_MAX, NoExchange as HostKeyExchange};
#[cfg(feature = "host-keys")]
pub(super) use exchange::{EXCHANGE_WRITTEN_MAX, HostKeyExchange};
pub(super) use interface::{ExchangeStep, Preamble};

#[cfg(all(any(test, feature = "__fuzzing"), feature = "host-keys"))]
pub(super) use algorithms::algorithm_name;
