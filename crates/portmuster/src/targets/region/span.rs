//! Consecutive addresses with the same ports.

use crate::targets::{ports::Ports, range::AddressNumber};

/// Consecutive addresses with the same ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span<N> {
    pub(crate) first: N,
    pub(crate) last: N,
    pub(crate) ports: Ports,
}

impl<N: AddressNumber> Span<N> {
    /// Returns the number of pairs of an address and a port; saturates.
    pub(crate) fn target_count(&self) -> u128 {
        self.first.count_to(self.last).saturating_mul(self.ports.len() as u128)
    }
}
