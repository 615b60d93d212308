//! The fixtures, and the lab, which runs one server for each fixture.
//!
//! - Invariant: the expected verdicts use portmuster's names of port states and services.

use std::{fmt, net::SocketAddr, time::Duration};

use crate::{
    behaviour::{Behaviour, KexInitDefect},
    error::LabError,
    server::Server,
};

/// The kind of a fixture's server: honest, odd or hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FixtureKind {
    /// Follows its protocol.
    Honest,
    /// Harmless, but easily misjudged.
    Odd,
    /// Tries to delay, flood or deceive its clients.
    Hostile,
}

impl fmt::Display for FixtureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Honest => "honest",
            Self::Odd => "odd",
            Self::Hostile => "hostile",
        })
    }
}

/// A server with a known behaviour, and the verdict that a check of it should reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixture {
    /// A short name, unique among the fixtures.
    pub name: &'static str,
    /// What its server does on a connection.
    pub behaviour: Behaviour,
    /// Whether its server is honest, odd or hostile.
    pub kind: FixtureKind,
    /// A short description for tables.
    pub about: &'static str,
    /// The expected port state.
    pub state: &'static str,
    /// The expected service; `None` if no connection is established.
    pub service: Option<&'static str>,
}

const FIXTURES: &[Fixture] = &[
    open_port("ssh", Behaviour::Ssh, FixtureKind::Honest, "an OpenSSH greeting", "ssh"),
    open_port(
        "ssh-eager",
        Behaviour::SshEager,
        FixtureKind::Honest,
        "an ssh greeting and an offer, in one packet",
        "ssh",
    ),
    open_port(
        "telnet",
        Behaviour::Telnet,
        FixtureKind::Honest,
        "telnet commands, then a login prompt",
        "telnet",
    ),
    open_port(
        "http",
        Behaviour::Http,
        FixtureKind::Honest,
        "a web server, silent until asked",
        "other",
    ),
    open_port(
        "ssh-pre-banner",
        Behaviour::SshAfterPreBanner,
        FixtureKind::Odd,
        "a notice of many lines before the ssh greeting",
        "ssh",
    ),
    open_port(
        "ssh-long-line",
        Behaviour::SshAfterLongLine,
        FixtureKind::Odd,
        "a line of 300 bytes before the ssh greeting",
        "ssh",
    ),
    open_port(
        "ssh-bare-lf",
        Behaviour::SshBareLf,
        FixtureKind::Odd,
        "an ssh greeting without CR",
        "ssh",
    ),
    open_port("ssh-1", Behaviour::SshOld, FixtureKind::Odd, "the old ssh protocol only", "ssh"),
    open_port(
        "ssh-both",
        Behaviour::SshBoth,
        FixtureKind::Odd,
        "the old ssh protocol and the new",
        "ssh",
    ),
    open_port(
        "ssh-weak",
        Behaviour::SshWeak,
        FixtureKind::Odd,
        "an ssh offer that is broken throughout",
        "ssh",
    ),
    open_port(
        "ssh-slow",
        Behaviour::Slow(Duration::from_secs(4)),
        FixtureKind::Odd,
        "four seconds of silence, then an ssh greeting",
        "ssh",
    ),
    open_port(
        "ssh-cut",
        Behaviour::HangsUpMidLine,
        FixtureKind::Odd,
        "hangs up in its ssh greeting",
        "ssh",
    ),
    open_port(
        "telnet-split",
        Behaviour::TelnetSplit,
        FixtureKind::Odd,
        "telnet commands byte by byte",
        "telnet",
    ),
    open_port(
        "telnet-asked",
        Behaviour::TelnetWhenAsked,
        FixtureKind::Odd,
        "silent until spoken to, then telnet",
        "telnet",
    ),
    open_port(
        "login",
        Behaviour::LoginPrompt,
        FixtureKind::Odd,
        "a login prompt, no command",
        "telnet-likely",
    ),
    open_port(
        "shell",
        Behaviour::Says(b"BusyBox v1.30.1 built-in shell (ash)\r\n/ # "),
        FixtureKind::Odd,
        "a shell without a login, no command",
        "telnet-likely",
    ),
    open_port(
        "sensor",
        Behaviour::Says(b"temperature 21.5, humidity 40\r\n"),
        FixtureKind::Odd,
        "a sentence that no rule recognises",
        "unknown",
    ),
    open_port(
        "tls",
        Behaviour::TlsAlert,
        FixtureKind::Odd,
        "a TLS alert in answer to a line",
        "other",
    ),
    open_port("silent", Behaviour::Silent, FixtureKind::Odd, "accepts and says nothing", "silent"),
    open_port(
        "closes",
        Behaviour::ClosesAtOnce,
        FixtureKind::Odd,
        "accepts and hangs up",
        "closed-early",
    ),
    open_port("resets", Behaviour::Resets, FixtureKind::Odd, "accepts and resets", "closed-early"),
    Fixture {
        name: "refused",
        behaviour: Behaviour::Refused,
        kind: FixtureKind::Odd,
        about: "a port where nothing listens",
        state: "closed",
        service: None,
    },
    open_port("drip", Behaviour::Drip, FixtureKind::Hostile, "a byte a second, for ever", "tarpit"),
    open_port(
        "flood",
        Behaviour::EndlessLines,
        FixtureKind::Hostile,
        "a banner without end",
        "tarpit",
    ),
    open_port(
        "flood-late",
        Behaviour::LateEndlessLines(Duration::from_secs(4)),
        FixtureKind::Hostile,
        "four seconds of silence, then endless lines",
        "tarpit",
    ),
    open_port(
        "garbage",
        Behaviour::Garbage,
        FixtureKind::Hostile,
        "a megabyte of random bytes",
        "tarpit",
    ),
    open_port(
        "long-line",
        Behaviour::LongLine,
        FixtureKind::Hostile,
        "a line without end",
        "tarpit",
    ),
    open_port(
        "limit-line",
        Behaviour::LimitLine,
        FixtureKind::Hostile,
        "64 KiB without a line end",
        "tarpit",
    ),
    open_port(
        "telnet-repeats",
        Behaviour::TelnetRepeats,
        FixtureKind::Hostile,
        "the same telnet options again and again",
        "telnet",
    ),
    open_port(
        "telnet-toggles",
        Behaviour::TelnetToggles,
        FixtureKind::Hostile,
        "telnet options on and off, for ever",
        "telnet",
    ),
    bad_kexinit("kex-packet", KexInitDefect::PacketLength, "an ssh offer that is said to be 2 GiB"),
    bad_kexinit(
        "kex-list",
        KexInitDefect::ListLength,
        "an ssh offer with a list that goes beyond it",
    ),
    bad_kexinit(
        "kex-padding",
        KexInitDefect::PaddingLength,
        "an ssh offer shorter than its padding",
    ),
    bad_kexinit("kex-names", KexInitDefect::Names, "terminal escape sequences in an ssh offer"),
    open_port(
        "escapes",
        Behaviour::EscapeGreeting,
        FixtureKind::Hostile,
        "terminal escape sequences in an ssh greeting",
        "ssh",
    ),
    open_port(
        "unicode",
        Behaviour::UnicodeGreeting,
        FixtureKind::Hostile,
        "invisible and reversed text in an ssh greeting",
        "ssh",
    ),
];

