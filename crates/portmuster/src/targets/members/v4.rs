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
/// Invariant: each pair of an address and a port is in one of `spans`, `pages` and `tail`.
#[derive(Debug, Clone, Default)]
pub(in crate::targets) struct V4Members {
    spans: Spans<u32>,
    /// Single addresses, apart from those of `tail`.
    pages: EndpointPages,
    /// The latest addresses, as long as each continues those before it.
    tail: Option<Span<u32>>,
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
        self.extend_tail(address, &new);
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
        if let Some(tail) = &self.tail
            && (tail.first..=tail.last).contains(&address)
        {
            missing = missing.without(&tail.ports)?;
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

    /// Adds a new address to the tail, if it continues it; otherwise begins another tail.
    fn extend_tail(&mut self, address: u32, ports: &Ports) {
        if let Some(tail) = &mut self.tail {
            if tail.last.next() == Some(address) && tail.ports == *ports {
                tail.last = address;
                return;
            }
            if (tail.first, tail.last) == (address, address)
                && let Some(ports) = tail.ports.extended_by(ports)
            {
                tail.ports = ports;
                return;
            }
            self.store_tail();
        }
        self.tail = Some(Span { first: address, last: address, ports: ports.clone() });
    }

    /// Moves the tail to the pages or the spans.
    fn store_tail(&mut self) {
        let Some(tail) = self.tail.take() else { return };
        if tail.first != tail.last || tail.ports.len() > APART_PORTS_MAX {
            return self.spans.insert_addresses(&tail);
        }
        for port in tail.ports.iter() {
            if !self.pages.insert(tail.first, port) {
                self.move_network(tail.first >> 16);
                self.spans.insert_addresses(&Span { ports: Ports::one(port), ..tail });
            }
        }
    }

    /// Moves the addresses from `first` to `last`, and maybe more, to the spans.
    pub(super) fn move_to_spans(&mut self, first: u32, last: u32) {
        if self.tail.as_ref().is_some_and(|tail| tail.first <= last && first <= tail.last) {
            self.store_tail();
        }
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
