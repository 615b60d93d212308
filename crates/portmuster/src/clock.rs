//! Reads the system's clocks. No other module does.
//!
//! Other modules receive an [`Instant`] and return their next deadline, so a simulator can supply
//! its own time.
//!
//! Invariant: instants of one [`Clock`] never go backwards.

use std::time::{Duration, SystemTime};

/// A point in time, counted in nanoseconds from the start of its [`Clock`].
///
/// A test can create any instant, unlike with the standard library's type. An instant takes eight
/// bytes, and instants span 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub(crate) const START: Self = Self(0);
    /// The latest instant: a deadline that never passes.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Returns the instant `duration` later; saturates at [`NEVER`](Self::NEVER).
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }

    /// Returns the instant `duration` earlier; saturates at the start of the clock.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(duration)))
    }

    /// Returns the time from `earlier` to this instant; zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the wall-clock time of this instant, given that of the clock's start.
    pub(crate) fn wall_time(self, start: SystemTime) -> SystemTime {
        start.checked_add(Duration::from_nanos(self.0)).unwrap_or(start)
    }
}

/// Returns the whole nanoseconds of a duration; saturates.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A monotonic clock and the wall-clock time at which it started.
///
/// The wall clock is read once, at the start. The times in the rows of a run therefore stay in
/// order when the machine's clock is set during the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: std::time::Instant,
    wall: SystemTime,
}

impl Clock {
    /// Starts a clock.
    #[expect(clippy::disallowed_methods, reason = "this is the module that reads the clocks")]
    pub(crate) fn start() -> Self {
        Self { start: std::time::Instant::now(), wall: SystemTime::now() }
    }

    /// Returns the current instant.
    pub(crate) fn now(&self) -> Instant {
        Instant(nanoseconds(self.start.elapsed()))
    }

    /// Returns the wall-clock time at the start.
    pub(crate) fn wall_start(&self) -> SystemTime {
        self.wall
    }

    /// Converts an instant to the standard library's type, for functions that wait until one.
    pub(crate) fn std(&self, instant: Instant) -> std::time::Instant {
        // A century is longer than any run, and no platform's instant overflows within it.
        const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
        self.start + Duration::from_nanos(instant.0).min(CENTURY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_saturate_at_both_ends() {
        let later = Instant::START.after(Duration::from_secs(3));
        assert_eq!(later.since(Instant::START), Duration::from_secs(3));
        assert_eq!(Instant::START.since(later), Duration::ZERO);
        assert_eq!(later.after(Duration::MAX), Instant(u64::MAX));
        assert_eq!(later.before(Duration::MAX), Instant::START);
    }
}
