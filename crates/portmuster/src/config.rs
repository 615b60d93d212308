//! What a run may be told, and what it does when it is told nothing.

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

pub use method::{Method, UnknownMethod};

/// Attempts in flight that a run may be told: queues are made large enough for all of them.
const IN_FLIGHT_MAX: usize = 1 << 20;

/// Processors that this process may use: at least one.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The limits in time of one attempt. Name lookup and waiting for a retry count in none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From the start of the connection attempt until it is accepted or refused.
    pub timeout: Duration,
    /// From the accept until the first byte.
    pub first_byte: Duration,
    /// From the accept until an empty line is sent to a server that says nothing.
    pub active_step: Duration,
    /// From the last byte, or the empty line, until a greeting counts as whole that a rule
    /// recognises. What no rule recognises is waited for as long as a [first
    /// byte](Self::first_byte).
    pub quiet: Duration,
    /// From the accept until the conversation is ended, whatever still comes.
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

/// What an attempt asks of an open port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probing {
    /// Reads what the server says, judges the service by it, and of ssh reads on to its offer for
    /// the key exchange.
    #[default]
    KeyExchange,
    /// Stops at the identification of ssh.
    Greeting,
    /// Only whether it connects.
    ConnectOnly,
}

/// Whether a port gets a second connection on which we speak first, as ssh clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpeakFirst {
    /// A port that stays silent, or that answers our empty line as another protocol does, gets one:
    /// multiplexers (sslh, `HAProxy`, nginx) hand a connection to sshd by the client's first bytes,
    /// and some servers wait for them. Ports 9100 to 9107, where printers print what they are sent,
    /// get none unless ssh was seen there.
    #[default]
    Auto,
    /// No port gets one.
    Never,
}

/// Which addresses of a name are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addresses {
    /// In the resolver's order until one accepts, at most 256. When all that were tried refuse and
    /// others were not tried, the reason is [`RefusedInPart`](crate::Reason::RefusedInPart).
    #[default]
    UntilOneAccepts,
    /// Each as a target of its own, at most 8,192. When there are others, or the resolver gave no
    /// answer for IPv4 or IPv6, one more outcome is unchecked.
    Each,
}

/// The settings of a [`Checker`](crate::Checker).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How checks run side by side.
    pub method: Method,
    /// Threads, loops or processes, as the method has it. `None`: 256 threads, 32 processes with
    /// a thread each, or one loop or process with more inside per core.
    pub workers: Option<usize>,
    /// Threads in each process of the method `process-threads`; no other has them. `None`: 250.
    pub threads: Option<usize>,
    /// Attempts open at the same time, in all; fewer where this machine has not enough of what
    /// they take, which [`Outcomes::in_flight`](crate::Outcomes::in_flight) tells.
    pub in_flight: usize,
    /// New connections a second, in all. `None`: as fast as they go.
    pub rate: Option<NonZeroU32>,
    /// Attempts open towards one address at the same time. `None`: any number.
    pub per_host: Option<NonZeroU32>,
    /// How long one address may keep the run: as long as it has attempts open or targets waiting
    /// without a break, to the second. What has not been tried by then ends as
    /// [`Reason::HostTimeout`](crate::Reason::HostTimeout), and what waits for another attempt with
    /// the verdict that it has. `None`: as long as it takes.
    pub host_timeout: Option<Duration>,
    /// More attempts for a target that was filtered. With none, a server that hangs up without a
    /// word is not tried once more either.
    pub retries: u32,
    /// The limits in time.
    pub limits: Limits,
    /// What an attempt asks of an open port.
    pub probing: Probing,
    /// Whether a port that is silent, or answers an empty line, gets a second connection on which we
    /// speak first.
    pub speak_first: SpeakFirst,
    /// Whether outcomes keep the whole [conversation](crate::Evidence), within bounds. A banner
    /// they have in any case.
    pub evidence: bool,
    /// Which addresses of a name are checked.
    pub addresses: Addresses,
    /// The address to connect from. `None`: the system chooses.
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

/// A setting that no run could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A count is zero.
    #[error("{setting} must be at least 1")]
    Zero {
        /// The setting's name, as the command line writes it.
        setting: &'static str,
    },
    /// A limit in time is zero.
    #[error("{setting} must be longer than 0s")]
    NoTime {
        /// The setting's name, as the command line writes it.
        setting: &'static str,
    },
    /// A setting that only another method has.
    #[error("the method {method} has no setting {setting}")]
    Unused {
        /// The setting's name, as the command line writes it.
        setting: &'static str,
        /// The method.
        method: Method,
    },
    /// More of something than one run may have on this system.
    #[error("{asked} {what} are more than the {most} that one run may have here ({by})")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// What they are.
        what: &'static str,
        /// The ceiling.
        most: usize,
        /// What sets it.
        by: &'static str,
    },
}

impl Config {
    /// Settings that do nothing but connect, each target once, as fast as it goes: the terms of
    /// every comparison of speed.
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
    /// A setting that no run could have.
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
    fn defaults_are_a_run_that_can_be() {
        assert!(Config::default().validate().is_ok());
        assert!(Config::unthrottled().validate().is_ok());
    }

    #[test]
    fn nothing_at_all_is_refused() {
        let config = Config { in_flight: 0, ..Config::default() };
        let error = config.validate().expect_err("no attempt could start");
        assert_eq!(error.to_string(), "in-flight must be at least 1");

        let limits = Limits { timeout: Duration::ZERO, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let error = config.validate().expect_err("no attempt could connect");
        assert_eq!(error.to_string(), "timeout must be longer than 0s");
    }
}
