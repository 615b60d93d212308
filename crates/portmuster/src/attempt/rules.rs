//! The settings of attempts.

use serde::{Deserialize, Serialize};

use super::socks::ProxyServer;
use crate::config::{Config, HostKeyProbing, Limits, Probing};

/// The settings of every attempt of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) probing: Probing,
    /// Whether to keep the conversation.
    pub(crate) evidence: bool,
    /// Which host keys ssh servers are asked for.
    pub(crate) host_keys: HostKeyProbing,
    /// The proxy that connections go through; `None`: they go to their endpoints.
    pub(crate) proxy: Option<ProxyServer>,
}

impl From<&Config> for Rules {
    /// Returns the settings without the proxy, whose address is not known yet.
    fn from(config: &Config) -> Self {
        Self {
            limits: config.limits(),
            probing: config.probing(),
            evidence: config.evidence(),
            host_keys: config.host_keys(),
            proxy: None,
        }
    }
}
