//! A random sample of the endpoints that have answered, to be asked again as controls.

use std::net::SocketAddr;

use crate::targets::mix;

/// The size of the sample.
const CONTROLS_MAX: u64 = 300;

/// A sample in which each endpoint so far is equally likely (Vitter, "Random sampling with a
/// reservoir", 1985, algorithm R).
#[derive(Debug)]
pub(super) struct Controls {
    seed: u64,
    /// How many endpoints have answered.
    seen: u64,
    chosen: Vec<SocketAddr>,
}

impl Controls {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, seen: 0, chosen: Vec::new() }
    }

    /// Restores a sample of so many endpoints.
    pub(super) fn restore(seed: u64, (answered, chosen): (u64, Vec<SocketAddr>)) -> Self {
        Self { seed, seen: answered, chosen }
    }

    /// Returns how many endpoints have answered, and the sample.
    pub(super) fn saved(&self) -> (u64, Vec<SocketAddr>) {
        (self.seen, self.chosen.clone())
    }

    /// Counts an endpoint that has answered.
    pub(super) fn add(&mut self, endpoint: SocketAddr) {
        self.seen += 1;
        if self.seen <= CONTROLS_MAX {
            return self.chosen.push(endpoint);
        }
        let place = mix(self.seen ^ self.seed) % self.seen;
        if place < CONTROLS_MAX
            && let Some(chosen) = usize::try_from(place).ok().and_then(|it| self.chosen.get_mut(it))
        {
            *chosen = endpoint;
        }
    }

    /// Returns the sample.
    pub(super) fn chosen(&self) -> &[SocketAddr] {
        &self.chosen
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn sample_is_spread_over_all_endpoints() {
        let mut controls = Controls::new(7);
        for number in 0..100_000_u32 {
            controls.add((Ipv4Addr::from_bits(number), 22).into());
        }
        assert_eq!(controls.chosen().len(), 300);
        let in_half = |endpoint: &&SocketAddr| match endpoint.ip() {
            std::net::IpAddr::V4(address) => address.to_bits() < 50_000,
            std::net::IpAddr::V6(_) => false,
        };
        let first_half = controls.chosen().iter().filter(in_half).count();
        assert!((110..190).contains(&first_half), "{first_half}");
    }
}
