//! Any number of targets, each once, as ranges that are never expanded.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, LazyLock},
};

use super::{
    Host, ItemError, Ports, Target,
    grammar::{self, Hosts, Item, ItemErrorKind},
    order::Shuffle,
    pieces::{self, Pieces},
    region::{self, Family, Number, Range, Region, Span, Spans},
};
use crate::fingerprint::Fingerprint;

/// The most targets that can be indexed.
const LEN_MAX: u128 = 1 << 126;

/// Ranges that stand apart and come of items that stand for several, or that others split. Each
/// takes up to 100 bytes.
const PIECES_MAX: usize = 1 << 22;
/// Spans of an item that are added one by one, so that neighbours become one.
const FEW: usize = 16;

/// Networks that no host can have: the "this network" and loopback blocks, multicast, and what is
/// reserved (RFC 6890 §2.2); of IPv6 the unspecified and the loopback address, IPv4 written in
/// IPv6, and multicast. They are left out of a wider network, not of themselves.
static RESERVED: LazyLock<Region> = LazyLock::new(|| {
    let mut region = Region::default();
    for range in [
        Range::V4(0, 0x00FF_FFFF),
        Range::V4(0x7F00_0000, 0x7FFF_FFFF),
        Range::V4(0xE000_0000, u32::MAX),
        Range::V6(0, 1),
        Range::V6(0xFFFF << 32, 0xFFFF_FFFF_FFFF),
        Range::V6(0xFF << 120, u128::MAX),
    ] {
        region.insert(range, &Ports::all());
    }
    region
});

/// Addresses, networks and names that are never to be connected to.
///
/// Names are to be [looked up](Self::resolve) once all are added, before a [`TargetSet`] is made; a
/// [`Checker`](crate::Checker) looks up those that were not.
#[derive(Debug, Clone, Default)]
pub struct Excludes {
    region: Arc<Region>,
    /// Names whose addresses are not known yet, and the ports that go with each.
    unresolved: Vec<(Arc<str>, Ports)>,
}

impl Excludes {
    /// Nothing is excluded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Excludes what the item says: all its ports, unless it names some. A name is excluded as it
    /// is written, and its addresses once it is [looked up](Self::resolve). Of an address with a zone
    /// (`fe80::1%eth0`) the address is excluded, in every zone.
    ///
    /// # Errors
    /// What can't be read, and where.
    pub fn add(&mut self, item: &str) -> Result<(), ItemError> {
        let Item { hosts, ports } = grammar::parse(item)?;
        let ports = ports.unwrap_or_else(Ports::all);
        let region = Arc::make_mut(&mut self.region);
        match hosts {
            Hosts::Range(range) => region.insert(range, &ports),
            Hosts::Ranges(ranges) if ranges.len() <= FEW => {
                for range in ranges {
                    region.insert(range, &ports);
                }
            }
            Hosts::Ranges(ranges) => {
                if region.v4.len() > PIECES_MAX {
                    return Err(too_many_pieces(item));
                }
                region.v4.insert_all(&spans(&ranges, &ports));
            }
            Hosts::Name(name) => {
                region.missing_of_name(&name, &ports);
                match name.split_once('%').and_then(|(address, _)| address.parse().ok()) {
                    Some(address) => region.insert(Range::between(address, address), &ports),
                    None => self.unresolved.push((name, ports)),
                }
            }
        }
        Ok(())
    }

    /// The names that were added and not [looked up](Self::resolve) yet, in their order; one that was
    /// added twice is there twice.
    #[must_use]
    pub fn unresolved(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.unresolved.iter().map(|(name, _)| name)
    }

    /// Excludes the addresses of each name that is unresolved; then none is.
    pub(crate) fn resolved(&mut self, addresses: impl Fn(&str) -> Vec<IpAddr>) {
        let region = Arc::make_mut(&mut self.region);
        for (name, ports) in self.unresolved.drain(..) {
            for address in addresses(&name) {
                region.insert(Range::between(address, address), &ports);
            }
        }
    }

    /// Adds a name that can't be written in a list.
    #[cfg(test)]
    pub(crate) fn add_unchecked_name(&mut self, name: &str) {
        self.unresolved.push((name.into(), Ports::all()));
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.region.is_empty()
    }

    /// Whether this port of this name is excluded, as it is written.
    #[must_use]
    pub fn contains_name(&self, name: &str, port: u16) -> bool {
        self.region.of_name(name).is_some_and(|ports| ports.contains(port))
    }

    /// Whether this port of this address is excluded, or of the address that a connection to it
    /// reaches: IPv4 in IPv6, and loopback where the address is unspecified.
    ///
    /// ```
    /// use portmuster::targets::Excludes;
    ///
    /// let mut excludes = Excludes::new();
    /// excludes.add("127.0.0.0/8")?;
    /// for address in ["127.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1", "0.0.0.0"] {
    ///     assert!(excludes.contains(address.parse()?, 22));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr, port: u16) -> bool {
        let is_there = |address| self.region.contains(address, port);
        is_there(address) || region::reached(address).is_some_and(is_there)
    }

    /// Whether every port of all addresses of a family is excluded.
    pub(crate) fn contains_all_ports(&self, family: Family) -> bool {
        self.region.contains_all(family, &Ports::all())
    }

    /// Whether this port of all addresses of a family is excluded.
    pub(crate) fn contains_all(&self, family: Family, port: u16) -> bool {
        self.region.contains_all(family, &Ports::one(port))
    }
}

