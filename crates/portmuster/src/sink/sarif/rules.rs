//! What a document reports as results.

use std::collections::BTreeMap;

use crate::outcome::{Service, Weakness};

/// What the results of a document are: weaknesses, and what the caller forbids.
///
/// Weaknesses are always results. Those that are forbidden have the level `error`, and the others
/// `warning`; everything else that is forbidden is an `error`.
#[derive(Debug, Clone, Default)]
pub struct SarifRules {
    pub(super) open: bool,
    pub(super) services: BTreeMap<Service, &'static str>,
    pub(super) weaknesses: Vec<Weakness>,
    pub(super) has_addresses: bool,
}

impl SarifRules {
    /// Returns the rules of a run that forbids nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forbids open ports.
    #[must_use]
    pub fn forbid_open(self) -> Self {
        Self { open: true, ..self }
    }

    /// Forbids a service. [Ssh](Service::Ssh) includes [throttled ssh](Service::SshThrottled).
    #[must_use]
    pub fn forbid_service(mut self, service: Service) -> Self {
        self.services.insert(service, service.name());
        if service == Service::Ssh {
            self.services.entry(Service::SshThrottled).or_insert(service.name());
        }
        self
    }

    /// Forbids a weakness.
    #[must_use]
    pub fn forbid_weakness(mut self, weakness: Weakness) -> Self {
        self.weaknesses.push(weakness);
        self
    }

    /// Adds the address to each location whose host is a name, because each address of a name is a target
    /// of its own.
    #[must_use]
    pub fn with_addresses(self) -> Self {
        Self { has_addresses: true, ..self }
    }
}
