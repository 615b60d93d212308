//! Pairs of IPv4 addresses and ports, in about six bytes each and in no order.
//!
//! The pairs of a network with a prefix of 16 bits differ in 32 bits. Pages contain these, and the
//! pages of a network are found by extendible hashing (Fagin, Nievergelt, Pippenger and Strong,
//! "Extendible hashing", 1979): when a page is full, half of its pairs move to another. So a growing
//! set never moves more than a page at a time.

use std::ops::Range;

use super::directories::{Directories, Directory};
use crate::targets::chunks::Chunks;

/// The number of pairs that a page can contain, which is 70% full on average.
const PAGE_SLOTS: usize = 32;
/// The number of networks with a prefix of 16 bits.
const NETWORKS: usize = 1 << 16;
/// The maximum number of entries of a directory, whatever the number of its pages.
const SMALL_DIRECTORY: usize = 64;
/// The maximum number of entries of a larger directory for each of its pages. Pairs with evenly
/// distributed hashes need four.
const ENTRIES_PER_PAGE_MAX: usize = 16;

/// The lower half of an address and a port; 0, which has no valid port, is an unused slot.
type Pair = u32;

/// Pairs in the order of adding, then unused slots. It has lines of the processor's cache to itself.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(128))]
struct Page([Pair; PAGE_SLOTS]);

/// A set of pairs of an IPv4 address and a port other than 0.
#[derive(Debug, Clone, Default)]
pub(super) struct EndpointPages {
    /// The bits of the [`Root`] of each network; empty before the first pair is inserted.
    roots: Vec<u32>,
    directories: Directories,
    pages: Chunks<Page>,
    /// Pages without pairs that belong to no network.
    unused_pages: Vec<u32>,
    len: usize,
}

/// Where the pairs of a network are, in so few bits that the array of all networks stays in the
/// processor's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    /// Nowhere: there are none. All its bits are 0, so an array of them takes no memory before it is
    /// used.
    Empty,
    /// In one page.
    Page(u32),
    /// In the pages of a directory.
    Directory(Directory),
}

impl Root {
    /// The number of bits that are the number of a page or the index of a directory.
    const INDEX_BITS: u32 = 27;
    /// The greatest number of a page and index of a directory. A set reaches it with more than two
    /// billion pairs.
    const INDEX_MAX: u32 = (1 << Self::INDEX_BITS) - 2;

    fn from_bits(bits: u32) -> Self {
        let index = bits & ((1 << Self::INDEX_BITS) - 1);
        match bits >> Self::INDEX_BITS {
            0 => index.checked_sub(1).map_or(Self::Empty, Self::Page),
            bits => Self::Directory(Directory { bits, index }),
        }
    }

    fn to_bits(self) -> u32 {
        match self {
            Self::Empty => 0,
            Self::Page(page) => page + 1,
            Self::Directory(Directory { bits, index }) => bits << Self::INDEX_BITS | index,
        }
    }
}

impl EndpointPages {
    /// Returns whether the set is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether the set contains the pair.
    pub(super) fn contains(&self, address: u32, port: u16) -> bool {
        let pair = pair(address, port);
        let page = self.page_of(address >> 16, pair).and_then(|page| self.pages.get(page as usize));
        // Comparing all slots, many at a time, is faster than stopping at the first that is equal.
        let is_equal = |slot: Pair| u32::from(slot == pair);
        page.is_some_and(|page| page.0.iter().fold(0, |any, &slot| any | is_equal(slot)) > 0)
    }

    /// Adds a pair that the set does not contain.
    ///
    /// Returns false, and adds nothing, if the set is too large, or the hashes of the network's pairs
    /// are so unevenly distributed that its directory would take too much memory.
    pub(super) fn insert(&mut self, address: u32, port: u16) -> bool {
        let (network, pair) = (address >> 16, pair(address, port));
        loop {
            let page = self.page_of(network, pair).or_else(|| self.begin(network));
            let Some(page) = page.and_then(|page| self.pages.get_mut(page as usize)) else {
                return false;
            };
            let used = page.0.partition_point(|&slot| slot != 0);
            if let Some(slot) = page.0.get_mut(used) {
                *slot = pair;
                self.len += 1;
                return true;
            }
            if self.split(network, pair).is_none() {
                return false;
            }
        }
    }

    /// Removes all pairs of a network and returns them in ascending order.
    pub(super) fn take(&mut self, network: u32) -> Vec<(u32, u16)> {
        let mut pages = match self.root(network) {
            Root::Empty => return Vec::new(),
            Root::Page(page) => vec![page],
            Root::Directory(directory) => {
                self.directories.remove(directory);
                self.directories.entries(directory).to_vec()
            }
        };
        pages.dedup();
        self.set_root(network, Root::Empty);
        let mut pairs: Vec<Pair> = Vec::with_capacity(pages.len() * PAGE_SLOTS);
        for &page in &pages {
            if let Some(page) = self.pages.get_mut(page as usize) {
                pairs.extend(page.0.iter().filter(|&&slot| slot != 0));
                *page = Page::default();
            }
        }
        self.unused_pages.append(&mut pages);
        self.len -= pairs.len();
        pairs.sort_unstable();
        let parts = |pair: Pair| (network << 16 | pair >> 16, (pair & 0xFFFF) as u16);
        pairs.into_iter().map(parts).collect()
    }

