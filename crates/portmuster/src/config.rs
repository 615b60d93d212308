//! The configuration of a run.

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub mod defaults;
mod method;

pub use method::Method;

/// The largest `in_flight`. Queues are sized for it.
const IN_FLIGHT_MAX: usize = 1 << 20;

/// Returns how many processors this process may use; at least 1.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The time limits of one attempt. They do not include name lookups and waits before retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From the start of the connection attempt until it is accepted or refused.
    pub timeout: Duration,
    /// From the accept until the first byte.
    pub first_byte: Duration,
    /// From the accept until a silent server gets an empty line.
    pub active_step: Duration,
    /// From the last byte, or the empty line, until a greeting that a rule recognises counts as
    /// complete. Bytes that no rule recognises get as long as a [first byte](Self::first_byte).
    pub quiet: Duration,
    /// From the accept until the conversation is ended, even if the server is still sending.
    pub deadline: Duration,
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

/// What an attempt finds out about an open port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probing {
    /// Reads the server's bytes, judges the service, and reads ssh up to the server's KEXINIT message.
    #[default]
    KeyExchange,
    /// As `KeyExchange`, but stops at the identification of ssh.
    Greeting,
    /// Only connects.
    ConnectOnly,
}

/// Whether a port gets a second connection on which this side speaks first, as ssh clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpeakFirst {
    /// A port that stays silent, or answers the empty line in another protocol, gets one. Multiplexers
    /// (sslh, `HAProxy`, nginx) pass a connection to sshd by the client's first bytes, and some servers
    /// wait for them. Ports 9100 to 9107, where printers print every byte, get one only if ssh was
    /// seen there.
    #[default]
    Auto,
    /// No port gets one.
    Never,
}

/// Which addresses of a name are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addresses {
    /// In the resolver's order until one accepts, at most 256. When all that were tried have refused
    /// and others exist, the reason is [`RefusedInPart`](crate::Reason::RefusedInPart).
    #[default]
    UntilOneAccepts,
    /// Each as a target of its own, at most 8,192. If there are more, or the lookup of IPv4 or IPv6
    /// addresses failed, the name gets one more outcome, which is unchecked.
    Each,
}

/// The settings of a [`Checker`](crate::Checker).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How checks run side by side.
    pub method: Method,
    /// The number of threads, loops or processes, by method. `None`: 256 threads, 32 processes with one
    /// thread each, or one loop or larger process per core.
    pub workers: Option<usize>,
    /// Threads in each process of the method `process-threads`. `None`: 250. Other methods refuse it.
    pub threads: Option<usize>,
    /// The maximum number of attempts open at the same time. This machine may allow fewer; see
    /// [`Outcomes::in_flight`](crate::Outcomes::in_flight).
    pub in_flight: usize,
    /// The most new connections per second. `None` for no limit.
    pub rate: Option<NonZeroU32>,
    /// The most attempts open towards one address at the same time. `None` for no limit.
    pub per_host: Option<NonZeroU32>,
    /// How long one address may be busy, that is, have open attempts or waiting targets without a break;
    /// exact to a second. Afterwards its untried targets end as
    /// [`Reason::HostTimeout`](crate::Reason::HostTimeout), and those that wait for another attempt
    /// with the verdict that they have. `None` for no limit.
    pub host_timeout: Option<Duration>,
    /// How often a filtered target is retried. With 0, a server that closes the connection without
    /// sending a byte is not tried again either.
    pub retries: u32,
    /// The time limits of each attempt.
    pub limits: Limits,
    /// What an attempt finds out about an open port.
    pub probing: Probing,
    /// Whether a silent port, or one that answers the empty line, gets a second connection on which
    /// this side speaks first.
    pub speak_first: SpeakFirst,
    /// Whether outcomes keep the [conversation](crate::outcome::Evidence), up to its limits. They always keep
    /// the banner.
    pub evidence: bool,
    /// Which addresses of a name are checked.
    pub addresses: Addresses,
    /// The source address of connections. `None`: the operating system chooses it.
    pub source: Option<IpAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            method: Method::default(),
            workers: None,
            threads: None,
            in_flight: defaults::IN_FLIGHT,
            rate: NonZeroU32::new(defaults::RATE),
            per_host: NonZeroU32::new(defaults::PER_HOST),
            host_timeout: None,
            retries: defaults::RETRIES,
            limits: Limits::default(),
            probing: Probing::default(),
            speak_first: SpeakFirst::default(),
            evidence: false,
            addresses: Addresses::default(),
            source: None,
        }
    }
}

/// Why settings are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A count is zero.
    #[error("{setting} must be at least 1")]
    Zero {
        /// The setting's name on the command line.
        setting: &'static str,
    },
    /// A time limit is zero.
    #[error("{setting} must be longer than 0s")]
    NoTime {
        /// The setting's name on the command line.
        setting: &'static str,
    },
    /// The setting belongs to another method.
    #[error("the method {method} has no setting {setting}")]
    Unused {
        /// The setting's name on the command line.
        setting: &'static str,
        /// The method.
        method: Method,
    },
    /// The number is larger than this system allows one run.
    #[error("{asked} {what} are more than the {most} that one run may have here ({by})")]
    TooMany {
        /// The number that was asked for.
        asked: usize,
        /// What is counted.
        what: &'static str,
        /// The largest number allowed.
        most: usize,
        /// What sets that limit.
        by: &'static str,
    },
}

impl Config {
    /// Settings that only connect, once per target, without limits of rate and per host. Benchmarks use
    /// them.
    #[must_use]
    pub fn unthrottled() -> Self {
        Self {
            rate: None,
            per_host: None,
            retries: 0,
            probing: Probing::ConnectOnly,
            ..Self::default()
        }
    }

    /// Checks the settings that do not depend on this machine.
    ///
    /// # Errors
    /// A setting is invalid for every machine.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.in_flight == 0 {
            return Err(ConfigError::Zero { setting: "in-flight" });
        }
        if self.in_flight > IN_FLIGHT_MAX {
            let (asked, most) = (self.in_flight, IN_FLIGHT_MAX);
            let (what, by) = ("attempts in flight", "what a run has room for");
            return Err(ConfigError::TooMany { asked, what, most, by });
        }
        for (setting, limit) in [
            ("timeout", self.limits.timeout),
            ("first-byte", self.limits.first_byte),
            ("quiet-after", self.limits.quiet),
            ("deadline", self.limits.deadline),
            ("host-timeout", self.host_timeout.unwrap_or(Duration::MAX)),
        ] {
            if limit.is_zero() {
                return Err(ConfigError::NoTime { setting });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_settings_are_valid() {
        assert!(Config::default().validate().is_ok());
        assert!(Config::unthrottled().validate().is_ok());
    }

    #[test]
    fn zero_is_refused() {
        let config = Config { in_flight: 0, ..Config::default() };
        let error = config.validate().expect_err("no attempt could start");
        assert_eq!(error.to_string(), "in-flight must be at least 1");

        let limits = Limits { timeout: Duration::ZERO, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let error = config.validate().expect_err("no attempt could connect");
        assert_eq!(error.to_string(), "timeout must be longer than 0s");
    }
}
