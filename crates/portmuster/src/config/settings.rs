//! The settings of a run, all of them valid.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    choices::{Addresses, HostKeyProbing, Patience, Probing, SpeakFirst},
    defaults,
    max_missed::MaxMissed,
    method::Method,
    proxy::Proxy,
};

/// The time limits of one attempt. They do not include name lookups and waits before retries.
///
/// [`ConfigBuilder`](crate::config::ConfigBuilder) documents each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) active_step: Duration,
    pub(crate) quiet: Duration,
    pub(crate) deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: defaults::TIMEOUT,
            first_byte: defaults::FIRST_BYTE,
            active_step: defaults::ACTIVE_STEP,
            quiet: defaults::QUIET,
            deadline: defaults::DEADLINE,
        }
    }
}

/// The settings of a [`Checker`](crate::Checker), all of them valid.
///
/// [`Config::builder`] creates one. The default has the numbers of [`defaults`].
///
/// ```
/// use portmuster::{Config, Method};
///
/// let config = Config::builder().method(Method::Threads).workers(64).rate(500).build()?;
/// assert_eq!(config.workers(), Some(64));
/// assert_eq!(config.retries(), portmuster::config::defaults::RETRIES);
/// # Ok::<(), portmuster::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub(super) method: Method,
    pub(super) workers: Option<usize>,
    pub(super) threads: Option<usize>,
    pub(super) in_flight: Option<usize>,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) per_host: Option<NonZeroU32>,
    pub(super) host_timeout: Option<Duration>,
    pub(super) retries: u32,
    pub(super) patience: Patience,
    pub(super) max_missed: Option<MaxMissed>,
    pub(super) seed: Option<u64>,
    pub(super) limits: Limits,
    pub(super) probing: Probing,
    pub(super) speak_first: SpeakFirst,
    pub(super) evidence: bool,
    pub(super) host_keys: HostKeyProbing,
    pub(super) addresses: Addresses,
    pub(super) source: Option<IpAddr>,
    pub(super) proxy: Option<Proxy>,
    pub(super) bypass_preload: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            method: Method::default(),
            workers: None,
            threads: None,
            in_flight: None,
            rate: NonZeroU32::new(defaults::RATE),
            per_host: NonZeroU32::new(defaults::PER_HOST),
            host_timeout: None,
            retries: defaults::RETRIES,
            patience: Patience::default(),
            max_missed: None,
            seed: None,
            limits: Limits::default(),
            probing: Probing::default(),
            speak_first: SpeakFirst::default(),
            evidence: false,
            host_keys: HostKeyProbing::default(),
            addresses: Addresses::default(),
            source: None,
            proxy: None,
            bypass_preload: false,
        }
    }
}

impl Config {
    /// Returns how checks run side by side.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Returns the number of threads, loops or processes. `None`: the [usual
    /// number](crate::config::ConfigBuilder::workers) of the method.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.workers
    }

    /// Returns the number of threads in each worker process. `None`: the [usual
    /// number](crate::config::ConfigBuilder::threads).
    #[must_use]
    pub fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// Returns the maximum number of attempts open at the same time. `None`: it follows the [rate and
    /// the timeout](crate::config::ConfigBuilder::in_flight).
    #[must_use]
    pub fn in_flight(&self) -> Option<usize> {
        self.in_flight
    }

    /// Returns the maximum number of new connections per second. `None`: no limit.
    #[must_use]
    pub fn rate(&self) -> Option<NonZeroU32> {
        self.rate
    }

    /// Returns the maximum number of attempts open towards one address. `None`: no limit.
    #[must_use]
    pub fn per_host(&self) -> Option<NonZeroU32> {
        self.per_host
    }

    /// Returns how long one address may be busy without a break. `None`: no limit.
    #[must_use]
    pub fn host_timeout(&self) -> Option<Duration> {
        self.host_timeout
    }

    /// Returns how often a filtered target is retried.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Returns how long an attempt waits for an endpoint that does not answer.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Returns the largest share of silent targets that may be missed. `None`: no silent target is
    /// [asked again](crate::config::ConfigBuilder::max_missed) for an estimate.
    #[must_use]
    pub fn max_missed(&self) -> Option<MaxMissed> {
        self.max_missed
    }

    /// Returns the seed that determines which targets are sampled. `None`: a random one.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Returns the time limit from the start of an attempt until it is accepted or refused.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// Returns the time limit from the accept until the first byte.
    #[must_use]
    pub fn first_byte(&self) -> Duration {
        self.limits.first_byte
    }

    /// Returns the time from the accept until a silent server gets an empty line.
    #[must_use]
    pub fn active_step(&self) -> Duration {
        self.limits.active_step
    }

    /// Returns the pause that ends a greeting which a rule recognises.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        self.limits.quiet
    }

    /// Returns the time limit from the accept until the conversation is ended.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.limits.deadline
    }

    /// Returns the time limits of one attempt.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns what an attempt finds out about an open port.
    #[must_use]
    pub fn probing(&self) -> Probing {
        self.probing
    }

    /// Returns which ports get a second connection on which this side speaks first.
    #[must_use]
    pub fn speak_first(&self) -> SpeakFirst {
        self.speak_first
    }

    /// Returns whether outcomes keep the [conversation](crate::outcome::Evidence).
    #[must_use]
    pub fn evidence(&self) -> bool {
        self.evidence
    }

    /// Returns which host keys ssh servers are asked for.
    #[must_use]
    pub fn host_keys(&self) -> HostKeyProbing {
        self.host_keys
    }

    /// Returns which addresses of a name are checked.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Returns the source address of connections. `None`: the operating system chooses it.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Returns the proxy that connections go through. `None`: they go to their endpoints.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Returns whether connections may bypass a preloaded library that intercepts connect(2).
    #[must_use]
    pub fn bypass_preload(&self) -> bool {
        self.bypass_preload
    }
}
