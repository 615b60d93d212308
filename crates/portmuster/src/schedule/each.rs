//! A name of which each address is a target of its own.

use std::{net::SocketAddr, sync::Arc};

use crate::targets::Target;

/// What is left of the addresses of one target.
#[derive(Debug)]
pub(super) struct Each {
    target: Target,
    position: u64,
    addresses: Arc<[SocketAddr]>,
    next: usize,
}

impl Each {
    pub(super) fn new(target: Target, position: u64, addresses: Arc<[SocketAddr]>) -> Self {
        Self { target, position, addresses, next: 0 }
    }

    /// The next target: as the name has it, at the position of the name, and with its address.
    pub(super) fn next(&mut self) -> Option<(Target, u64, SocketAddr)> {
        let address = *self.addresses.get(self.next)?;
        self.next += 1;
        Some((self.target.clone(), self.position, address))
    }
}
