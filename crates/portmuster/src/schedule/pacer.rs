//! The rate of new connections: a token bucket, kept as the one instant at which the next token
//! falls due.

use std::{num::NonZeroU32, time::Duration};

use crate::clock::Instant;

/// The bucket's size: bursts are no longer than what falls due in this time, so that a small
/// router's queue holds them.
const BURST: Duration = Duration::from_millis(10);

/// How many times slower than it was told it becomes at most.
const SLOWEST: u32 = 16;

#[derive(Debug)]
pub(super) struct Pacer {
    /// Between two starts; `None`: as fast as they go.
    interval: Option<Duration>,
    /// As it was told.
    shortest: Option<Duration>,
    /// When the next start falls due. It lags at most [`BURST`] behind the present.
    due: Instant,
}

impl Pacer {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        let interval = rate.map(|rate| Duration::from_secs(1) / rate.get());
        Self { interval, shortest: interval, due: Instant::START }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let Some(interval) = self.interval else { return true };
        if self.due > now {
            return false;
        }
        self.due = self.due.max(now.before(BURST)).after(interval);
        true
    }

    /// The network lost what it was sent: a quarter fewer.
    pub(super) fn slower(&mut self) {
        if let (Some(interval), Some(shortest)) = (&mut self.interval, self.shortest) {
            *interval = (*interval * 4 / 3).min(shortest * SLOWEST);
        }
    }

    /// The network lost nothing: an eighth more, up to what it was told.
    pub(super) fn faster(&mut self) {
        if let (Some(interval), Some(shortest)) = (&mut self.interval, self.shortest) {
            *interval = (*interval * 8 / 9).max(shortest);
        }
    }

    /// When asking again is worth it: not for every single token of a high rate, but early
    /// enough that none is lost.
    pub(super) fn ready_at(&self) -> Instant {
        let Some(interval) = self.interval else { return Instant::START };
        self.due.after((BURST / 2).saturating_sub(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all there is, every millisecond for a second.
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
    fn the_rate_is_kept() {
        for rate in [1, 3, 10, 99, 100, 101, 2_000, 10_000, 150_000, 1_000_000] {
            let taken = taken_in_a_second(rate);
            assert!(taken.abs_diff(rate) <= rate / 50 + 1, "{taken} at a rate of {rate}");
        }
    }

    #[test]
    fn a_late_caller_gets_no_more_than_a_burst() {
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
    fn it_becomes_slower_and_as_fast_as_it_was() {
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
    fn without_a_rate_nothing_waits() {
        let mut pacer = Pacer::new(None);
        assert!((0..1_000_000).all(|_| pacer.take(Instant::START)));
    }
}
