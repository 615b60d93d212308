//! Random numbers where no seed is given.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Returns a number that differs for each call, in each process.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has its own keys, derived from random bytes of the system.
    RandomState::new().build_hasher().finish()
}
