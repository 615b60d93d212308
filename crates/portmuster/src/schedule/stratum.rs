//! The kinds of targets without an answer, which are sampled separately.

use crate::outcome::Reason;

/// Why targets did not answer. The targets of each kind are sampled separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stratum {
    /// Nothing came.
    Silent,
    /// ICMP messages refused them.
    Refused,
}

impl Stratum {
    /// Every stratum, in the order of their indices.
    pub(super) const ALL: [Self; 2] = [Self::Silent, Self::Refused];

    pub(super) fn of(reason: Reason) -> Self {
        if reason == Reason::NoAnswer { Self::Silent } else { Self::Refused }
    }
}
