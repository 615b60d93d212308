//! The IPv4 members of a set.

use super::pages::EndpointPages;
use crate::targets::{
    limits::APART_PORTS_MAX,
    ports::Ports,
    range::AddressNumber,
    region::{Span, Spans},
};

/// The IPv4 addresses and ports of a set.
///
/// Invariant: each pair of an address and a port is in one of `spans`, `pages`, `run` and `latest`.
#[derive(Debug, Clone, Default)]
pub(in crate::targets) struct V4Members {
    spans: Spans<u32>,
    /// Single addresses.
    pages: EndpointPages,
    /// The addresses before `latest`, as long as each follows the one before it and has its ports.
    run: Option<Span<u32>>,
    /// The latest address, with its ports as long as each follows those before it.
    latest: Option<(u32, Ports)>,
    /// No member has a higher address.
    highest: Option<u32>,
}

impl V4Members {
    /// Adds an address. Returns the ports that were new, or `None` if none was.
    pub(in crate::targets) fn insert(&mut self, address: u32, ports: &Ports) -> Option<Ports> {
        let new = if self.highest.is_some_and(|highest| address <= highest) {
            self.missing(address, ports)?
        } else {
            self.highest = Some(address);
            ports.clone()
        };
        self.add(address, &new);
        Some(new)
    }

    /// Returns the spans, to which it first moves the addresses within and next to those of `near`.
    ///
    /// The caller may insert the spans of `near`, and nothing else.
    pub(in crate::targets) fn spans_near(&mut self, near: &[Span<u32>]) -> &mut Spans<u32> {
        for span in near {
            let (first, last) = (span.first.saturating_sub(1), span.last.saturating_add(1));
            if self.highest.is_some_and(|highest| first <= highest) {
                self.move_to_spans(first, last);
            }
        }
        self.highest = self.highest.max(near.iter().map(|span| span.last).max());
        &mut self.spans
    }

    /// Returns the number of spans.
    #[cfg(test)]
    pub(in crate::targets) fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// Returns the spans.
    #[cfg(test)]
    pub(super) fn spans(&self) -> &Spans<u32> {
        &self.spans
    }

    /// Returns the ports that no member with this address has; `None` if there are none.
    fn missing(&mut self, address: u32, ports: &Ports) -> Option<Ports> {
        let mut missing = ports.clone();
        if let Some((latest, ports)) = &self.latest
            && *latest == address
        {
            missing = missing.without(ports)?;
        }
        if let Some(run) = &self.run
            && (run.first..=run.last).contains(&address)
        {
            missing = missing.without(&run.ports)?;
        }
        let has_many_ports = missing.len() > APART_PORTS_MAX;
        if has_many_ports {
            self.move_network(address >> 16);
        }
        if let Some(present) = self.spans.ports_at(address) {
            missing = missing.without(present)?;
        }
        if has_many_ports || self.pages.is_empty() {
            return Some(missing);
        }
        if let Some(port) = missing.single() {
            return (!self.pages.contains(address, port)).then_some(missing);
        }
        if missing.iter().any(|port| self.pages.contains(address, port)) {
            let missing = missing.iter().filter(|&port| !self.pages.contains(address, port));
            return Ports::from_numbers(missing);
        }
        Some(missing)
    }

    /// Adds an address with ports that no member with this address has.
    fn add(&mut self, address: u32, ports: &Ports) {
        if let Some((latest, latest_ports)) = &mut self.latest {
            if *latest == address
                && let Some(joined) = latest_ports.extended_by(ports)
            {
                *latest_ports = joined;
                return;
            }
            self.end_latest();
        }
        self.latest = Some((address, ports.clone()));
    }

    /// Moves the latest address to the run, if it continues it; otherwise it begins another run.
    fn end_latest(&mut self) {
        let Some((address, ports)) = self.latest.take() else { return };
        if let Some(run) = &mut self.run {
            if run.last.next() == Some(address) && run.ports == ports {
                run.last = address;
                return;
            }
            self.end_run();
        }
        self.run = Some(Span { first: address, last: address, ports });
    }

    /// Moves the run to the pages if it is a single address, otherwise to the spans.
    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        if run.first != run.last || run.ports.len() > APART_PORTS_MAX {
            return self.spans.insert_addresses(&run);
        }
        for port in run.ports.iter() {
            if !self.pages.insert(run.first, port) {
                self.move_network(run.first >> 16);
                self.spans.insert_addresses(&Span { ports: Ports::one(port), ..run });
            }
        }
    }

    /// Moves the addresses from `first` to `last`, and maybe more, to the spans.
    pub(super) fn move_to_spans(&mut self, first: u32, last: u32) {
        self.end_latest();
        self.end_run();
        if !self.pages.is_empty() {
            ((first >> 16)..=(last >> 16)).for_each(|network| self.move_network(network));
        }
    }

    /// Moves the pages of a network with a prefix of 16 bits to the spans.
    fn move_network(&mut self, network: u32) {
        let endpoints = self.pages.take(network);
        for endpoints in endpoints.chunk_by(|(one, _), (other, _)| one == other) {
            let ports = Ports::from_numbers(endpoints.iter().map(|&(_, port)| port));
            if let Some(ports) = ports {
                let address = endpoints[0].0;
                self.spans.insert_addresses(&Span { first: address, last: address, ports });
            }
        }
    }
}
