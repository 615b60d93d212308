//! What is true of a target, and the sum of it over a run.
//!
//! Invariant: trouble of this machine ends in [`PortState::Unchecked`], never in a state that
//! speaks of the target.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::targets::Target;

mod details;
mod evidence;
mod rule;
mod telnet_option;
mod weakness;

pub use details::{Identification, KexFailure, KexInit, KeyExchange, NameList, ServiceDetails};
pub use evidence::{Evidence, Part, Side};
pub use rule::Rule;
pub use telnet_option::{TelnetOption, Verb};
pub use weakness::Weakness;

/// What became of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    /// A connection was accepted.
    Open,
    /// It was refused.
    Closed,
    /// Nothing answered, or something on the way refused it.
    Filtered,
    /// There is no such name.
    Unresolved,
    /// This machine could not, or may not, try.
    Unchecked,
}

impl PortState {
    /// Every state, in the order in which summaries list them.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Closed, Self::Filtered, Self::Unresolved, Self::Unchecked];

    /// The state's name in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Filtered => "filtered",
            Self::Unresolved => "unresolved",
            Self::Unchecked => "unchecked",
        }
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What the bytes of an open port prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Service {
    /// An identification line of ssh (RFC 4253 §4.2).
    Ssh,
    /// sshd's refusal of this connection: it is ssh, and it asks for fewer.
    SshThrottled,
    /// An sshd that can't start, or that turns this address away: it says so in a sentence and
    /// hangs up before its identification.
    SshBroken,
    /// Telnet commands (RFC 854).
    Telnet,
    /// A text that asks for a login, is a shell's prompt or a menu, or names telnet, but no telnet
    /// command. It proves neither that there is telnet nor that there is none.
    TelnetLikely,
    /// Bytes without end and without any protocol we know.
    Tarpit,
    /// It accepted and said nothing.
    Silent,
    /// It accepted and hung up without a word.
    ClosedEarly,
    /// It spoke another protocol, which [`ServiceDetails::protocol`] names.
    Other,
    /// It sent bytes that no rule recognises. They prove nothing.
    Unknown,
    /// Only the connection was asked for.
    NotProbed,
}

impl Service {
    /// Every service, in the order in which summaries list them.
    pub const ALL: [Self; 11] = [
        Self::Ssh,
        Self::SshThrottled,
        Self::SshBroken,
        Self::Telnet,
        Self::TelnetLikely,
        Self::Tarpit,
        Self::Silent,
        Self::ClosedEarly,
        Self::Other,
        Self::Unknown,
        Self::NotProbed,
    ];

    /// The service's name in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::SshThrottled => "ssh-throttled",
            Self::SshBroken => "ssh-broken",
            Self::Telnet => "telnet",
            Self::TelnetLikely => "telnet-likely",
            Self::Tarpit => "tarpit",
            Self::Silent => "silent",
            Self::ClosedEarly => "closed-early",
            Self::Other => "other",
            Self::Unknown => "unknown",
            Self::NotProbed => "not-probed",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A shortage of this machine: it says nothing about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This process may open no more descriptors (EMFILE).
    ProcessDescriptors,
    /// This system may open no more descriptors (ENFILE).
    SystemDescriptors,
    /// No buffer space (ENOBUFS).
    Buffers,
    /// No memory (ENOMEM).
    Memory,
    /// No local port towards that endpoint (EADDRNOTAVAIL, EADDRINUSE; EAGAIN on some systems).
    LocalPorts,
    /// No more sockets can be watched (ENOSPC of epoll).
    Watches,
    /// No thread could be started (EAGAIN of clone).
    Threads,
}

