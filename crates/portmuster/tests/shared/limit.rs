//! The time limit of every wait in these tests.

use std::time::Duration;

/// Time limit of a wait, only so that a test that would hang fails. No test depends on its length.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);