/// Targets that were named and are not in the set. Each count saturates at `u128::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// They are in it already.
    pub duplicates: u128,
    /// They are excluded.
    pub excluded: u128,
    /// They are in a network that no host can have, and were not named by themselves.
    pub reserved: u128,
}

/// Targets, each once, in the order in which they were added. A network takes the memory of one
/// address, whatever its size.
#[derive(Debug, Clone, Default)]
pub struct TargetSet {
    blocks: Vec<Block>,
    len: u128,
    skipped: Skipped,
    excludes: Arc<Region>,
    taken: Region,
    known: pieces::Known,
    /// Blocks that items have made besides their first, and ranges in lists of them.
    pieces: usize,
}

#[derive(Debug, Clone)]
struct Block {
    hosts: BlockHosts,
    ports: Ports,
    label: Option<Arc<str>>,
    /// Place of its first target in the set.
    first: u128,
}

#[derive(Debug, Clone)]
enum BlockHosts {
    V4(u32, u32),
    // Boxed: most blocks of most lists are single IPv4 addresses.
    V6(Box<(u128, u128)>),
    Name(Arc<str>),
    /// Ranges of IPv4 addresses that stand apart.
    Pieces(Box<Pieces>),
}

impl Skipped {
    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This and what was left out of another set.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            duplicates: self.duplicates.saturating_add(other.duplicates),
            excluded: self.excluded.saturating_add(other.excluded),
            reserved: self.reserved.saturating_add(other.reserved),
        }
    }
}

impl TargetSet {
    /// A set without targets, into which none of the excluded will come.
    #[must_use]
    pub fn new(excludes: &Excludes) -> Self {
        Self { excludes: Arc::clone(&excludes.region), ..Self::default() }
    }

    /// Adds what the item says: `10.0.0.5`, `10.0.0.0/24`, `10.0.0-3.1-254`,
    /// `10.0.0.1-10.0.3.9`, `2001:db8::/120`, `name.example`, any of them with `:port[,port…]`
    /// (`[v6]:port`). Without ports of its own it gets `ports`. The label goes with every target.
    ///
    /// # Errors
    /// What can't be read, and where; or the set has as many ranges that stand apart as it may have,
    /// and the item is more than a name or an address.
    pub fn add(&mut self, item: &str, label: Option<&str>, ports: &Ports) -> Result<(), ItemError> {
        let label: Option<Arc<str>> = label.map(Arc::from);
        if let Some((address, port)) = grammar::plain(item) {
            let ports = port.map_or_else(|| ports.clone(), Ports::one);
            self.add_range(Range::V4(address, address), &ports, label.as_ref());
            return Ok(());
        }
        let Item { hosts, ports: own } = grammar::parse(item)?;
        let ports = own.unwrap_or_else(|| ports.clone());
        match hosts {
            Hosts::Name(name) => self.add_name(&name, &ports, label.as_ref()),
            Hosts::Range(range) if range.len() == 1 => {
                self.add_range(range, &ports, label.as_ref());
            }
            _ if self.pieces > PIECES_MAX => return Err(too_many_pieces(item)),
            Hosts::Range(range) => self.add_range(range, &ports, label.as_ref()),
            Hosts::Ranges(ranges) if ranges.len() == 1 => {
                self.add_range(ranges[0], &ports, label.as_ref());
            }
            Hosts::Ranges(ranges) => self.add_ranges(&spans(&ranges, &ports), label.as_ref()),
        }
        Ok(())
    }

