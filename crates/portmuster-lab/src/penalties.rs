//! Penalties for clients that leave without trying to log in, as in OpenSSH since 9.8
//! (`PerSourcePenalties`, srclimit.c). Pure: the caller passes in the time.
//!
//! OpenSSH counts penalties per source address. All clients of the lab come from loopback, so a
//! server has one count. Measured with OpenSSH 10.0p2: of clients 50 ms apart, the seventeenth is
//! refused, and 17 seconds later clients are accepted again.

use std::time::{Duration, Instant};

/// The penalty for one such client (`noauth`).
const PENALTY: Duration = Duration::from_secs(1);

/// The sum of penalties above which clients are refused (`min`).
const ENFORCED_FROM: Duration = Duration::from_secs(15);

/// The highest sum of penalties (`max`).
const PENALTY_MAX: Duration = Duration::from_mins(10);

/// Sums up the penalties of one server.
#[derive(Debug, Default)]
pub(crate) struct PenaltyTracker {
    until: Option<Instant>,
    is_enforced: bool,
}

impl PenaltyTracker {
    /// Adds the penalty for a client that was accepted and has left.
    pub(crate) fn add(&mut self, now: Instant) {
        if !self.is_active(now) {
            self.is_enforced = false;
        }
        let from = self.until.map_or(now, |until| until.max(now));
        let until = (from + PENALTY).min(now + PENALTY_MAX);
        self.is_enforced |= until > now + ENFORCED_FROM;
        self.until = Some(until);
    }

    /// Returns whether the server refuses a client that connects now.
    pub(crate) fn refuses(&self, now: Instant) -> bool {
        self.is_enforced && self.is_active(now)
    }

    /// Returns whether any penalty has not expired yet.
    fn is_active(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a start for the times of these tests")]

    use super::*;

    fn after_clients(clients: u32, now: Instant) -> PenaltyTracker {
        let mut penalties = PenaltyTracker::default();
        (0..clients).for_each(|_| penalties.add(now));
        penalties
    }

    #[test]
    fn sixteen_penalties_in_a_row_are_enforced() {
        let now = Instant::now();
        assert!(!after_clients(0, now).refuses(now));
        assert!(!after_clients(15, now).refuses(now));
        assert!(after_clients(16, now).refuses(now));
    }

    #[test]
    fn penalties_expire_with_time() {
        let now = Instant::now();
        let mut penalties = after_clients(16, now);
        assert!(penalties.refuses(now + PENALTY * 15));
        assert!(!penalties.refuses(now + PENALTY * 16));
        penalties.add(now + PENALTY * 16);
        assert!(!penalties.refuses(now + PENALTY * 16), "the sum starts from zero again");
    }

    #[test]
    fn one_client_per_second_is_never_refused() {
        let start = Instant::now();
        let mut penalties = PenaltyTracker::default();
        for second in 0..100 {
            let now = start + PENALTY * second;
            assert!(!penalties.refuses(now));
            penalties.add(now);
        }
    }

    #[test]
    fn penalties_never_exceed_the_maximum() {
        let now = Instant::now();
        assert!(!after_clients(10_000, now).refuses(now + PENALTY_MAX));
    }
}
