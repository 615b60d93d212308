//! The addresses that are not targets although an item names them: excluded and reserved ones.

use std::sync::LazyLock;

use crate::targets::{
    ports::Ports,
    range::{AddressNumber, AddressRange},
    region::{Region, Span, Spans},
};

/// Networks that no host can have. They are removed from wider networks, but not from an item that
/// names one of them or a part of it.
///
/// They are the IPv4 blocks "this network", loopback, multicast and reserved (RFC 6890 §2.2), and
/// of IPv6 the unspecified and the loopback address, IPv4-mapped addresses, and multicast.
pub(super) static RESERVED: LazyLock<Region> = LazyLock::new(|| {
    let mut region = Region::default();
    for range in [
        AddressRange::V4(0, 0x00FF_FFFF),
        AddressRange::V4(0x7F00_0000, 0x7FFF_FFFF),
        AddressRange::V4(0xE000_0000, u32::MAX),
        AddressRange::V6(0, 1),
        AddressRange::V6(0xFFFF << 32, 0xFFFF_FFFF_FFFF),
        AddressRange::V6(0xFF << 120, u128::MAX),
    ] {
        region.insert(range, &Ports::all());
    }
    region
});

/// The addresses of one family that a set omits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwanted<'a, N> {
    /// Addresses with ports that are never targets.
    pub(super) excludes: &'a Spans<N>,
    /// Addresses, with all ports, that are targets only if an item names them explicitly.
    pub(super) reserved: &'a Spans<N>,
}

impl<N: AddressNumber> Unwanted<'_, N> {
    /// Returns whether any part of the spans may be omitted.
    pub(super) fn overlaps(&self, spans: &[Span<N>]) -> bool {
        spans.iter().any(|span| self.excludes.overlaps(span) || self.has_reserved_part(span))
    }

    /// Returns whether a part of the span is omitted as reserved. Single addresses, and networks within a
    /// reserved one, were named explicitly.
    pub(super) fn has_reserved_part(&self, span: &Span<N>) -> bool {
        let is_network = span.first != span.last;
        is_network && self.reserved.overlaps(span) && !self.reserved.missing(span).is_empty()
    }

    /// Returns the parts of the spans that are not omitted. The spans must be ascending and disjoint.
    pub(super) fn allowed(&self, spans: &[Span<N>]) -> Vec<Span<N>> {
        let mut all_allowed = Vec::with_capacity(spans.len());
        for span in spans {
            let mut allowed = self.excludes.missing(span);
            if self.has_reserved_part(span) {
                let missing = |part| self.reserved.missing(part);
                allowed = allowed.iter().flat_map(missing).collect();
            }
            all_allowed.append(&mut allowed);
        }
        all_allowed
    }
}
