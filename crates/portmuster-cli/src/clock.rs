//! The clocks of the command line. The library has its own, which a simulator can replace.

use std::time::{Instant, SystemTime};

/// Returns the wall-clock time that outputs show as the start or end of a run.
#[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Returns the monotonic time at which another process starts, as seen from this one.
#[expect(clippy::disallowed_methods, reason = "the duration of another process, seen from outside")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