    /// How many targets there are; saturates at `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        self.len
    }

    /// How many targets there are; `None`: `u128::MAX` or more, as of all of IPv6 with two ports.
    #[must_use]
    pub fn exact_len(&self) -> Option<u128> {
        (self.len < u128::MAX).then_some(self.len)
    }

    /// Whether there is no target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether every target has a place that can be asked for: at most 2^126 have.
    #[must_use]
    pub fn can_be_indexed(&self) -> bool {
        self.len <= LEN_MAX
    }

    /// What was named and is not in the set.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// The target at this place: item by item, in each host by host, of each port by port.
    /// `None` beyond the last.
    #[must_use]
    pub fn get(&self, place: u128) -> Option<Target> {
        let block = self.block_at(place)?;
        block.get(place - block.first)
    }

    /// The last block that begins at the place or before it.
    fn block_at(&self, place: u128) -> Option<&Block> {
        if let Some([block, rest @ ..]) =
            self.even_block(place).and_then(|it| self.blocks.get(it..))
            && block.first <= place
            && rest.first().is_none_or(|next| place < next.first)
        {
            return Some(block);
        }
        let block = self.blocks.partition_point(|block| block.first <= place).checked_sub(1)?;
        self.blocks.get(block)
    }

    /// Where the block of a place is if all have the same number of targets. A set of many blocks
    /// is mostly a list of single targets, and a search in it misses the processor's caches at
    /// almost every step.
    fn even_block(&self, place: u128) -> Option<usize> {
        let blocks = u64::try_from(self.blocks.len()).ok()?;
        let [place, len] = [place, self.len].map(u64::try_from);
        usize::try_from(place.ok()?.checked_mul(blocks)?.checked_div(len.ok()?)?).ok()
    }

    /// The first and the last address of every range, in the order in which they were added.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.blocks
            .iter()
            .flat_map(Block::ranges)
            .filter_map(|range| Some((range.get(0)?, range.get(range.len() - 1)?)))
    }

    /// A number that tells sets with other targets, or with the same in another order, apart. It
    /// is the same on every machine, and whatever the labels are.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut print = Fingerprint::default();
        self.blocks.iter().for_each(|block| block.print(&mut print));
        print.sum()
    }

    /// A number that also tells sets with other labels apart.
    #[must_use]
    pub fn labelled_fingerprint(&self) -> u64 {
        let mut print = Fingerprint::default();
        for block in &self.blocks {
            block.print(&mut print);
            // No label has an end of a line in it, and none of the set's bytes stands here.
            print.add(b"\n").add(block.label.as_deref().unwrap_or_default().as_bytes()).add(b"\n");
        }
        print.sum()
    }

    /// The targets of a shard, in an order.
    ///
    /// # Panics
    /// The set [can't be indexed](Self::can_be_indexed) and is to be shuffled.
    #[must_use]
    pub fn into_targets(mut self, order: Order, shard: Shard) -> Targets {
        let seed = match order {
            Order::Given => None,
            Order::Shuffled { seed } => Some(seed.unwrap_or_else(|| self.fingerprint())),
        };
        (self.taken, self.excludes) = (Region::default(), Arc::default());
        self.known = pieces::Known::default();
        let shuffle = seed.map(|seed| Shuffle::new(self.len, seed));
        Targets { set: self, shuffle, position: u128::from(shard.part - 1), shard }
    }

    fn add_range(&mut self, range: Range, ports: &Ports, label: Option<&Arc<str>>) {
        let ports = ports.clone();
        match range {
            Range::V4(first, last) => {
                let span = Span { first, last, ports };
                // The way of a sorted list, of addresses or of the ports of each.
                if first == last && self.excludes.is_empty() && self.taken.v4.append(&span) {
                    return self.push(BlockHosts::V4(first, last), span.ports, label);
                }
                self.add_ranges(&[span], label);
            }
            Range::V6(first, last) => {
                let span = Span { first, last, ports };
                let kept = keep(
                    &[span],
                    &self.excludes.v6,
                    &RESERVED.v6,
                    &mut self.taken.v6,
                    &mut self.skipped,
                );
                self.pieces += kept.len().saturating_sub(1);
                for Span { first, last, ports } in kept {
                    self.push(BlockHosts::V6(Box::new((first, last))), ports, label);
                }
            }
        }
    }

    /// Adds spans, which are ascending and disjoint.
    fn add_ranges(&mut self, spans: &[Span<u32>], label: Option<&Arc<str>>) {
        let kept =
            keep(spans, &self.excludes.v4, &RESERVED.v4, &mut self.taken.v4, &mut self.skipped);
        // One block an item, or a range by itself, is what every list has.
        let is_split = kept.len() > 1;
        for same in kept.chunk_by(|one, other| one.ports == other.ports) {
            let ports = same[0].ports.clone();
            if same.len() < pieces::LEAST {
                self.pieces += if is_split { same.len() } else { 0 };
                for span in same {
                    self.push(BlockHosts::V4(span.first, span.last), ports.clone(), label);
                }
                continue;
            }
            let ranges = same.iter().map(|span| (span.first, span.last));
            let (pieces, new) = self.known.pieces(ranges);
            self.pieces += new + 1;
            self.push(BlockHosts::Pieces(Box::new(pieces)), ports, label);
        }
    }

    fn add_name(&mut self, name: &Arc<str>, ports: &Ports, label: Option<&Arc<str>>) {
        let mut ports = ports.clone();
        if let Some(excluded) = self.excludes.of_name(name) {
            let kept = ports.without(excluded);
            let left = kept.as_ref().map_or(0, Ports::len);
            add(&mut self.skipped.excluded, ports.len() - left);
            let Some(kept) = kept else { return };
            ports = kept;
        }
        let kept = self.taken.missing_of_name(name, &ports);
        add(&mut self.skipped.duplicates, ports.len() - kept.as_ref().map_or(0, Ports::len));
        if let Some(ports) = kept {
            self.push(BlockHosts::Name(Arc::clone(name)), ports, label);
        }
    }

    /// Adds a block, as part of the last one where it goes on from there.
    fn push(&mut self, hosts: BlockHosts, ports: Ports, label: Option<&Arc<str>>) {
        let before = self.len;
        if let (Some(last), &BlockHosts::V4(first, end)) = (self.blocks.last_mut(), &hosts)
            && last.label.as_ref() == label
            && last.go_on(first, end, &ports)
        {
            self.len = last.first.saturating_add(last.len());
            return;
        }
        let block = Block { hosts, ports, label: label.cloned(), first: before };
        self.len = before.saturating_add(block.len());
        self.blocks.push(block);
    }
}

