//! The state of a check before its first attempt.

use std::{net::SocketAddr, sync::Arc};

use crate::targets::Target;

/// Which part of a name's addresses is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// All addresses.
    Whole,
    /// All addresses of one family. The other was not looked up.
    OneFamily,
    /// Some addresses. There are others, or may be.
    Part,
}

/// The addresses of a target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoints {
    /// The target's own address. If the target is a name, its addresses are not known yet.
    Own,
    /// At least one address, whose ports mean nothing. Shared with other targets of the name.
    Listed(Arc<[SocketAddr]>),
}

/// A check without an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewCheck {
    pub(super) target: Target,
    pub(super) position: u64,
    pub(super) endpoints: Endpoints,
    pub(super) coverage: Coverage,
}