impl Fault {
    /// The fault's name in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ProcessDescriptors => "process-descriptors",
            Self::SystemDescriptors => "system-descriptors",
            Self::Buffers => "buffers",
            Self::Memory => "memory",
            Self::LocalPorts => "local-ports",
            Self::Watches => "watches",
            Self::Threads => "threads",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Why a target is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Open: the connection was accepted.
    Accepted,
    /// Closed: the connection was refused, by a reset as far as this system can tell.
    Refused,
    /// Closed: the addresses of the name that were tried refused, and at least one was not tried: it
    /// is excluded, this system has no way to it, or it is not known.
    RefusedInPart,
    /// Filtered: nothing came back in time.
    NoAnswer,
    /// Filtered: ICMP says that the network can't be reached.
    NetworkUnreachable,
    /// Filtered: ICMP says that the host can't be reached, or the neighbour does not answer.
    HostUnreachable,
    /// Filtered: ICMP says that the protocol can't be reached.
    ProtocolUnreachable,
    /// Filtered: ICMP says that an administrator forbids it.
    Prohibited,
    /// Filtered: ICMP says that the port can't be reached, which a firewall may say as well as the
    /// host.
    IcmpPortUnreachable,
    /// Unresolved: there is no such name, or it has no address.
    NoSuchName,
    /// Unchecked: the resolver gave no answer, or none for IPv4 or IPv6.
    LookupFailed,
    /// Unchecked: the name has more addresses than are tried.
    TooManyAddresses,
    /// Unchecked: `0.0.0.0` or `::` is the address of no host (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2); a
    /// connection to it would reach this machine. Filters answer with it for names that they block.
    UnspecifiedAddress,
    /// Unchecked: this machine has no interface of the name that follows the `%` of the address
    /// (RFC 4007 §11), or the address is of a kind that takes none.
    NoSuchInterface,
    /// Unchecked: this system has no route, or a route that says no.
    NoRoute,
    /// Unchecked: this system does not permit it.
    NotPermitted,
    /// Unchecked: this system does not speak the address's family.
    NoAddressFamily,
    /// Unchecked: port 0 can't be connected to.
    PortZero,
    /// Unchecked: the time that one host may take had passed before its turn came.
    HostTimeout,
    /// Unchecked: this machine could not start the run.
    NotStarted,
    /// Unchecked: three workers ended while this target was all that they were checking.
    KillsWorkers,
    /// Unchecked: no worker can be started any more.
    NoWorkers,
    /// Unchecked: this machine was short of something until its patience ended.
    Fault(Fault),
    /// An error number that no rule knows; the state is as certain as the phase makes it.
    Errno(i32),
}

impl Reason {
    /// The reason's name in rows; an unknown error number is `errno-N`.
    #[must_use]
    pub fn name(self) -> std::borrow::Cow<'static, str> {
        match self {
            Self::Accepted => "accepted".into(),
            Self::Refused => "refused".into(),
            Self::RefusedInPart => "refused-in-part".into(),
            Self::NoAnswer => "no-answer".into(),
            Self::NetworkUnreachable => "network-unreachable".into(),
            Self::HostUnreachable => "host-unreachable".into(),
            Self::ProtocolUnreachable => "protocol-unreachable".into(),
            Self::Prohibited => "prohibited".into(),
            Self::IcmpPortUnreachable => "icmp-port-unreachable".into(),
            Self::NoSuchName => "no-such-name".into(),
            Self::LookupFailed => "lookup-failed".into(),
            Self::TooManyAddresses => "too-many-addresses".into(),
            Self::UnspecifiedAddress => "unspecified-address".into(),
            Self::NoSuchInterface => "no-such-interface".into(),
            Self::NoRoute => "no-route".into(),
            Self::NotPermitted => "not-permitted".into(),
            Self::NoAddressFamily => "no-address-family".into(),
            Self::PortZero => "port-zero".into(),
            Self::HostTimeout => "host-timeout".into(),
            Self::NotStarted => "not-started".into(),
            Self::KillsWorkers => "kills-workers".into(),
            Self::NoWorkers => "no-workers".into(),
            Self::Fault(fault) => fault.name().into(),
            Self::Errno(number) => format!("errno-{number}").into(),
        }
    }
}

impl From<Errno> for Reason {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno.raw_os_error())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.name())
    }
}

/// How long parts of an attempt took, each counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Times {
    /// Until the connection was accepted; `None` when it was not.
    pub connect: Option<Duration>,
    /// Until the first byte came; `None` when none did.
    pub first_byte: Option<Duration>,
    /// Until the verdict.
    pub total: Duration,
}

/// What one attempt found out about one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What became of the connection.
    pub state: PortState,
    /// Why.
    pub reason: Reason,
    /// What the bytes prove; `None` unless the port is open.
    pub service: Option<Service>,
    /// By which rule; `None` unless the port is open.
    pub rule: Option<Rule>,
    /// The greeting, as far as it is kept: at most 1,024 bytes, from a stranger, unescaped. Of
    /// telnet it is the text, without commands and what only moves a terminal's cursor.
    pub banner: Vec<u8>,
    /// What else the bytes say; `None` where that is nothing.
    // Boxed, because most verdicts are on ports that are not open.
    pub details: Option<Box<ServiceDetails>>,
    /// How long it took.
    pub times: Times,
}

