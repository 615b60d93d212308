//! The result of one target in a run.

use crate::outcome::PortState;

/// The result of one target in a run, as far as runs are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TargetResult {
    /// The port state.
    pub state: PortState,
    /// The name of the reason for the state, as in rows.
    pub reason: Box<str>,
    /// The name of the service, as in rows; `None` unless the port is open. It may be one of a later
    /// version of portmuster, which [`Service`](crate::Service) lacks.
    pub service: Option<Box<str>>,
    /// The greeting, untrusted and unescaped.
    pub banner: Box<[u8]>,
    /// The ssh identification: protocol version, software and comment.
    pub identification: [Option<Box<str>>; 3],
    /// The protocol of the service `other`.
    pub protocol: Option<Box<str>>,
    /// Whether the algorithms of the ssh server are known.
    pub has_kex_init: bool,
    /// The names of the weaknesses, as in rows.
    pub findings: Box<[Box<str>]>,
}
