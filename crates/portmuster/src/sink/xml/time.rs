//! Times as nmap writes them.

use std::time::SystemTime;

use jiff::Timestamp;

/// Returns the time in seconds since 1970; 0 if it cannot be represented.
pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time).map_or(0, Timestamp::as_second)
}

/// Formats the time as nmap's `timestr`, in UTC.
pub(super) fn time_text(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%a %b %e %H:%M:%S %Y").to_string()
}
