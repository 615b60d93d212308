//! Random numbers where no seed is given.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Returns random bytes of the system that nobody can predict; `None` if it gives none.
#[cfg(feature = "host-keys")]
#[expect(clippy::disallowed_methods, reason = "the one place that draws secrets")]
pub(crate) fn secret<const SIZE: usize>() -> Option<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// Returns a number that differs for each call, in each process.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has its own keys, derived from random bytes of the system.
    RandomState::new().build_hasher().finish()
}
