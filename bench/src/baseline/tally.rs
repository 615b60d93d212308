//! Counts of targets by how their connection ended.

use std::{
    fmt::{self, Display, Formatter},
    ops::AddAssign,
};

/// How a connection to a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conclusion {
    Refused,
    Accepted,
    Greeted,
    Silent,
}

/// Counts of targets by conclusion.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally([usize; 4]);

impl Tally {
    pub(crate) fn add(&mut self, conclusion: Conclusion) {
        self.0[conclusion as usize] += 1;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, other)| *count += other);
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self([refused, accepted, greeted, silent]) = self;
        write!(f, "refused={refused} accepted={accepted} greeted={greeted} silent={silent}")
    }
}