/// Returns a fixture whose port is open.
const fn open_port(
    name: &'static str,
    behaviour: Behaviour,
    kind: FixtureKind,
    about: &'static str,
    service: &'static str,
) -> Fixture {
    Fixture { name, behaviour, kind, about, state: "open", service: Some(service) }
}

/// Returns a fixture of an ssh server with an invalid KEXINIT.
const fn bad_kexinit(name: &'static str, defect: KexInitDefect, about: &'static str) -> Fixture {
    open_port(name, Behaviour::SshBadKexInit(defect), FixtureKind::Hostile, about, "ssh")
}

/// Returns all fixtures: honest ones first, then odd ones, hostile ones last.
#[must_use]
pub fn fixtures() -> &'static [Fixture] {
    FIXTURES
}

/// A running server for each fixture. Dropping it stops all servers.
#[derive(Debug)]
pub struct Lab {
    servers: Vec<Server>,
}

impl Lab {
    /// Starts all fixtures on one loopback address: on ports that the system picks if the port of
    /// `bind` is 0, otherwise on consecutive ports from that one.
    ///
    /// # Errors
    ///
    /// The errors of [`Server::start`]; [`LabError::PortsExhausted`] if a port would exceed 65535.
    pub fn start(bind: SocketAddr) -> Result<Self, LabError> {
        let servers = FIXTURES
            .iter()
            .enumerate()
            .map(|(index, fixture)| Server::start(fixture.behaviour, nth_address(bind, index)?))
            .collect::<Result<_, _>>()?;
        Ok(Self { servers })
    }

    /// Returns each fixture and the endpoint of its server.
    pub fn fixtures(&self) -> impl ExactSizeIterator<Item = (&'static Fixture, SocketAddr)> {
        FIXTURES.iter().zip(self.servers.iter().map(Server::endpoint))
    }

    /// Returns the server of each fixture, in the order of [`Lab::fixtures`].
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }
}

/// Returns the address for the fixture with this index.
fn nth_address(bind: SocketAddr, index: usize) -> Result<SocketAddr, LabError> {
    let port = match bind.port() {
        0 => Some(0),
        first => u16::try_from(index).ok().and_then(|index| first.checked_add(index)),
    };
    port.map(|port| SocketAddr::new(bind.ip(), port))
        .ok_or(LabError::PortsExhausted { first: bind.port(), needed: FIXTURES.len() })
}
