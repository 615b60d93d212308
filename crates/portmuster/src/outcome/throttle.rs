//! What limits the pace of a run.

use std::{fmt, net::IpAddr, time::Duration};

/// The limit that currently determines the pace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Throttle {
    /// The configured rate of new connections.
    Rate,
    /// The limit of connections in flight.
    InFlight,
    /// The speed at which this machine starts connections.
    Machine,
    /// A fault of this machine, which reduced the number of connections in flight.
    Faults,
    /// Packet loss, which reduced the number of connections in flight.
    Loss,
    /// The limit of connections per host.
    PerHost,
    /// Hosts that refused connections because there were too many, and are left alone for a while.
    Throttled,
    /// Worker processes that are being restarted.
    Workers,
    /// Name lookups in progress.
    Names,
    /// The delay before targets are retried.
    Retries,
    /// The input, which has no more targets for now.
    Input,
}

impl fmt::Display for Throttle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Rate => "the connection rate",
            Self::InFlight => "the limit of connections in flight",
            Self::Machine => "the speed of this machine",
            Self::Faults => "a shortage of resources on this machine",
            Self::Loss => "packet loss",
            Self::PerHost => "the limit per host",
            Self::Throttled => "hosts that asked for fewer connections",
            Self::Workers => "the restart of worker processes",
            Self::Names => "name lookups",
            Self::Retries => "delays before retries",
            Self::Input => "the input",
        })
    }
}

/// How far a run is with the targets that have not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PassProgress {
    /// Attempts that have started, those of retries included.
    pub started: u64,
    /// Targets that wait for another attempt.
    pub waiting: u64,
    /// Targets that have had all their attempts, and whose outcomes become known when their block ends.
    pub held: u64,
    /// Whether silent targets of the oldest block are being asked again to estimate how many were missed.
    pub is_asking_again: bool,
    /// How long attempts usually wait for an answer now.
    pub patience: Duration,
}

/// Targets that wait because their host has reached its connection limit or is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostBacklog {
    /// Number of waiting targets, over all hosts.
    pub targets: usize,
    /// Number of hosts with waiting targets.
    pub hosts: usize,
    /// The host with the most waiting targets.
    pub longest: IpAddr,
    /// Number of targets that wait for that host.
    pub longest_targets: usize,
    /// Estimated time until these are checked, from the attempts at that host so far; `None` if none
    /// has ended yet.
    pub longest_remaining: Option<Duration>,
}
