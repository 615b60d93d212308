//! Rows that are kept until the run ends, and then written in the order of their keys.

use std::{io, path::Path};

use crate::sink::{first_error::FirstError, sort::Sorter};

/// The length of the number of a row, which follows its key.
const NUMBER: usize = size_of::<u64>();

/// The rows of a table that is written at the end, and its first error.
///
/// Rows that do not fit into 32 MiB of memory are kept in temporary files without names.
#[derive(Debug)]
pub(super) struct KeyedRows {
    /// Records of a key, a number, the row, and the length of the key. `None`: they were taken.
    records: Option<Sorter>,
    count: u64,
    failed: FirstError,
}

/// The rows of a table in the order of their keys.
pub(super) struct SortedRows(Sorter);

impl KeyedRows {
    /// Creates an empty store. Temporary files are created in the folder `scratch`.
    pub(super) fn new(scratch: &Path) -> Self {
        Self { records: Some(Sorter::new(scratch)), count: 0, failed: FirstError::default() }
    }

    /// Adds a row. Rows with the same key stay in the order in which they came.
    ///
    /// No key may be the start of another one. Rows that are added after [`take`](Self::take) are dropped.
    ///
    /// # Errors
    /// The key is longer than 65,535 bytes, a temporary file can't be written, or the table has failed.
    pub(super) fn add(&mut self, key: &[u8], row: &[u8]) -> io::Result<()> {
        self.check()?;
        let added = self.add_record(key, row);
        self.keep(added)
    }

    fn add_record(&mut self, key: &[u8], row: &[u8]) -> io::Result<()> {
        let Some(records) = &mut self.records else { return Ok(()) };
        let key_length = u16::try_from(key.len()).map_err(io::Error::other)?.to_le_bytes();
        let number = self.count.to_be_bytes();
        self.count += 1;
        records.add(&[key, &number, row, &key_length])
    }

    /// Returns the rows; `None`: there are none, or they were taken.
    pub(super) fn take(&mut self) -> Option<SortedRows> {
        self.records.take().filter(|_| self.count > 0).map(SortedRows)
    }

    /// Refuses further work after an error, as [`FirstError::check`] does.
    pub(super) fn check(&self) -> io::Result<()> {
        self.failed.check()
    }

    /// Keeps the first error of the table, as [`FirstError::keep`] does.
    pub(super) fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.failed.keep(result)
    }
}

impl SortedRows {
    /// Calls `act` with the key and the content of each row.
    ///
    /// # Errors
    /// `act` has failed, a temporary file can't be read, or a record of it is damaged.
    pub(super) fn for_each(
        self,
        mut act: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.0.for_each(|record| {
            let (key, row) = split(record).ok_or_else(damaged)?;
            act(key, row)
        })
    }
}

/// Returns the key and the row of a record; `None`: it is none.
fn split(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, &key_length) = record.split_last_chunk()?;
    let (key, rest) = content.split_at_checked(u16::from_le_bytes(key_length).into())?;
    Some((key, rest.get(NUMBER..)?))
}

/// Returns the error for a row that can't be read back.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a row in a temporary file is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(mut table: KeyedRows) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut found = Vec::new();
        if let Some(rows) = table.take() {
            rows.for_each(|key, row| {
                found.push((key.to_vec(), row.to_vec()));
                Ok(())
            })?;
        }
        Ok(found)
    }

    #[test]
    fn rows_come_in_the_order_of_their_keys_and_of_adding() {
        let mut table = KeyedRows::new(&std::env::temp_dir());
        for (key, row) in [("b", "2"), ("a", "9"), ("b", "1"), ("a", ""), ("b", "2")] {
            table.add(key.as_bytes(), row.as_bytes()).expect("they fit into memory");
        }
        let expected = [("a", "9"), ("a", ""), ("b", "2"), ("b", "1"), ("b", "2")];
        let expected = expected.map(|(key, row)| (key.into(), row.into()));
        assert_eq!(rows(table).expect("they are in memory"), expected);
    }

    #[test]
    fn damaged_record_is_an_error() {
        for record in [&b""[..], b"x", b"\x01\x00", b"key-12345678\xff\xff", b"k1234567\x01\x00"] {
            let mut table = KeyedRows::new(&std::env::temp_dir());
            table.add(b"key", b"row").expect("it fits into memory");
            let records = table.records.as_mut().expect("they were not taken");
            records.add(&[record]).expect("it fits into memory");
            let error = rows(table).expect_err("the record has no row");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{}", record.escape_ascii());
        }
    }

    #[test]
    fn table_that_has_failed_takes_no_rows() {
        let mut table = KeyedRows::new(&std::env::temp_dir());
        table.add(&vec![0; 70_000], b"row").expect_err("the key is too long");
        let error = table.add(b"key", b"row").expect_err("the table has failed");
        assert!(error.to_string().starts_with("an earlier write failed: "), "{error}");
        assert!(table.check().is_err());
    }
}