impl Verdict {
    /// A verdict without a connection.
    pub(crate) fn unconnected(state: PortState, reason: Reason, total: Duration) -> Self {
        let times = Times { total, ..Times::default() };
        Self { state, reason, service: None, rule: None, banner: Vec::new(), details: None, times }
    }

    /// The verdict on a server that accepted and hung up without a word.
    pub(crate) fn hung_up(times: Times) -> Self {
        Self {
            state: PortState::Open,
            reason: Reason::Accepted,
            service: Some(Service::ClosedEarly),
            rule: Some(Rule::HungUp),
            banner: Vec::new(),
            details: None,
            times,
        }
    }

    /// How much of ssh and telnet it shows, for the choice between two verdicts on one endpoint:
    /// a later look never weakens an earlier one. What may be ssh or telnet counts more than another
    /// protocol, which was all that one of two looks saw: only then is the other protocol proof.
    pub(crate) fn strength(&self) -> u8 {
        let has_no_offer = self
            .details
            .as_ref()
            .is_some_and(|details| matches!(details.key_exchange, KeyExchange::Missing(_)));
        match self.service {
            Some(Service::Ssh) if !has_no_offer => 11,
            Some(Service::Ssh | Service::Telnet) => 10,
            Some(Service::SshThrottled) => 9,
            Some(Service::SshBroken) => 8,
            Some(Service::TelnetLikely) => 7,
            Some(Service::Unknown) => 6,
            Some(Service::Tarpit) => 5,
            Some(Service::Other) => 4,
            Some(Service::Silent) => 3,
            Some(Service::ClosedEarly) => 2,
            Some(Service::NotProbed) => 1,
            None => 0,
        }
    }

    /// Whether the server did nothing until it was sent an empty line, and nothing of ssh and telnet
    /// then: it may wait for what an ssh client sends.
    pub(crate) fn may_await_client(&self) -> bool {
        let answers = || self.details.as_ref().is_some_and(|details| details.answers_empty_line);
        match self.service {
            Some(Service::Silent) => true,
            Some(Service::Other | Service::Unknown | Service::ClosedEarly) => answers(),
            _ => false,
        }
    }

    /// Whether the server was sent something, because it was silent, that kept it from its offer.
    pub(crate) fn is_spoiled(&self) -> bool {
        let offer = self.details.as_ref().map(|details| &details.key_exchange);
        matches!(offer, Some(KeyExchange::Missing(KexFailure::Spoiled)))
    }
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Conclusion {
    /// Something is true of the endpoint.
    Verdict(Verdict),
    /// This machine was short of something; nothing is known.
    Fault(Fault),
}

impl Conclusion {
    /// Whether the connection was refused, as far as its error number tells.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Verdict(Verdict { reason: Reason::Refused, .. }))
    }

    /// The refusal came by ICMP.
    pub(crate) fn refused_by_icmp(&mut self) {
        if let Self::Verdict(verdict) = self
            && verdict.reason == Reason::Refused
        {
            (verdict.state, verdict.reason) = (PortState::Filtered, Reason::IcmpPortUnreachable);
        }
    }

    /// No worker came to it.
    pub(crate) fn is_without_worker(&self) -> bool {
        match self {
            Self::Verdict(verdict) => {
                matches!(verdict.reason, Reason::NoWorkers | Reason::KillsWorkers)
            }
            Self::Fault(_) => false,
        }
    }
}

/// What is true of one target. Every target gets exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The target, as the user named it.
    pub target: Target,
    /// The endpoint that the verdict is about. `None`: no connection was tried, unless each address
    /// of a name is a target of its own.
    pub endpoint: Option<SocketAddr>,
    /// The verdict. Of several addresses none of which accepts it is the most doubtful one's:
    /// filtered before closed, and an address that this machine could not try only when there is
    /// no other. A refusal is [in part](Reason::RefusedInPart) when there is such an address.
    pub verdict: Verdict,
    /// Connections begun for this target.
    pub attempts: u32,
    /// When the verdict was reached.
    pub time: SystemTime,
    /// Which of the run's targets it is, counted from 0 in the order in which they are taken. With
    /// [each address](crate::Addresses::Each) of a name several outcomes have the same.
    pub position: u64,
}

impl Outcome {
    /// Whether a connection was accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verdict.state == PortState::Open
    }

    /// Bytes of memory that it takes, at least.
    pub(crate) fn size(&self) -> usize {
        let details = self.verdict.details.as_ref().map_or(0, |details| details.size());
        size_of::<Self>() + self.verdict.banner.len() + details
    }
}

