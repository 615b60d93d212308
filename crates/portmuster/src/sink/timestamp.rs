//! Times in rows.

use std::{cell::RefCell, time::SystemTime};

use compact_str::CompactString;
use jiff::{
    Timestamp,
    fmt::{StdFmtWrite, temporal::DateTimePrinter},
};

use super::short_text::ShortText;

/// Formats a time as RFC 3339 with milliseconds. A time after the year 9999 becomes the latest one that
/// RFC 3339 can represent.
pub(super) fn timestamp(time: SystemTime) -> ShortText {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

    thread_local! {
        /// The latest time and its text: outcomes of one batch have the same time.
        static LAST: RefCell<(SystemTime, CompactString)> =
            const { RefCell::new((SystemTime::UNIX_EPOCH, CompactString::const_new(""))) };
    }

    LAST.with_borrow_mut(|(last, text)| {
        if *last != time || text.is_empty() {
            let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
            text.clear();
            PRINTER
                .print_timestamp(&timestamp, StdFmtWrite(&mut *text))
                .expect("writing to a string cannot fail");
            *last = time;
        }
        ShortText(text.clone())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timestamp_is_correct_for_new_repeated_and_alternating_times() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        for (milliseconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_000_000_120, "2026-11-18T11:06:40.120Z"),
            (1_795_000_000_120, "2026-11-18T11:06:40.120Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(at(milliseconds)), expected);
        }
    }
}