fn add(sum: &mut u128, count: usize) {
    *sum = sum.saturating_add(count as u128);
}

/// The ranges, which are of IPv4, with ports.
fn spans(ranges: &[Range], ports: &Ports) -> Vec<Span<u32>> {
    let v4 = ranges.iter().filter_map(|range| match *range {
        Range::V4(first, last) => Some(Span { first, last, ports: ports.clone() }),
        Range::V6(..) => None,
    });
    v4.collect()
}

fn too_many_pieces(item: &str) -> ItemError {
    ItemError { column: 1, kind: ItemErrorKind::TooManyPieces(grammar::excerpt(item)) }
}

/// What of the spans, which are ascending and disjoint, is neither excluded nor reserved nor taken;
/// now it is taken.
fn keep<N: Number>(
    spans: &[Span<N>],
    excludes: &Spans<N>,
    reserved: &Spans<N>,
    taken: &mut Spans<N>,
    skipped: &mut Skipped,
) -> Vec<Span<N>> {
    let is_clear = |span: &Span<N>| {
        !excludes.meets(span) && (span.first == span.last || !reserved.meets(span))
    };
    if spans.iter().all(is_clear) {
        return take(spans, taken, &mut skipped.duplicates);
    }
    let mut all_wanted = Vec::with_capacity(spans.len());
    for span in spans {
        let mut wanted = vec![span.clone()];
        if excludes.meets(span) {
            wanted = leave_out(&wanted, excludes, &mut skipped.excluded);
        }
        // A network that is reserved as a whole was named itself, as is an address.
        let is_network = span.first != span.last;
        if is_network && reserved.meets(span) && !reserved.missing(span).is_empty() {
            wanted = leave_out(&wanted, reserved, &mut skipped.reserved);
        }
        all_wanted.append(&mut wanted);
    }
    take(&all_wanted, taken, &mut skipped.duplicates)
}

/// What of the spans was not taken; now it is.
fn take<N: Number>(spans: &[Span<N>], taken: &mut Spans<N>, duplicates: &mut u128) -> Vec<Span<N>> {
    let sum = targets(spans);
    if spans.len() > FEW && sum < u128::MAX {
        let new = taken.insert_all(spans);
        *duplicates = duplicates.saturating_add(sum - targets(&new));
        return new;
    }
    let mut missing = Vec::new();
    for span in spans {
        let covered = span_covered(taken, span);
        let new = taken.insert(span);
        let covered = covered.unwrap_or_else(|| span.targets() - targets(&new));
        *duplicates = duplicates.saturating_add(covered);
        missing.extend(new);
    }
    missing
}

/// How much of a span is there, which has more than can be counted; `None`: it has not.
fn span_covered<N: Number>(there: &Spans<N>, span: &Span<N>) -> Option<u128> {
    (span.targets() == u128::MAX).then(|| there.covered(span))
}

/// How many targets there are in all; saturates.
fn targets<N: Number>(spans: &[Span<N>]) -> u128 {
    spans.iter().fold(0_u128, |sum, span| sum.saturating_add(span.targets()))
}

fn leave_out<N: Number>(spans: &[Span<N>], unwanted: &Spans<N>, count: &mut u128) -> Vec<Span<N>> {
    let mut all_kept = Vec::new();
    for span in spans {
        let kept = unwanted.missing(span);
        let skipped = span_covered(unwanted, span);
        let skipped = skipped.unwrap_or_else(|| span.targets() - targets(&kept));
        *count = count.saturating_add(skipped);
        all_kept.extend(kept);
    }
    all_kept
}

impl Block {
    /// Takes in what goes on from it: the next addresses with its ports, or the next ports of its
    /// only address. False when that is not what these are.
    fn go_on(&mut self, first: u32, last: u32, ports: &Ports) -> bool {
        let BlockHosts::V4(own_first, own_last) = &mut self.hosts else { return false };
        if own_last.checked_add(1) == Some(first) && self.ports == *ports {
            *own_last = last;
            return true;
        }
        let is_its_only = own_first == own_last && (*own_first, *own_last) == (first, last);
        let Some(ports) = self.ports.followed_by(ports).filter(|_| is_its_only) else {
            return false;
        };
        self.ports = ports;
        true
    }

    fn print(&self, print: &mut Fingerprint) {
        match &self.hosts {
            BlockHosts::V4(first, last) => {
                print.add(b"4").add(&first.to_be_bytes()).add(&last.to_be_bytes());
            }
            BlockHosts::V6(range) => {
                print.add(b"6").add(&range.0.to_be_bytes()).add(&range.1.to_be_bytes());
            }
            BlockHosts::Name(name) => {
                print.add(b"n").add(name.as_bytes()).add(&[0]);
            }
            BlockHosts::Pieces(pieces) => {
                for range in pieces.ranges() {
                    let Range::V4(first, last) = range else { continue };
                    print.add(b"4").add(&first.to_be_bytes()).add(&last.to_be_bytes());
                    self.print_ports(print);
                }
                return;
            }
        }
        self.print_ports(print);
    }

