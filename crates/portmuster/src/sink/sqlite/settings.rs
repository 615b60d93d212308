//! Format numbers of the database, and limits of its use.

use std::time::Duration;

/// Marks a database as one of portmuster: `port` in ASCII.
pub(super) const APPLICATION_ID: u32 = 0x706f_7274;

/// The version of the schema that this program writes.
pub(super) const SCHEMA_VERSION: u32 = 5;

/// Limit of rows in one transaction. They are buffered in memory until the transaction starts,
/// because other writers have to wait for its end.
pub(super) const BATCH_MAX: usize = 32_768;

/// Limit of the memory of buffered rows, in bytes.
pub(super) const BATCH_BYTES_MAX: usize = 8 << 20;

/// Longest delay of a commit while rows keep arriving. Targets arrive in random order, so each row
/// changes another page of the index: a commit of 4,096 rows costs 11 µs per row, one of 65,536 rows
/// 4 µs.
pub(super) const COMMIT_DELAY_MAX: Duration = Duration::from_secs(1);

/// Size of the page cache, in KiB: the part of the index that a run of a million targets changes.
pub(super) const CACHE_KIB: i64 = 64 * 1024;

/// How long to wait while another program has locked the database.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before the next attempt to switch on the log while other programs switch it on.
pub(super) const LOG_RETRY_DELAY: Duration = Duration::from_millis(10);

/// Limit of one value or row, in bytes. The data of a server takes less than one megabyte in each
/// column; the arguments of a run may be two megabytes, which escaping makes four times as long.
pub(super) const VALUE_BYTES_MAX: i32 = 32 << 20;

/// Number of steps of `SQLite`'s virtual machine per byte of the database that a statement may take.
/// A row takes 20 to 60 steps, and 60 bytes or more.
pub(super) const STEPS_PER_BYTE: u64 = 8;

/// Number of steps that a statement may take on a database of any size.
pub(super) const STEPS_MIN: u64 = 1 << 22;

/// Number of steps between two checks of the limit.
pub(super) const STEPS_PER_CHECK: i32 = 1 << 16;

/// Size of a database up to which all its rows and indexes are checked before a run is added, in bytes. The
/// check of a database of this size takes about a second.
pub(super) const CHECKED_BYTES_MAX: u64 = 64 << 20;