/// The reference's answer: the host as it was named, the port, and whether it is open.
impl From<Outcome> for (String, u16, bool) {
    fn from(outcome: Outcome) -> Self {
        let open = outcome.is_open();
        (outcome.target.host.to_string(), outcome.target.port, open)
    }
}

/// What holds a run back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Throttle {
    /// The rate of new connections.
    Rate,
    /// The connections that may be open at the same time.
    InFlight,
    /// The pace at which this machine begins connections.
    Machine,
    /// A fault of this machine, which has fewer open than it might.
    Faults,
    /// What the network loses: fewer are open than might be.
    Loss,
    /// The connections that one host may have.
    PerHost,
    /// Hosts that asked for fewer connections.
    Throttled,
    /// Worker processes that are being started again.
    Workers,
    /// Names that are being looked up.
    Names,
    /// Targets that wait for another attempt.
    Retries,
    /// The input has no more for now.
    Input,
}

impl fmt::Display for Throttle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Rate => "the rate (--rate)",
            Self::InFlight => "the connections in flight (--in-flight, or descriptors)",
            Self::Machine => "the pace of this machine",
            Self::Faults => "shortages of this machine",
            Self::Loss => "what the network loses",
            Self::PerHost => "the share of a host (--per-host)",
            Self::Throttled => "hosts that asked for fewer connections",
            Self::Workers => "worker processes that are being started again",
            Self::Names => "name lookups",
            Self::Retries => "pauses before retries",
            Self::Input => "the input",
        })
    }
}

/// Targets that wait because their host has as many attempts as it may have, or rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostBacklog {
    /// How many targets wait, over all hosts.
    pub targets: usize,
    /// How many hosts they wait for.
    pub hosts: usize,
    /// The host that most of them wait for.
    pub longest: IpAddr,
    /// How many wait for it.
    pub longest_targets: usize,
    /// How long they will take at the pace of those before them; `None`: none of its attempts has
    /// ended yet.
    pub longest_remaining: Option<Duration>,
}

/// The sum over a run:
/// `targets = open + closed + filtered + unresolved + unchecked + excluded + left`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Targets that the schedule has taken, so far. A few more may have been taken from the input
    /// and stand in its queue.
    pub targets: u64,
    /// Outcomes by state, in the order of [`PortState::ALL`].
    states: [u64; PortState::ALL.len()],
    /// Outcomes of open ports by service, in the order of [`Service::ALL`].
    services: [u64; Service::ALL.len()],
    /// Targets of which nothing but excluded addresses was left.
    pub excluded: u64,
    /// Targets that were added because a name had more addresses than one.
    pub more_addresses: u64,
    /// Open ports that only an attempt after the first found. Many of them mean that the rate
    /// is higher than the network bears.
    pub found_on_retry: u64,
    /// How often the run was slowed down because retries found what was lost.
    pub slowed: u64,
    /// How often this machine was short of something.
    pub faults: u64,
    /// The latest of these faults.
    pub last_fault: Option<Fault>,
    /// Attempts that could be in flight when this machine was shortest of something, or the
    /// network lost most.
    pub in_flight_least: usize,
    /// Attempts that may be in flight just now. They get more again while nothing is short.
    pub in_flight_most: usize,
    /// What holds the run back just now.
    #[serde(skip)]
    pub throttle: Option<Throttle>,
    /// Targets that wait for their hosts, counted within the last second; `None`: none did.
    #[serde(skip)]
    pub backlog: Option<HostBacklog>,
    /// How long the run has taken.
    pub elapsed: Duration,
}

/// More than any run counts of anything.
const COUNT_MAX: u64 = 1 << 56;
/// Longer than any run takes: a thousand years.
const ELAPSED_MAX: Duration = Duration::from_hours(1000 * 366 * 24);

