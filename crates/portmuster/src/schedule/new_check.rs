//! A check before its first attempt.

use std::{net::SocketAddr, sync::Arc};

use crate::targets::Target;

/// What the addresses that are tried are of those that the name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// All of them.
    Whole,
    /// All of their family. Nobody asked for the other.
    OneFamily,
    /// There are others, or there may be.
    Part,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoints {
    None,
    One(SocketAddr),
    /// Whatever their port; shared with other ports of the name.
    Many(Arc<[SocketAddr]>),
}

/// A check that has had no attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewCheck {
    pub(super) target: Target,
    pub(super) position: u64,
    pub(super) endpoints: Endpoints,
    pub(super) coverage: Coverage,
}