    /// Returns the number of pages, used or not.
    #[cfg(test)]
    pub(super) fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// Returns the address, in the network 0.0.0.0/16, and the port whose hash is `hash`.
    #[cfg(test)]
    pub(super) fn pair_with_hash(hash: u32) -> (u32, u16) {
        let pair = hash ^ (hash >> 16);
        let pair = pair.wrapping_mul(0x7ED1_B41D);
        let pair = pair ^ (pair >> 13) ^ (pair >> 26);
        let pair = pair.wrapping_mul(0xA5CB_9243);
        let pair = pair ^ (pair >> 16);
        (pair >> 16, (pair & 0xFFFF) as u16)
    }

    fn root(&self, network: u32) -> Root {
        self.roots.get(network as usize).map_or(Root::Empty, |&bits| Root::from_bits(bits))
    }

    fn set_root(&mut self, network: u32, root: Root) {
        if self.roots.is_empty() {
            self.roots = vec![0; NETWORKS];
        }
        self.roots[network as usize] = root.to_bits();
    }

    /// Returns the page that contains the pair if the set does; `None` if the network is empty.
    fn page_of(&self, network: u32, pair: Pair) -> Option<u32> {
        match self.root(network) {
            Root::Empty => None,
            Root::Page(page) => Some(page),
            Root::Directory(directory) => Some(self.directories.entry(directory, hash(pair))),
        }
    }

    /// Gives an empty network its first page; `None` if the set is too large.
    fn begin(&mut self, network: u32) -> Option<u32> {
        let page = self.new_page()?;
        self.set_root(network, Root::Page(page));
        Some(page)
    }

    fn new_page(&mut self) -> Option<u32> {
        if let Some(page) = self.unused_pages.pop() {
            return Some(page);
        }
        let page = u32::try_from(self.pages.len()).ok().filter(|page| *page <= Root::INDEX_MAX)?;
        self.pages.push(Page::default());
        Some(page)
    }

    /// Splits the page of the pair; `None` if that would take too much memory.
    fn split(&mut self, network: u32, pair: Pair) -> Option<()> {
        let mut directory = match self.root(network) {
            Root::Empty => return None,
            Root::Page(page) => self.directories.add(page, Root::INDEX_MAX)?,
            Root::Directory(directory) => directory,
        };
        self.set_root(network, Root::Directory(directory));
        let mut entries = self.entries_with_page_of(directory, pair);
        if entries.len() == 1 {
            if !may_double(self.directories.entries(directory)) {
                return None;
            }
            directory = self.directories.double(directory, Root::INDEX_MAX)?;
            self.set_root(network, Root::Directory(directory));
            entries = self.entries_with_page_of(directory, pair);
        }
        let (old, new) = (self.page_of(network, pair)?, self.new_page()?);
        let middle = usize::midpoint(entries.start, entries.end);
        self.directories.entries_mut(directory)[middle..entries.end].fill(new);
        let pairs = std::mem::take(self.pages.get_mut(old as usize)?);
        let (mut low, mut high) = ((Page::default(), 0), (Page::default(), 0));
        for pair in pairs.0 {
            let is_high = directory.entry_of(hash(pair)) >= middle;
            let (page, used) = if is_high { &mut high } else { &mut low };
            page.0[*used] = pair;
            *used += 1;
        }
        *self.pages.get_mut(old as usize)? = low.0;
        *self.pages.get_mut(new as usize)? = high.0;
        Some(())
    }

    /// Returns the indexes of all entries with the page of a pair.
    fn entries_with_page_of(&self, directory: Directory, pair: Pair) -> Range<usize> {
        let (entry, entries) =
            (directory.entry_of(hash(pair)), self.directories.entries(directory));
        let is_other = |&page: &u32| page != entries[entry];
        let start = entries[..entry].iter().rposition(is_other).map_or(0, |other| other + 1);
        let length = entries[entry..].iter().position(is_other);
        start..length.map_or(entries.len(), |length| entry + length)
    }
}

fn pair(address: u32, port: u16) -> Pair {
    address << 16 | u32::from(port)
}

/// Returns whether a directory with these entries may get twice as many.
fn may_double(entries: &[u32]) -> bool {
    let doubled = 2 * entries.len();
    if doubled <= SMALL_DIRECTORY {
        return true;
    }
    let pages = entries.chunk_by(|one, other| one == other).count();
    doubled <= ENTRIES_PER_PAGE_MAX * pages
}

/// Mixes the bits of a pair with the finalizer of `MurmurHash3` (Appleby, 2011), which is invertible:
/// different pairs have different hashes.
fn hash(pair: Pair) -> u32 {
    let pair = (pair ^ (pair >> 16)).wrapping_mul(0x85EB_CA6B);
    let pair = (pair ^ (pair >> 13)).wrapping_mul(0xC2B2_AE35);
    pair ^ (pair >> 16)
}
