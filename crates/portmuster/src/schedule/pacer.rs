//! The pacer limits the rate of new connections. It is a token bucket, stored as the time at which
//! the next token is due.

use std::{num::NonZeroU32, time::Duration};

use crate::clock::Instant;

/// The bucket's size, as the time in which its tokens accumulate. A small router's queue holds such a
/// burst.
const BURST: Duration = Duration::from_millis(10);

/// The factor by which the rate may drop at most.
const SLOWEST: u32 = 16;

/// A token bucket for connection attempts.
#[derive(Debug)]
pub(super) struct Pacer {
    /// The time between two starts; `None` for no limit.
    interval: Option<Duration>,
    /// The interval of the configured rate.
    shortest: Option<Duration>,
    /// When the next start is due. At most [`BURST`] in the past.
    due: Instant,
}

impl Pacer {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        let interval = rate.map(|rate| Duration::from_secs(1) / rate.get());
        Self { interval, shortest: interval, due: Instant::START }
    }

    /// Takes a token. Returns false if there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let Some(interval) = self.interval else { return true };
        if self.due > now {
            return false;
        }
        self.due = self.due.max(now.before(BURST)).after(interval);
        true
    }

    /// Lowers the rate by a quarter, because the network lost packets.
    pub(super) fn slower(&mut self) {
        if let (Some(interval), Some(shortest)) = (&mut self.interval, self.shortest) {
            *interval = (*interval * 4 / 3).min(shortest * SLOWEST);
        }
    }

    /// Raises the rate by an eighth, up to the configured one.
    pub(super) fn faster(&mut self) {
        if let (Some(interval), Some(shortest)) = (&mut self.interval, self.shortest) {
            *interval = (*interval * 8 / 9).max(shortest);
        }
    }

    /// Returns when to call [`Self::take`] again: not for every token of a high rate, but before the
    /// bucket is full.
    pub(super) fn ready_at(&self) -> Instant {
        let Some(interval) = self.interval else { return Instant::START };
        self.due.after((BURST / 2).saturating_sub(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all tokens every millisecond for a second.
    fn taken_in_a_second(rate: u32) -> u32 {
        let mut pacer = Pacer::new(NonZeroU32::new(rate));
        let mut taken = 0;
        for millisecond in 0..1000 {
            let now = Instant::START.after(Duration::from_millis(millisecond));
            while pacer.take(now) {
                taken += 1;
            }
        }
        taken
    }

    #[test]
    fn rate_is_kept() {
        for rate in [1, 3, 10, 99, 100, 101, 2_000, 10_000, 150_000, 1_000_000] {
            let taken = taken_in_a_second(rate);
            assert!(taken.abs_diff(rate) <= rate / 50 + 1, "{taken} at a rate of {rate}");
        }
    }

    #[test]
    fn late_caller_gets_one_burst() {
        for rate in [50, 1_000, 10_000] {
            let mut pacer = Pacer::new(NonZeroU32::new(rate));
            let late = Instant::START.after(Duration::from_mins(1));
            let mut taken = 0;
            while pacer.take(late) {
                taken += 1;
            }
            assert!(taken <= 1 + rate / 100, "{taken} at once at a rate of {rate}");
        }
    }

    #[test]
    fn rate_drops_to_a_sixteenth_and_recovers() {
        let mut pacer = Pacer::new(NonZeroU32::new(1000));
        for _ in 0..100 {
            pacer.slower();
        }
        assert_eq!(pacer.interval, Some(Duration::from_millis(16)));
        for _ in 0..100 {
            pacer.faster();
        }
        assert_eq!(pacer.interval, Some(Duration::from_millis(1)));
    }

    #[test]
    fn no_start_waits_without_a_rate() {
        let mut pacer = Pacer::new(None);
        assert!((0..1_000_000).all(|_| pacer.take(Instant::START)));
    }
}
