//! The orders of the rows of a table.

use super::layout::address_of_name;
use crate::{
    named_enum::named_enum,
    outcome::{Outcome, PortState, Service},
    sink::sort::address_key,
    targets::Host,
};

named_enum! {
    /// An order of rows.
    #[non_exhaustive]
    pub enum TableOrder: "order of rows" {
        /// By address, IPv4 first, then by name; and by port.
        Host = "host",
        /// By service, telnet first, then what is not open by state; and by host.
        Service = "service",
        /// By number of findings, the most first; and by host.
        Findings = "findings",
    }
}

/// The first byte of the key of a name, after those of addresses.
const NAME: u8 = 8;

impl TableOrder {
    /// Returns bytes that sort as the rows of outcomes do.
    pub(super) fn key(self, outcome: &Outcome) -> Vec<u8> {
        let mut key = match self {
            Self::Host => Vec::new(),
            Self::Service => vec![service_rank(outcome)],
            Self::Findings => {
                let count = outcome.verdict.findings().len();
                let count = u8::try_from(count).unwrap_or(u8::MAX);
                vec![u8::from(!outcome.is_open()), u8::MAX - count]
            }
        };
        key.extend(host_key(outcome));
        key.extend(outcome.target.port.to_be_bytes());
        key
    }
}

/// Returns the part of a key of [`TableOrder::Host`] that belongs to the host: all but the port.
pub(super) fn host_of_key(key: &[u8]) -> &[u8] {
    key.split_last_chunk::<{ size_of::<u16>() }>().map_or(key, |(host, _)| host)
}

/// Returns bytes that sort as hosts do. No key is the start of another one.
fn host_key(outcome: &Outcome) -> Vec<u8> {
    match &outcome.target.host {
        Host::Address(address) => address_key(*address),
        Host::Name(name) => {
            let mut key = vec![NAME];
            key.extend(name.to_lowercase().bytes());
            key.push(0);
            key.extend(address_of_name(outcome).map(address_key).unwrap_or_default());
            key
        }
    }
}

/// Ranks what a row says: telnet, what may be telnet, other services, then the other states.
fn service_rank(outcome: &Outcome) -> u8 {
    const FIRST: [Service; 2] = [Service::Telnet, Service::TelnetLikely];

    let verdict = &outcome.verdict;
    match (verdict.state, verdict.service) {
        (PortState::Open, Some(service)) => {
            let rank = FIRST.into_iter().chain(Service::ALL).position(|it| it == service);
            rank.and_then(|rank| u8::try_from(rank).ok()).unwrap_or_default()
        }
        (state, _) => u8::MAX / 2 + state as u8,
    }
}