impl Account {
    /// Whether a run can have come to it. One that was read from a file may say anything, and its
    /// sums may overflow; those of one that is sound do not.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let single = [
            self.targets,
            self.excluded,
            self.more_addresses,
            self.found_on_retry,
            self.slowed,
            self.faults,
        ];
        let counts = single.iter().chain(&self.states).chain(&self.services);
        counts.into_iter().all(|&count| count <= COUNT_MAX)
            && self.elapsed <= ELAPSED_MAX
            && self.services.iter().sum::<u64>() <= self.state(PortState::Open)
            && self.settled() + self.excluded <= self.targets
    }

    /// Adds one outcome.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.states[verdict.state as usize] += 1;
        if let Some(service) = verdict.service {
            self.services[service as usize] += 1;
        }
    }

    /// Takes one outcome back, of a target that is to be checked again.
    pub fn take_back(&mut self, verdict: &Verdict) {
        let state = &mut self.states[verdict.state as usize];
        *state = state.saturating_sub(1);
        if let Some(service) = verdict.service {
            let service = &mut self.services[service as usize];
            *service = service.saturating_sub(1);
        }
    }

    /// The sum over a run that went on where an earlier one was left.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        if earlier == Self::default() {
            return self;
        }
        Self {
            targets: earlier.targets + self.targets,
            states: std::array::from_fn(|state| earlier.states[state] + self.states[state]),
            services: std::array::from_fn(|it| earlier.services[it] + self.services[it]),
            excluded: earlier.excluded + self.excluded,
            more_addresses: earlier.more_addresses + self.more_addresses,
            found_on_retry: earlier.found_on_retry + self.found_on_retry,
            slowed: earlier.slowed + self.slowed,
            faults: earlier.faults + self.faults,
            last_fault: self.last_fault.or(earlier.last_fault),
            in_flight_least: self.in_flight_least.min(earlier.in_flight_least),
            in_flight_most: self.in_flight_most,
            throttle: self.throttle,
            backlog: self.backlog,
            elapsed: earlier.elapsed + self.elapsed,
        }
    }

    /// Outcomes in this state.
    #[must_use]
    pub fn state(&self, state: PortState) -> u64 {
        self.states[state as usize]
    }

    /// Open ports with this service.
    #[must_use]
    pub fn service(&self, service: Service) -> u64 {
        self.services[service as usize]
    }

    /// Targets that have their outcome.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.states.iter().sum()
    }

    /// Targets that were taken and have no outcome: none, unless the run was stopped.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.targets.saturating_sub(self.settled() + self.excluded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_in_the_order_of_their_variants() {
        for (position, state) in PortState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, position);
        }
        for (position, service) in Service::ALL.into_iter().enumerate() {
            assert_eq!(service as usize, position);
        }
    }

    /// Millions of them are on ports that are not open.
    #[test]
    fn a_verdict_is_small() {
        assert!(size_of::<Verdict>() <= 104, "{}", size_of::<Verdict>());
    }

    #[test]
    fn the_account_adds_up() {
        let mut account = Account { targets: 3, ..Account::default() };
        account.add(&Verdict::unconnected(PortState::Closed, Reason::Refused, Duration::ZERO));
        account.add(&Verdict::unconnected(PortState::Filtered, Reason::NoAnswer, Duration::ZERO));
        assert_eq!((account.settled(), account.left()), (2, 1));
        assert_eq!(account.state(PortState::Closed), 1);
        let earlier = Account { targets: 2, excluded: 1, ..account };
        let whole = account.after(earlier);
        assert_eq!((whole.targets, whole.settled(), whole.left()), (5, 4, 0));
        let closed = Verdict::unconnected(PortState::Closed, Reason::Refused, Duration::ZERO);
        account.take_back(&closed);
        assert_eq!((account.state(PortState::Closed), account.left()), (0, 2));
    }

    #[test]
    fn account_that_no_run_comes_to_is_not_sound() {
        assert!(Account::default().is_sound());
        let forged: [fn(&mut Account); 8] = [
            |account| account.targets = u64::MAX,
            |account| account.states[1] = u64::MAX,
            |account| account.states[1] = 1,
            |account| account.services[1] = 1,
            |account| account.excluded = 1,
            |account| account.more_addresses = u64::MAX,
            |account| account.faults = u64::MAX,
            |account| account.elapsed = Duration::MAX,
        ];
        for (place, forge) in forged.into_iter().enumerate() {
            let mut account = Account::default();
            forge(&mut account);
            assert!(!account.is_sound(), "{place}");
        }
    }

    #[test]
    fn an_outcome_turns_into_the_references_answer() {
        let outcome = Outcome {
            target: Target::from(("192.0.2.1", 22)),
            endpoint: None,
            verdict: Verdict::unconnected(PortState::Open, Reason::Accepted, Duration::ZERO),
            attempts: 1,
            time: SystemTime::UNIX_EPOCH,
            position: 0,
        };
        let answer: (String, u16, bool) = outcome.into();
        assert_eq!(answer, ("192.0.2.1".to_owned(), 22, true));
    }
}
