//! Looks up names: with the operating system's resolver, so that the hosts file, the search list and
//! whatever else the user's other programs go by apply here, too.
//!
//! [`Resolver`] is the pool of threads in which lookups run, and `system` makes one lookup. `negative`
//! confirms negative answers with DNS questions of its own. `excludes` looks up the names that a run
//! must not contact.

mod config_file;
mod dns_client;
mod dns_reply;
mod excludes;
mod host_addresses;
mod hosts_file;
mod lookup_pool;
mod negative;
mod nsswitch;
mod resolv_conf;
mod system;

pub use excludes::{ExcludeError, FailedName};
pub(crate) use host_addresses::host_addresses;
pub(crate) use lookup_pool::Resolver;
#[cfg(feature = "__simulator")]
pub(crate) use lookup_pool::THREADS_MAX;
