//! The fixtures, and the lab that runs one server for each.
//!
//! - Invariant: the expected verdicts use portmuster's words for port states and services.

use std::{fmt, net::SocketAddr, time::Duration};

use crate::{Behaviour, LabError, Lie, Server};

/// What to think of an fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Does what its protocol says.
    Honest,
    /// Means no harm, but is easily misjudged.
    Odd,
    /// Tries to hold up, flood or deceive those who check it.
    Hostile,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Honest => "honest",
            Self::Odd => "odd",
            Self::Hostile => "hostile",
        })
    }
}

/// One server of the fixtures and the verdict that a check should reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixture {
    /// A short name, unique in the fixtures.
    pub name: &'static str,
    /// What its server does.
    pub behaviour: Behaviour,
    /// What to think of it.
    pub kind: Kind,
    /// A short phrase for a table.
    pub about: &'static str,
    /// The expected port state.
    pub state: &'static str,
    /// The expected service; `None` where no connection comes about.
    pub service: Option<&'static str>,
}

const ZOO: &[Fixture] = &[
    open("ssh", Behaviour::Ssh, Kind::Honest, "an OpenSSH greeting", "ssh"),
    open(
        "ssh-eager",
        Behaviour::SshEager,
        Kind::Honest,
        "an ssh greeting and an offer, in one packet",
        "ssh",
    ),
    open(
        "telnet",
        Behaviour::Telnet,
        Kind::Honest,
        "telnet commands, then a login prompt",
        "telnet",
    ),
    open("http", Behaviour::Http, Kind::Honest, "a web server, silent until asked", "other"),
    open(
        "ssh-pre-banner",
        Behaviour::SshAfterPreBanner,
        Kind::Odd,
        "a notice of many lines before the ssh greeting",
        "ssh",
    ),
    open(
        "ssh-long-line",
        Behaviour::SshAfterLongLine,
        Kind::Odd,
        "a line of 300 bytes before the ssh greeting",
        "ssh",
    ),
    open("ssh-bare-lf", Behaviour::SshBareLf, Kind::Odd, "an ssh greeting without CR", "ssh"),
    open("ssh-1", Behaviour::SshOld, Kind::Odd, "the old ssh protocol only", "ssh"),
    open("ssh-both", Behaviour::SshBoth, Kind::Odd, "the old ssh protocol and the new", "ssh"),
    open(
        "ssh-weak",
        Behaviour::SshWeak,
        Kind::Odd,
        "an ssh offer that is broken throughout",
        "ssh",
    ),
    open(
        "ssh-slow",
        Behaviour::Slow(Duration::from_secs(4)),
        Kind::Odd,
        "four seconds of silence, then an ssh greeting",
        "ssh",
    ),
    open("ssh-cut", Behaviour::HangsUpMidLine, Kind::Odd, "hangs up in its ssh greeting", "ssh"),
    open(
        "telnet-split",
        Behaviour::TelnetSplit,
        Kind::Odd,
        "telnet commands byte by byte",
        "telnet",
    ),
    open(
        "telnet-asked",
        Behaviour::TelnetWhenAsked,
        Kind::Odd,
        "silent until spoken to, then telnet",
        "telnet",
    ),
    open("login", Behaviour::LoginPrompt, Kind::Odd, "a login prompt, no command", "telnet-likely"),
    open(
        "shell",
        Behaviour::Says(b"BusyBox v1.30.1 built-in shell (ash)\r\n/ # "),
        Kind::Odd,
        "a shell without a login, no command",
        "telnet-likely",
    ),
    open(
        "sensor",
        Behaviour::Says(b"temperature 21.5, humidity 40\r\n"),
        Kind::Odd,
        "a sentence that no rule recognises",
        "unknown",
    ),
    open("tls", Behaviour::TlsAlert, Kind::Odd, "a TLS alert in answer to a line", "other"),
    open("silent", Behaviour::Silent, Kind::Odd, "accepts and says nothing", "silent"),
    open("closes", Behaviour::ClosesAtOnce, Kind::Odd, "accepts and hangs up", "closed-early"),
    open("resets", Behaviour::Resets, Kind::Odd, "accepts and resets", "closed-early"),
    Fixture {
        name: "refused",
        behaviour: Behaviour::Refused,
        kind: Kind::Odd,
        about: "a port where nothing listens",
        state: "closed",
        service: None,
    },
    open("drip", Behaviour::Drip, Kind::Hostile, "a byte a second, for ever", "tarpit"),
    open("flood", Behaviour::EndlessLines, Kind::Hostile, "a banner without end", "tarpit"),
    open(
        "flood-late",
        Behaviour::LateEndlessLines(Duration::from_secs(4)),
        Kind::Hostile,
        "four seconds of silence, then endless lines",
        "tarpit",
    ),
    open("garbage", Behaviour::Garbage, Kind::Hostile, "a megabyte of random bytes", "tarpit"),
    open("long-line", Behaviour::LongLine, Kind::Hostile, "a line without end", "tarpit"),
    open("limit-line", Behaviour::LimitLine, Kind::Hostile, "64 KiB without a line end", "tarpit"),
    open(
        "telnet-repeats",
        Behaviour::TelnetRepeats,
        Kind::Hostile,
        "the same telnet options again and again",
        "telnet",
    ),
    open(
        "telnet-toggles",
        Behaviour::TelnetToggles,
        Kind::Hostile,
        "telnet options on and off, for ever",
        "telnet",
    ),
    lying("kex-packet", Lie::PacketLength, "an ssh offer that is said to be 2 GiB"),
    lying("kex-list", Lie::ListLength, "an ssh offer with a list that goes beyond it"),
    lying("kex-padding", Lie::PaddingLength, "an ssh offer shorter than its padding"),
    lying("kex-names", Lie::Names, "terminal escape sequences in an ssh offer"),
    open(
        "escapes",
        Behaviour::EscapeGreeting,
        Kind::Hostile,
        "terminal escape sequences in an ssh greeting",
        "ssh",
    ),
    open(
        "unicode",
        Behaviour::UnicodeGreeting,
        Kind::Hostile,
        "invisible and reversed text in an ssh greeting",
        "ssh",
    ),
];

