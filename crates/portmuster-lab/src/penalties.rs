//! Penalties for clients that leave without having tried to log in, as OpenSSH has them since 9.8
//! (`PerSourcePenalties`, srclimit.c). Pure: the time comes in.
//!
//! OpenSSH counts for each address. All clients of the lab come from loopback, so one server has
//! one count. Measured with OpenSSH 10.0p2: of clients 50 ms apart the seventeenth is refused, and
//! after 17 seconds they are let in again.

use std::time::{Duration, Instant};

/// What each such client adds (`noauth`).
const PENALTY: Duration = Duration::from_secs(1);

/// From how much on they are enforced (`min`).
const ENFORCED_FROM: Duration = Duration::from_secs(15);

/// How much there can be (`max`).
const MOST: Duration = Duration::from_mins(10);

/// The penalties of one server.
#[derive(Debug, Default)]
pub(crate) struct Penalties {
    until: Option<Instant>,
    enforced: bool,
}

impl Penalties {
    /// A client that was let in has left.
    pub(crate) fn add(&mut self, now: Instant) {
        if !self.last(now) {
            self.enforced = false;
        }
        let from = self.until.map_or(now, |until| until.max(now));
        let until = (from + PENALTY).min(now + MOST);
        self.enforced |= until > now + ENFORCED_FROM;
        self.until = Some(until);
    }

    /// Whether a client that comes now is refused.
    pub(crate) fn refuse(&self, now: Instant) -> bool {
        self.enforced && self.last(now)
    }

    fn last(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a start for the times of these tests")]

    use super::*;

    fn after(clients: u32, now: Instant) -> Penalties {
        let mut penalties = Penalties::default();
        (0..clients).for_each(|_| penalties.add(now));
        penalties
    }

    #[test]
    fn sixteen_in_a_row_are_enough() {
        let now = Instant::now();
        assert!(!after(0, now).refuse(now));
        assert!(!after(15, now).refuse(now));
        assert!(after(16, now).refuse(now));
    }

    #[test]
    fn they_pass_with_the_time() {
        let now = Instant::now();
        let mut penalties = after(16, now);
        assert!(penalties.refuse(now + PENALTY * 15));
        assert!(!penalties.refuse(now + PENALTY * 16));
        penalties.add(now + PENALTY * 16);
        assert!(!penalties.refuse(now + PENALTY * 16), "it begins anew");
    }

    #[test]
    fn clients_that_come_once_a_second_are_never_refused() {
        let start = Instant::now();
        let mut penalties = Penalties::default();
        for second in 0..100 {
            let now = start + PENALTY * second;
            assert!(!penalties.refuse(now));
            penalties.add(now);
        }
    }

    #[test]
    fn there_is_a_most() {
        let now = Instant::now();
        assert!(!after(10_000, now).refuse(now + MOST));
    }
}