    fn print_ports(&self, print: &mut Fingerprint) {
        for range in self.ports.ranges() {
            print.add(&range.start().to_be_bytes()).add(&range.end().to_be_bytes());
        }
    }

    fn len(&self) -> u128 {
        let hosts = match &self.hosts {
            BlockHosts::Pieces(pieces) => pieces.len(),
            _ => self.range().map_or(1, Range::len),
        };
        hosts.saturating_mul(self.ports.len() as u128)
    }

    /// The addresses, where they are one range.
    fn range(&self) -> Option<Range> {
        match &self.hosts {
            BlockHosts::V4(first, last) => Some(Range::V4(*first, *last)),
            BlockHosts::V6(range) => Some(Range::V6(range.0, range.1)),
            BlockHosts::Name(_) | BlockHosts::Pieces(_) => None,
        }
    }

    /// Each range of addresses.
    fn ranges(&self) -> impl Iterator<Item = Range> {
        let pieces = match &self.hosts {
            BlockHosts::Pieces(pieces) => Some(pieces.ranges()),
            _ => None,
        };
        self.range().into_iter().chain(pieces.into_iter().flatten())
    }

    fn get(&self, place: u128) -> Option<Target> {
        if place >= self.len() {
            return None;
        }
        let ports = self.ports.len() as u128;
        let port = self.ports.get(usize::try_from(place % ports).ok()?)?;
        let host = match &self.hosts {
            BlockHosts::Name(name) => Host::Name(Arc::clone(name)),
            BlockHosts::Pieces(pieces) => {
                Host::Address(Ipv4Addr::from(pieces.get(place / ports)?).into())
            }
            _ => Host::Address(self.range()?.get(place / ports)?),
        };
        Some(Target { host, port, label: self.label.clone() })
    }
}

/// In which order targets are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they were added.
    Given,
    /// Shuffled, so that neither hosts nor networks are hammered.
    Shuffled {
        /// The same seed gives the same order. `None`: the set's
        /// [fingerprint](TargetSet::fingerprint), so that shards started on different machines
        /// fit together.
        seed: Option<u64>,
    },
}

/// One of several parts of a set that are disjoint and cover it: it takes every position `p` with
/// `p mod of = part - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    part: u64,
    of: u64,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { part: 1, of: 1 };

    /// The part `part` of `of`, counted from 1; `None` when there is no such part.
    #[must_use]
    pub fn new(part: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&part).then_some(Self { part, of })
    }

    /// How many of so many positions belong to it.
    #[must_use]
    pub fn share(self, len: u128) -> u128 {
        (len.saturating_add(u128::from(self.of - self.part))) / u128::from(self.of)
    }

    /// Whether the position belongs to it.
    #[must_use]
    pub fn has(self, position: u64) -> bool {
        position % self.of == self.part - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.part, self.of)
    }
}

/// The targets of a shard of a [`TargetSet`], in an order.
#[derive(Debug)]
pub struct Targets {
    set: TargetSet,
    /// `None`: as they were added.
    shuffle: Option<Shuffle>,
    position: u128,
    shard: Shard,
}

