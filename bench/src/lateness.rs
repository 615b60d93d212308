//! How late deadlines are noticed.

use serde::{Deserialize, Serialize};

/// Lateness of many deadlines, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lateness {
    pub(crate) median: u32,
    /// 99 of 100 deadlines are at most this late.
    pub(crate) p99: u32,
    pub(crate) max: u32,
}

impl Lateness {
    /// Summarizes the lateness of each deadline; `None` when there was no deadline.
    pub(crate) fn of(mut lateness: Vec<u32>) -> Option<Self> {
        lateness.sort_unstable();
        let max = *lateness.last()?;
        let at = |percent| lateness[lateness.len() * percent / 100];
        Some(Self { median: at(50), p99: at(99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_sorted_figures() {
        let expected = Lateness { median: 100, p99: 198, max: 199 };
        assert_eq!(Lateness::of((0..200).rev().collect()), Some(expected));
        assert_eq!(Lateness::of(Vec::new()), None);
    }
}
