//! Settings that several tests use.

use portmuster::{
    Config,
    config::{ConfigBuilder, Probing},
};

/// Returns settings that only connect, once per target, without limits of rate and per host.
pub(crate) fn unthrottled() -> ConfigBuilder {
    Config::builder().probing(Probing::ConnectOnly).rate(None).per_host(None).retries(0)
}
