//! The directories of an extendible hash table, each of a power of two entries, in one array.

use std::ops::Range;

/// The directories of all networks. Their entries are the numbers of pages.
#[derive(Debug, Clone, Default)]
pub(super) struct Directories {
    entries: Vec<u32>,
    /// The indexes of unused directories, by the logarithms of their lengths.
    unused: [Vec<u32>; 32],
}

/// A directory: its place in the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Directory {
    /// The logarithm of its length, from 1 to 31.
    pub(super) bits: u32,
    /// The number of entries before it, divided by its length.
    pub(super) index: u32,
}

impl Directory {
    /// Returns the index of the entry for a hash: the hash's first bits.
    pub(super) fn entry_of(self, hash: u32) -> usize {
        (hash >> (u32::BITS - self.bits)) as usize
    }

    /// Returns the number of entries.
    pub(super) fn len(self) -> usize {
        1 << self.bits
    }

    fn range(self) -> Range<usize> {
        let start = (self.index as usize) << self.bits;
        start..start + self.len()
    }
}

impl Directories {
    /// Returns the entries of a directory.
    pub(super) fn entries(&self, directory: Directory) -> &[u32] {
        &self.entries[directory.range()]
    }

    /// Returns the entries of a directory to change them.
    pub(super) fn entries_mut(&mut self, directory: Directory) -> &mut [u32] {
        &mut self.entries[directory.range()]
    }

    /// Returns the entry for a hash.
    pub(super) fn entry(&self, directory: Directory, hash: u32) -> u32 {
        self.entries[((directory.index as usize) << directory.bits) + directory.entry_of(hash)]
    }

    /// Creates a directory of two entries with the same page. `None` if its index would exceed
    /// `index_max`.
    pub(super) fn add(&mut self, page: u32, index_max: u32) -> Option<Directory> {
        let directory = self.reserve(1, index_max)?;
        self.entries_mut(directory).fill(page);
        Some(directory)
    }

    /// Replaces a directory by one that has each of its entries twice. `None` if the index of that
    /// would exceed `index_max`.
    pub(super) fn double(&mut self, directory: Directory, index_max: u32) -> Option<Directory> {
        let doubled = self.reserve(directory.bits + 1, index_max)?;
        let (source, start) = (directory.range(), doubled.range().start);
        for (offset, entry) in source.enumerate() {
            let page = self.entries[entry];
            self.entries[start + 2 * offset..][..2].fill(page);
        }
        self.remove(directory);
        Some(doubled)
    }

    /// Removes a directory.
    pub(super) fn remove(&mut self, directory: Directory) {
        self.unused[directory.bits as usize].push(directory.index);
    }

    /// Returns a directory with any entries.
    fn reserve(&mut self, bits: u32, index_max: u32) -> Option<Directory> {
        if let Some(index) = self.unused.get_mut(bits as usize)?.pop() {
            return Some(Directory { bits, index });
        }
        // The entries before the next multiple of the length are directories of other lengths.
        while !self.entries.is_empty() && self.entries.len().trailing_zeros() < bits {
            let gap = Directory {
                bits: self.entries.len().trailing_zeros(),
                index: u32::try_from(self.entries.len() >> self.entries.len().trailing_zeros())
                    .ok()?,
            };
            self.entries.resize(self.entries.len() + gap.len(), 0);
            if gap.index <= index_max {
                self.remove(gap);
            }
        }
        let index = u32::try_from(self.entries.len() >> bits).ok()?;
        if index > index_max {
            return None;
        }
        self.entries.resize(self.entries.len() + (1 << bits), 0);
        Some(Directory { bits, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_any_length_do_not_overlap() {
        let mut directories = Directories::default();
        let mut all: Vec<Directory> = Vec::new();
        for number in 0..200_u32 {
            let mut directory = directories.add(number, u32::MAX).expect("room");
            for _ in 0..number % 7 {
                directory = directories.double(directory, u32::MAX).expect("room");
            }
            if number % 5 == 0 {
                directories.remove(directory);
            } else {
                all.push(directory);
                directories.entries_mut(directory).fill(number);
            }
        }
        for number in all.iter().map(|&directory| directories.entries(directory)) {
            assert!(number.iter().all(|page| *page == number[0]));
        }
        let mut pages: Vec<_> = all.iter().map(|&it| directories.entry(it, u32::MAX)).collect();
        pages.dedup();
        assert_eq!(pages.len(), 160);
        let ranges = all.iter().map(|directory| directory.len()).sum::<usize>();
        assert!(directories.entries.len() < 4 * ranges, "unused directories are used again");
    }

    #[test]
    fn indexes_beyond_the_maximum_are_refused() {
        let mut directories = Directories::default();
        let first = directories.add(1, 1).expect("index 0");
        assert_eq!(directories.add(2, 1).map(|second| second.index), Some(1));
        assert_eq!(directories.add(3, 1), None);
        assert_eq!(directories.double(first, 1).map(|doubled| doubled.index), Some(1));
        assert_eq!(directories.add(3, 1), Some(first), "the index is unused again");
    }
}
