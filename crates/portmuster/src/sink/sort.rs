//! Sorts records that need not fit into memory.
//!
//! Records are sorted in memory up to a limit, and then written to a file without a name. At the end
//! all files are merged.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    fmt,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    net::IpAddr,
    ops::Range,
    path::{Path, PathBuf},
};

/// Number of bytes of records that are sorted in memory.
const MEMORY_MAX: usize = 32 << 20;

/// Number of files that are merged into one. Each is open and has a buffer of 8 KiB.
const MERGE_MAX: usize = 64;

/// Sorts records by their bytes and removes duplicates.
pub(super) struct Sorter {
    /// Where the files are created.
    folder: PathBuf,
    memory_max: usize,
    bytes: Vec<u8>,
    /// The records in `bytes`.
    records: Vec<Range<usize>>,
    /// Sorted files. Those of each level were merged from [`MERGE_MAX`] files of the level before, so
    /// that each record is rewritten a few times only.
    levels: Vec<Vec<File>>,
}

impl Sorter {
    /// Creates a sorter with files in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self::with_memory(folder, MEMORY_MAX)
    }

    fn with_memory(folder: &Path, memory_max: usize) -> Self {
        let (bytes, records, levels) = (Vec::new(), Vec::new(), Vec::new());
        Self { folder: folder.to_owned(), memory_max, bytes, records, levels }
    }

    /// Adds the record that consists of these parts.
    ///
    /// # Errors
    /// A file can't be written.
    pub(super) fn add(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.records.push(start..self.bytes.len());
        let used = self.bytes.len() + self.records.len() * size_of::<Range<usize>>();
        if used < self.memory_max { Ok(()) } else { self.write_file() }
    }

    /// Calls `act` for each record in order.
    ///
    /// # Errors
    /// `act` has failed, or a file can't be written or read.
    pub(super) fn for_each(mut self, act: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if self.levels.is_empty() {
            self.sort();
            return self.records.iter().map(|range| &self.bytes[range.clone()]).try_for_each(act);
        }
        self.write_file()?;
        merge(self.levels.into_iter().flatten(), act)
    }

    /// Sorts the records in memory.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let record = |range: &Range<usize>| &bytes[range.clone()];
        self.records.sort_unstable_by(|one, other| record(one).cmp(record(other)));
        self.records.dedup_by(|one, other| record(one) == record(other));
    }

    /// Moves the records in memory to a file, and merges files if there are many.
    fn write_file(&mut self) -> io::Result<()> {
        self.sort();
        let mut file = SortedFile::create(&self.folder)?;
        let mut records = self.records.iter().map(|range| &self.bytes[range.clone()]);
        records.try_for_each(|record| file.push(record))?;
        let mut file = file.finish()?;
        self.bytes.clear();
        self.records.clear();
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let files = &mut self.levels[level];
            files.push(file);
            if files.len() < MERGE_MAX {
                break;
            }
            let mut merged = SortedFile::create(&self.folder)?;
            merge(files.drain(..), |record| merged.push(record))?;
            file = merged.finish()?;
        }
        Ok(())
    }
}

/// Returns bytes that sort as addresses do, IPv4 first.
pub(super) fn address_key(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => [&[4], &address.octets()[..]].concat(),
        IpAddr::V6(address) => [&[6], &address.octets()[..]].concat(),
    }
}

impl fmt::Debug for Sorter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Sorter");
        fields.field("folder", &self.folder).field("in_memory", &self.records.len());
        fields.finish_non_exhaustive()
    }
}

/// A file of records that is written in their order.
struct SortedFile(BufWriter<File>);

impl SortedFile {
    fn create(folder: &Path) -> io::Result<Self> {
        tempfile::tempfile_in(folder).map(BufWriter::new).map(Self)
    }

    fn push(&mut self, record: &[u8]) -> io::Result<()> {
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        self.0.write_all(&length.to_le_bytes())?;
        self.0.write_all(record)
    }

    /// Returns the file at its beginning.
    fn finish(self) -> io::Result<File> {
        let mut file = self.0.into_inner()?;
        file.rewind()?;
        Ok(file)
    }
}

/// Calls `act` for each record of sorted files in order, without duplicates.
fn merge(
    files: impl Iterator<Item = File>,
    mut act: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut readers: Vec<_> = files.map(BufReader::new).collect();
    let mut next = BinaryHeap::new();
    for (index, reader) in readers.iter_mut().enumerate() {
        let mut record = Vec::new();
        if read_record(reader, &mut record)? {
            next.push(Reverse((record, index)));
        }
    }
    let mut last: Option<Vec<u8>> = None;
    while let Some(mut least) = next.peek_mut() {
        let Reverse((record, index)) = &mut *least;
        if last.as_ref() != Some(record) {
            act(record)?;
            last.get_or_insert_default().clone_from(record);
        }
        if !read_record(&mut readers[*index], record)? {
            PeekMut::pop(least);
        }
    }
    Ok(())
}

/// Reads the next record; false: there are no more.
fn read_record(reader: &mut impl Read, record: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    match reader.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    record.resize(usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?, 0);
    reader.read_exact(record)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn sorted(records: &[Vec<u8>], memory_max: usize) -> (Vec<Vec<u8>>, usize) {
        let folder = tempfile::tempdir().expect("a folder can be created");
        let mut sorter = Sorter::with_memory(folder.path(), memory_max);
        for record in records {
            let (start, end) = record.split_at(record.len() / 2);
            sorter.add(&[start, end]).expect("there is room");
        }
        let levels = sorter.levels.len();
        let mut result = Vec::new();
        let collect = |record: &[u8]| {
            result.push(record.to_vec());
            Ok(())
        };
        sorter.for_each(collect).expect("there is room");
        let left = folder.path().read_dir().expect("it exists").count();
        assert_eq!(left, 0, "the files have no names");
        (result, levels)
    }

    #[test]
    fn records_are_sorted_without_duplicates_in_memory_and_in_files() {
        let records: Vec<_> =
            (0..20_000_u32).map(|it| (it * 7919 % 6000).to_string().into_bytes()).collect();
        let expected: Vec<_> =
            records.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        for (memory_max, levels) in [(MEMORY_MAX, 0), (60_000, 1), (2000, 2), (40, 3)] {
            let (sorted, found) = sorted(&records, memory_max);
            assert_eq!(found, levels, "{memory_max}");
            assert!(sorted == expected, "{memory_max}");
        }
        assert_eq!(sorted(&[], 40).0, Vec::<Vec<u8>>::new());
        assert_eq!(sorted(&[Vec::new(), Vec::new()], 1).0, [Vec::<u8>::new()]);
    }
}