const fn open(
    name: &'static str,
    behaviour: Behaviour,
    kind: Kind,
    about: &'static str,
    service: &'static str,
) -> Fixture {
    Fixture { name, behaviour, kind, about, state: "open", service: Some(service) }
}

const fn lying(name: &'static str, lie: Lie, about: &'static str) -> Fixture {
    open(name, Behaviour::SshLying(lie), Kind::Hostile, about, "ssh")
}

/// All fixtures: honest ones first, hostile ones last.
#[must_use]
pub fn fixtures() -> &'static [Fixture] {
    ZOO
}

/// The fixtures, running. Dropping it stops all servers.
#[derive(Debug)]
pub struct Lab {
    servers: Vec<Server>,
}

impl Lab {
    /// Starts every fixture on one loopback address: on ports that the system picks when `bind`
    /// has port 0, on consecutive ports from there otherwise.
    ///
    /// # Errors
    ///
    /// As [`Server::start`]; [`LabError::PortsExhausted`] when the ports would pass 65535.
    pub fn start(bind: SocketAddr) -> Result<Self, LabError> {
        let servers = ZOO
            .iter()
            .enumerate()
            .map(|(nth, fixture)| Server::start(fixture.behaviour, place(bind, nth)?))
            .collect::<Result<_, _>>()?;
        Ok(Self { servers })
    }

    /// Each fixture and where it is.
    pub fn fixtures(&self) -> impl ExactSizeIterator<Item = (&'static Fixture, SocketAddr)> {
        ZOO.iter().zip(self.servers.iter().map(Server::endpoint))
    }

    /// Each fixture's server, in the order of [`Lab::fixtures`].
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }
}

fn place(bind: SocketAddr, nth: usize) -> Result<SocketAddr, LabError> {
    let port = match bind.port() {
        0 => Some(0),
        first => u16::try_from(nth).ok().and_then(|nth| first.checked_add(nth)),
    };
    port.map(|port| SocketAddr::new(bind.ip(), port))
        .ok_or(LabError::PortsExhausted { first: bind.port(), needed: ZOO.len() })
}
