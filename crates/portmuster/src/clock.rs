//! The one place that asks what time it is.
//!
//! Everything else is handed an [`Instant`] and answers with the next one it cares about,
//! so a simulator can own time.
//!
//! Invariant: instants of one [`Clock`] never go backwards.

use std::time::{Duration, SystemTime};

/// A point in time, counted in nanoseconds from the start of its [`Clock`].
///
/// Eight bytes, and free to make up in a test: unlike the standard library's it is not tied to
/// this machine's clock. It lasts 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Instant(u64);

impl Instant {
    /// The clock's start.
    pub(crate) const START: Self = Self(0);
    /// Later than anything that happens.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// This instant and `duration` more; saturates at the end of time.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }

    /// This instant and `duration` less; never before the start.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(duration)))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// What the wall clock says at this instant, when it said this at the start.
    pub(crate) fn on_the_wall(self, start: SystemTime) -> SystemTime {
        start.checked_add(Duration::from_nanos(self.0)).unwrap_or(start)
    }
}

/// Whole nanoseconds of a duration, saturating.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Monotonic time, and the wall time that belongs to it.
///
/// The wall clock is read once, at the start: two rows of one run never disagree about their
/// order because somebody set the machine's clock in between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: std::time::Instant,
    wall: SystemTime,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn start() -> Self {
        Self { start: std::time::Instant::now(), wall: SystemTime::now() }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Instant {
        Instant(nanoseconds(self.start.elapsed()))
    }

    /// What the wall clock said at the start.
    pub(crate) fn wall_start(&self) -> SystemTime {
        self.wall
    }

    /// The instant in the form that the standard library's waits understand.
    pub(crate) fn std(&self, instant: Instant) -> std::time::Instant {
        // A century is longer than any run and short of every platform's overflow.
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
