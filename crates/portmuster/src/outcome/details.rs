//! Details about the service of an open port.
//!
//! Invariant: every value is owned and of bounded size, because the probe limits what it reads.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    evidence::Evidence,
    host_key::HostKeys,
    identification::Identification,
    kex_init::{KexInit, KeyExchange},
    software::Software,
    telnet_daemon::TelnetDaemon,
    telnet_option::TelnetOption,
    weakness::Weakness,
};

/// Details about the service of an open port, and the bytes that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceDetails {
    /// The parsed ssh identification line; `None` if the service is not ssh.
    pub identification: Option<Identification>,
    /// The key exchange algorithms that the ssh server offers.
    pub key_exchange: KeyExchange,
    /// The host keys of the ssh server; none unless
    /// [asked for](crate::config::ConfigBuilder::host_keys).
    pub host_keys: HostKeys,
    /// The telnet options that the server named, each once, in order of arrival.
    pub options: Vec<TelnetOption>,
    /// The protocol of [`Service::Other`](crate::Service::Other), one of
    /// [`known_protocols`](crate::known_protocols); `None` for every other service.
    pub protocol: Option<String>,
    /// Whether [`Service::Other`](crate::Service::Other),
    /// [`Service::Unknown`](crate::Service::Unknown) or
    /// [`Service::ClosedEarly`](crate::Service::ClosedEarly) reacted only after the client had sent an
    /// empty line.
    pub answers_empty_line: bool,
    /// Weaknesses of the ssh or telnet server.
    pub findings: Vec<Weakness>,
    /// The recorded conversation; `None` unless recording was requested.
    pub evidence: Option<Evidence>,
    /// The software of the server; `None` if no fingerprint names it. It is added where the outcomes of a
    /// run are taken, so worker processes never send it.
    #[serde(skip)]
    pub software: Option<Arc<Software>>,
    /// Which daemon the telnet server is; `None` if it is not known. It is added with the software.
    #[serde(skip)]
    pub telnet_daemon: Option<TelnetDaemon>,
}

impl ServiceDetails {
    /// Returns a lower bound of the memory that the details occupy, in bytes.
    pub(super) fn size(&self) -> usize {
        let kex_init = self.key_exchange.kex_init().map_or(0, KexInit::size);
        let evidence = self.evidence.iter().flat_map(|evidence| &evidence.parts);
        size_of::<Self>()
            + kex_init
            + self.host_keys.size()
            + evidence.map(|part| part.bytes.len()).sum::<usize>()
    }
}
