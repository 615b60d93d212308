//! Injects faults at random and counts them.

use std::collections::BTreeMap;

use fastrand::Rng;

/// A seeded source of faults, with a count of each kind.
#[derive(Debug)]
pub(crate) struct FaultInjector {
    pub(crate) rng: Rng,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl FaultInjector {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), counts: BTreeMap::new() }
    }

    /// Counts a fault of this kind.
    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Returns true with this probability in percent.
    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.rng.u8(0..100) < percent
    }

    /// Returns true with this probability in percent, and then counts a fault of this kind.
    pub(crate) fn inject(&mut self, kind: &'static str, percent: u8) -> bool {
        let is_injected = self.chance(percent);
        if is_injected {
            self.count(kind);
        }
        is_injected
    }
}