impl Iterator for Targets {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        let position = self.position;
        if position >= self.set.len {
            return None;
        }
        self.position = position.saturating_add(self.shard.of.into());
        let place = self.shuffle.as_ref().map_or(position, |shuffle| shuffle.at(position));
        self.set.get(place)
    }

    /// Whatever is passed over costs nothing.
    fn nth(&mut self, place: usize) -> Option<Target> {
        let passed_over = (place as u128).saturating_mul(self.shard.of.into());
        self.position = self.position.saturating_add(passed_over);
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn set_without(excludes: &[&str], items: &[&str]) -> TargetSet {
        let mut unwanted = Excludes::new();
        for item in excludes {
            unwanted.add(item).expect(item);
        }
        let mut set = TargetSet::new(&unwanted);
        for item in items {
            set.add(item, None, &Ports::ssh_and_telnet()).expect(item);
        }
        set
    }

    fn set(items: &[&str]) -> TargetSet {
        set_without(&[], items)
    }

    fn shown(set: TargetSet) -> Vec<String> {
        let targets = set.into_targets(Order::Given, Shard::WHOLE);
        targets.map(|target| target.to_string()).collect()
    }

    #[test]
    fn a_list_with_the_ports_of_each_host_one_below_the_other_is_small() {
        let mut set = TargetSet::default();
        let items: Vec<_> = (1..=3)
            .flat_map(|host| (1..=100).map(move |port| format!("10.0.0.{host}:{port}")))
            .collect();
        for item in &items {
            set.add(item, None, &Ports::ssh_and_telnet()).expect("it can be read");
        }
        let listed: Vec<_> =
            (0..set.len()).map(|place| set.get(place).expect("a target").to_string()).collect();
        assert_eq!(listed, items);
        assert_eq!((set.blocks.len(), set.skipped()), (3, Skipped::default()));
        set.add("10.0.0.2:50", None, &Ports::ssh_and_telnet()).expect("it can be read");
        assert_eq!((set.len(), set.skipped().duplicates), (300, 1));
    }

    #[test]
    fn the_next_ports_of_several_addresses_come_behind_all_of_them() {
        let items = ["10.0.0.1-10.0.0.2:22", "10.0.0.1-10.0.0.2:23"];
        assert_eq!(
            shown(set(&items)),
            ["10.0.0.1:22", "10.0.0.2:22", "10.0.0.1:23", "10.0.0.2:23"]
        );
    }

    /// What items stand for, one after the other, each target where it comes first.
    fn expanded(items: &[String], excludes: &[String]) -> (Vec<Target>, u128) {
        let mut unwanted = Excludes::new();
        let mut known: HashSet<Target> = HashSet::new();
        let mut targets = Vec::new();
        let mut duplicates = 0;
        for item in excludes {
            unwanted.add(item).expect(item);
        }
        for item in items {
            let Item { hosts, ports } = grammar::parse(item).expect(item);
            let ports = ports.unwrap_or_else(Ports::ssh_and_telnet);
            let ranges = match hosts {
                Hosts::Range(range) => vec![range],
                Hosts::Ranges(ranges) => ranges,
                Hosts::Name(_) => Vec::new(),
            };
            for range in ranges {
                for host in (0..range.len()).filter_map(|place| range.get(place)) {
                    for port in (0..ports.len()).filter_map(|place| ports.get(place)) {
                        let target = Target { host: Host::Address(host), port, label: None };
                        if unwanted.contains(host, port) {
                            continue;
                        }
                        if known.insert(target.clone()) {
                            targets.push(target);
                        } else {
                            duplicates += 1;
                        }
                    }
                }
            }
        }
        (targets, duplicates)
    }

    fn octets() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            (0_u8..8).prop_map(|number| number.to_string()),
            (0_u8..4, 0_u8..8).prop_map(|(first, more)| format!("{first}-{}", first + more)),
            (0_u8..3, 4_u8..7).prop_map(|(one, other)| format!("{one},{other}")),
            (0_u8..3).prop_map(|first| format!("{first}-{},9-20", first + 3)),
        ];
        let last = prop_oneof![
            (0_u8..8).prop_map(|number| number.to_string()),
            (0_u8..4, 0_u8..8).prop_map(|(first, more)| format!("{first}-{}", first + more)),
            (0_u8..3, 4_u8..7).prop_map(|(one, other)| format!("{one},{other}")),
        ];
        let ports = prop_oneof![
            Just(String::new()),
            (1_u8..6).prop_map(|port| format!(":{port}")),
            (1_u8..4, 0_u8..4).prop_map(|(first, more)| format!(":{first}-{}", first + more)),
            Just(":1,3,5".to_owned()),
        ];
        let network = (0_u32..4096, 22_u8..=32, ports.clone()).prop_map(|(low, prefix, ports)| {
            let address = Ipv4Addr::from((10 << 24) | (low & (u32::MAX << (32 - prefix))));
            format!("{address}/{prefix}{ports}")
        });
        let octets = (part, last, ports).prop_map(|(third, last, ports)| {
            // One with a comma and nothing else may be a port.
            let ports = if ports.is_empty() { ":22,23" } else { &ports };
            format!("10.0.{third}.{last}{ports}")
        });
        prop_oneof![3 => octets, 1 => network]
    }

    proptest! {
        #[test]
        fn items_of_octets_are_what_they_stand_for(
            items in prop::collection::vec(octets(), 1..14),
            excludes in prop::collection::vec(octets(), 0..3),
        ) {
            let text: Vec<_> = items.iter().map(String::as_str).collect();
            let unwanted: Vec<_> = excludes.iter().map(String::as_str).collect();
            let set = set_without(&unwanted, &text);
            let (expected, duplicates) = expanded(&items, &excludes);
            prop_assert_eq!(set.len(), expected.len() as u128);
            prop_assert_eq!(set.skipped().duplicates, duplicates);
            let ranges: u128 = set.blocks.iter().flat_map(|block| {
                let ports = block.ports.len() as u128;
                block.ranges().map(move |range| range.len() * ports)
            }).sum();
            prop_assert_eq!(ranges, set.len());
            let walked: Vec<_> = set.into_targets(Order::Given, Shard::WHOLE).collect();
            prop_assert_eq!(walked, expected);
        }
    }

    /// In blocks and in what is taken, which is what takes memory and time.
    fn sizes(items: impl IntoIterator<Item = String>) -> (TargetSet, usize, usize) {
        let mut set = TargetSet::default();
        for item in items {
            set.add(&item, None, &Ports::ssh_and_telnet()).expect("it can be read");
        }
        let (blocks, taken) = (set.blocks.len(), set.taken.v4.len());
        (set, blocks, taken)
    }

    #[test]
    fn ports_of_the_same_octets_line_by_line_take_one_block_each() {
        let lines =
            |hosts: &'static str| (1..=40).map(move |port| format!("10.0-99.0-255.{hosts}:{port}"));
        let (set, blocks, taken) = sizes(lines("1"));
        assert_eq!((set.len(), blocks, taken), (40 * 25_600, 40, 25_600));
        assert_eq!(set.get(25_600).map(|target| target.to_string()).as_deref(), Some("10.0.0.1:2"));
        // Those that meet them in turn.
        let (set, blocks, taken) =
            sizes(lines("1").zip(lines("1-3")).flat_map(|(one, two)| [one, two]));
        assert_eq!((set.len(), blocks, taken), (40 * 3 * 25_600, 80, 2 * 25_600));
        let wide = (1..=40).map(|port| format!("10.0.0.0/9:{port}"));
        let (set, blocks, taken) = sizes(lines("1").chain(wide));
        assert_eq!((set.len(), set.skipped().duplicates), (40 << 23, 40 * 25_600));
        assert!(blocks < 120 && taken < 60_000, "{blocks} {taken}");
    }

    #[test]
    fn a_set_that_would_have_too_many_ranges_says_so() {
        let mut set = TargetSet { pieces: PIECES_MAX + 1, ..TargetSet::default() };
        let mut add = |item: &str| set.add(item, None, &Ports::ssh_and_telnet());
        let failed = add("10.0-255.0-255.1:22").expect_err("they stand apart");
        assert_eq!(
            failed.to_string(),
            "with \"10.0-255.0-255.1:22\" the targets would make more than 4,194,304 separate ranges; \
             write the ports of the same addresses on one line (10.0-3.0.1:22,23), or check the list \
             in parts"
        );
        assert!(add("10.0.0.99:1").is_ok() && add("db.example").is_ok());
        assert!(add("10.9.0.0/16").is_err());
    }

    #[test]
    fn items_keep_their_order_and_their_ports() {
        assert_eq!(
            shown(set(&["10.0.0.254/31", "db.example:2222", "[2001:db8::1]:22,23"])),
            [
                "10.0.0.254:22",
                "10.0.0.254:23",
                "10.0.0.255:22",
                "10.0.0.255:23",
                "db.example:2222",
                "[2001:db8::1]:22",
                "[2001:db8::1]:23",
            ]
        );
    }

    #[test]
    fn every_target_is_there_once() {
        let set = set(&["10.0.0.5:22", "10.0.0.4/31", "DB.example:22", "db.example", "10.0.0.5"]);
        assert_eq!(set.skipped(), Skipped { duplicates: 4, ..Skipped::default() });
        assert_eq!(
            shown(set),
            [
                "10.0.0.5:22",
                "10.0.0.4:22",
                "10.0.0.4:23",
                "10.0.0.5:23",
                "DB.example:22",
                "db.example:23"
            ]
        );
    }

    #[test]
    fn what_is_excluded_is_not_there() {
        let set = set_without(
            &["10.0.0.2-3", "10.0.0.1:22", "Db.example:23", "2001:db8::/64"],
            &["10.0.0.0/30", "db.example.", "2001:db8::5"],
        );
        assert_eq!(set.skipped().excluded, 4 + 1 + 1 + 2);
        assert_eq!(shown(set), ["10.0.0.0:22", "10.0.0.0:23", "10.0.0.1:23", "db.example.:22"]);
    }

    #[test]
    fn reserved_networks_are_left_out_unless_named() {
        let all = set(&["0.0.0.0/0:1"]);
        assert_eq!(all.skipped().reserved, (1 << 24) * 2 + (1 << 29));
        assert_eq!(all.len() + all.skipped().reserved, 1 << 32);
        assert_eq!(set(&["127.0.0.0/8:1", "224.0.0.1:1", "[::1]:1"]).skipped(), Skipped::default());
        assert_eq!(set(&["127.0.0.0/8:1"]).len(), 1 << 24);
    }

    #[test]
    fn ipv4_written_in_ipv6_is_what_it_stands_for() {
        let set = set_without(
            &["10.0.0.0/31"],
            &["[::ffff:10.0.0.1]:22", "::ffff:10.0.0.2", "10.0.0.2", "::ffff:0:0/111"],
        );
        let skipped = set.skipped();
        assert_eq!((skipped.excluded, skipped.duplicates), (1, 2));
        assert_eq!(set.get(0).map(|target| target.to_string()).as_deref(), Some("10.0.0.2:22"));
    }

    #[test]
    fn networks_are_counted_not_expanded() {
        assert_eq!(set(&["10.0.0.0/8"]).len(), 33_554_432);
        assert_eq!(set(&["10.0.0.0/8"]).blocks.len(), 1);
        let lines: Vec<_> = (0..=255).map(|last| format!("10.0.0.{last}")).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(set(&lines).blocks.len(), 1, "neighbours on lines of their own are one block");
        let huge = set(&["::/0", "10.0.0.0", "10.0.0.1"]);
        assert!(!huge.can_be_indexed() && huge.len() > LEN_MAX);
        assert!(set(&["2001:db8::/16"]).can_be_indexed());
        assert_eq!(TargetSet::default().get(0), None);
    }

    #[test]
    fn what_is_left_out_of_more_than_can_be_counted_is_counted() {
        let reserved = 2 + (1 << 32) + (1 << 120);
        let one = set(&["[::/0]:1"]);
        assert_eq!(one.exact_len(), Some(u128::MAX - reserved + 1));
        assert_eq!(one.skipped(), Skipped { reserved, ..Skipped::default() });
        let two = set_without(&["2001:db8::/32"], &["fe80::/10", "::/0"]);
        assert_eq!((two.len(), two.exact_len()), (u128::MAX, None));
        let (duplicates, excluded) = (2 << 118, 2 << 96);
        let expected = Skipped { duplicates, excluded, reserved: 2 * reserved };
        assert_eq!(two.skipped(), expected);
        assert_eq!(set_without(&["::/0"], &["::/0"]).skipped().excluded, u128::MAX);
    }

    #[test]
    fn labels_go_with_their_targets() {
        let mut set = TargetSet::default();
        set.add("10.0.0.5:22", Some("core-sw1"), &Ports::ssh_and_telnet()).expect("an item");
        set.add("10.0.0.6:22", None, &Ports::ssh_and_telnet()).expect("an item");
        let labels: Vec<_> = (0..2).map(|place| set.get(place).expect("a target").label).collect();
        assert_eq!(labels, [Some("core-sw1".into()), None]);
    }

    #[test]
    fn the_fingerprint_is_the_same_on_every_machine() {
        let fingerprint = |items: &[&str]| set(items).fingerprint();
        assert_eq!(fingerprint(&["10.0.0.0/8", "db.example:22"]), 17_794_721_664_629_966_243);
        assert_ne!(fingerprint(&["10.0.0.0/9"]), fingerprint(&["10.0.0.0/8"]));
        assert_ne!(fingerprint(&["10.0.0.1:22"]), fingerprint(&["10.0.0.1:23"]));
        assert_eq!(fingerprint(&["10.0.0.0", "10.0.0.1"]), fingerprint(&["10.0.0.0/31"]));
    }

    #[test]
    fn labels_are_another_fingerprints_matter() {
        let fingerprints = |labels: [Option<&str>; 2]| {
            let mut set = TargetSet::default();
            for (host, label) in ["10.0.0.5:22", "10.0.0.7:22"].into_iter().zip(labels) {
                set.add(host, label, &Ports::ssh_and_telnet()).expect("an item");
            }
            (set.fingerprint(), set.labelled_fingerprint())
        };
        let plain = fingerprints([None, None]);
        for labels in [[Some("a"), None], [None, Some("a")], [Some("a"), Some("a")]] {
            assert_eq!(fingerprints(labels).0, plain.0);
            assert_ne!(fingerprints(labels).1, plain.1);
        }
        assert_ne!(fingerprints([Some("a"), None]), fingerprints([None, Some("a")]));
    }

    #[test]
    fn shards_of_a_part_that_is_not_there_are_none() {
        for (part, of) in [(0, 3), (4, 3), (1, 0), (0, 0)] {
            assert_eq!(Shard::new(part, of), None);
        }
        assert_eq!(Shard::new(3, 3).map(|shard| shard.share(8)), Some(2));
    }

    proptest! {
        #[test]
        fn walking_and_indexing_agree(prefixes in prop::collection::vec(24_u8..=32, 0..6)) {
            let items: Vec<_> =
                prefixes.iter().map(|prefix| format!("10.1.2.3/{prefix}:1-3")).collect();
            let set = set(&items.iter().map(String::as_str).collect::<Vec<_>>());
            let len = set.len();
            let indexed: Vec<_> = (0..len).map(|place| set.get(place).expect("within")).collect();
            prop_assert_eq!(set.get(len), None);
            let walked: Vec<_> = set.into_targets(Order::Given, Shard::WHOLE).collect();
            prop_assert_eq!(indexed.iter().collect::<HashSet<_>>().len(), indexed.len());
            prop_assert_eq!(indexed, walked);
        }

        #[test]
        fn shards_are_disjoint_and_cover(
            hosts in 0_u32..40,
            of in 1_u64..12,
            seed: Option<u64>,
            given: bool,
        ) {
            let item = format!("10.0.0.0-10.0.0.{hosts}");
            let set = set(&[item.as_str()]);
            let order = if given { Order::Given } else { Order::Shuffled { seed } };
            let mut seen = BTreeSet::new();
            for part in 1..=of {
                let shard = Shard::new(part, of).expect("a part");
                let targets: Vec<_> = set.clone().into_targets(order, shard).collect();
                prop_assert_eq!(targets.len() as u128, shard.share(set.len()));
                for target in targets {
                    prop_assert!(seen.insert(target));
                }
            }
            prop_assert_eq!(seen.len() as u128, set.len());
        }

        #[test]
        fn passing_over_targets_is_taking_them(
            steps in prop::collection::vec(0_usize..9, 0..30),
            of in 1_u64..5,
            given: bool,
        ) {
            let set = set(&["10.0.0.0-10.0.0.99:22", "db.example"]);
            let order = if given { Order::Given } else { Order::Shuffled { seed: None } };
            let shard = Shard::new(1, of).expect("a part");
            let mut at_once = set.clone().into_targets(order, shard);
            let mut by_one = set.into_targets(order, shard);
            for step in steps {
                by_one.by_ref().take(step).for_each(drop);
                prop_assert_eq!(at_once.nth(step), by_one.next());
            }
        }
    }
}
