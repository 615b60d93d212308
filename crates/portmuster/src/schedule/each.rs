//! The addresses of a name, each of which becomes a target of its own.

use std::{net::SocketAddr, sync::Arc};

use crate::targets::Target;

/// Iterates over the addresses of one target's name.
#[derive(Debug)]
pub(super) struct AddressTargets {
    target: Target,
    position: u64,
    addresses: Arc<[SocketAddr]>,
    next: usize,
}

impl AddressTargets {
    pub(super) fn new(target: Target, position: u64, addresses: Arc<[SocketAddr]>) -> Self {
        Self { target, position, addresses, next: 0 }
    }

    /// Returns the position of the name.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the next target, its position (that of the name) and its address.
    pub(super) fn next(&mut self) -> Option<(Target, u64, SocketAddr)> {
        let address = *self.addresses.get(self.next)?;
        self.next += 1;
        Some((self.target.clone(), self.position, address))
    }
}
