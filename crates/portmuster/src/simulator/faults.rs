//! What goes wrong, by chance or because somebody behaves so, and how often it did.

use std::collections::BTreeMap;

use fastrand::Rng;

/// Trouble from one seed.
#[derive(Debug)]
pub(crate) struct FaultInjector {
    pub(crate) rng: Rng,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl FaultInjector {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), counts: BTreeMap::new() }
    }

    /// It has come.
    pub(crate) fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    /// Whether something comes now that has this chance in a hundred.
    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && self.rng.u8(0..100) < percent
    }

    /// Whether a kind comes now, by its chance in a hundred.
    pub(crate) fn come(&mut self, kind: &'static str, percent: u8) -> bool {
        let comes = self.chance(percent);
        if comes {
            self.count(kind);
        }
        comes
    }
}
