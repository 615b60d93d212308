//! A set of any number of targets, stored as ranges that are never expanded.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use super::{
    excludes::Excludes,
    grammar::{self, ItemError, ItemErrorKind, ItemHosts, ParsedItem, excerpt},
    host_lists::HostLists,
    host_name::{bare_name, normalized_name},
    limits::SET_RANGES_MAX,
    members::Members,
    ports::Ports,
    range::AddressRange,
    range_list::{RANGE_LIST_MIN, RangeListInterner},
    region::{Region, Span, v4_spans},
    target::Target,
};
use crate::fingerprint::Fingerprint;

mod block;
mod filter;
mod omitted;
mod skipped;
#[cfg(test)]
mod tests;
mod unwanted;

use block::{Block, BlockHosts};
use filter::insert_new;
use omitted::{Omitted, OmittedSpans, take_back_reserved};
pub use skipped::Skipped;
use unwanted::{RESERVED, Unwanted};

/// The maximum number of targets of a set whose targets can be indexed.
const INDEXED_MAX: u128 = 1 << 126;

/// A set of targets in the order in which they were added.
///
/// It contains each target once. A network takes the memory of one address, whatever its size. A single
/// item can be parsed; [`add`](Self::add) takes any number of them. Iterating over a set yields its
/// targets in a shuffled order, which spreads the load over hosts and networks.
///
/// ```
/// use portmuster::targets::TargetSet;
///
/// let set: TargetSet = "10.0.0.0/30:22,2222".parse()?;
/// assert_eq!((set.len(), set.into_iter().count()), (8, 8));
/// assert_eq!("10.0.0.0/30".parse::<TargetSet>()?.len(), 8, "the default ports are 22 and 23");
///
/// let error = "10.0.0.0/33".parse::<TargetSet>().expect_err("no network");
/// assert_eq!(error.to_string(), "column 9: /33 is not a prefix length: IPv4 allows 0 to 32");
/// # Ok::<(), portmuster::targets::ItemError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TargetSet {
    blocks: Vec<Block>,
    len: u128,
    skipped: Skipped,
    excludes: Arc<Region>,
    /// The single addresses of blocks.
    hosts: HostLists,
    /// The hosts and ports of all blocks, to detect duplicates.
    members: Members,
    /// The hosts and ports that were named and are not in the set, to count each once. `None`: there are
    /// none.
    omitted: Option<Box<Omitted>>,
    range_lists: RangeListInterner,
    /// The number of blocks that items made beyond their first one, of ranges in range lists, and of
    /// omitted spans beyond the first one of an item.
    separate_ranges: usize,
}

impl TargetSet {
    /// Creates an empty set that will not contain any of the excluded targets.
    #[must_use]
    pub fn new(excludes: &Excludes) -> Self {
        Self { excludes: Arc::clone(excludes.region()), ..Self::default() }
    }

    /// Adds the targets of an item, all with the same label.
    ///
    /// Items are `10.0.0.5`, `10.0.0.0/24`, `10.0.0-3.1-254`, `10.0.0.1-10.0.3.9`, `2001:db8::/120`
    /// and `name.example`, each optionally followed by `:port[,port…]` (`[v6]:port`). `ports` are
    /// those of an item that names none.
    ///
    /// # Errors
    /// The item can't be parsed. Or the set has too many separate ranges and the item is neither a
    /// name nor a single address.
    pub fn add(&mut self, item: &str, label: Option<&str>, ports: &Ports) -> Result<(), ItemError> {
        let label: Option<Arc<str>> = label.map(Arc::from);
        if let Some((address, port)) = grammar::parse_plain(item) {
            let ports = port.map_or_else(|| ports.clone(), Ports::one);
            self.add_v4_address(address, &ports, label.as_ref());
            return Ok(());
        }
        if let Some((address, port)) = grammar::parse_plain_v6(item) {
            let ports = port.map_or_else(|| ports.clone(), Ports::one);
            let range = AddressRange::between(address.into(), address.into());
            self.add_range(range, &ports, label.as_ref());
            return Ok(());
        }
        let ParsedItem { hosts, ports: item_ports } = grammar::parse(item)?;
        let ports = item_ports.unwrap_or_else(|| ports.clone());
        match hosts {
            ItemHosts::Name(name) => self.add_name(&name, &ports, label.as_ref()),
            ItemHosts::Range(range) if range.len() == 1 => {
                self.add_range(range, &ports, label.as_ref());
            }
            _ if self.separate_ranges > SET_RANGES_MAX => {
                return Err(ItemError::too_many_set_ranges(item));
            }
            ItemHosts::Range(range) => self.add_range(range, &ports, label.as_ref()),
            ItemHosts::Ranges(ranges) if ranges.len() == 1 => {
                self.add_range(ranges[0], &ports, label.as_ref());
            }
            ItemHosts::Ranges(ranges) => {
                self.add_v4_spans(&v4_spans(&ranges, &ports), label.as_ref());
            }
        }
        Ok(())
    }

    /// Returns the number of targets; saturates at `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        self.len
    }

    /// Returns the number of targets; `None` if there are `u128::MAX` or more, as in all of IPv6 with
    /// two ports.
    #[must_use]
    pub fn exact_len(&self) -> Option<u128> {
        (self.len < u128::MAX).then_some(self.len)
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether [`get`](Self::get) reaches every target, which is so for up to 2^126 targets.
    #[must_use]
    pub fn can_be_indexed(&self) -> bool {
        self.len <= INDEXED_MAX
    }

    /// Counts the targets that were named but are not in the set.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Returns the target at `index`: item by item, within an item host by host, and within a host
    /// port by port. `None` beyond the last.
    #[must_use]
    pub fn get(&self, index: u128) -> Option<Target> {
        let block = self.block_at(index)?;
        block.get(index - block.first, &self.hosts)
    }

    /// Returns the last block whose first target is at or before `index`.
    ///
    /// An exponential search from the estimate: its steps double, and a binary search in the last one
    /// ends it.
    fn block_at(&self, index: u128) -> Option<&Block> {
        let is_at_or_before = |block: &Block| block.first <= index;
        let guess = self.estimated_block(index).unwrap_or_default();
        let (mut low, mut high, mut step) = (guess, guess + 1, 1);
        while self.blocks.get(high).is_some_and(is_at_or_before) {
            (low, high, step) = (high, high + step, step * 2);
        }
        while low > 0 && !self.blocks.get(low).is_some_and(is_at_or_before) {
            (low, high, step) = (low.saturating_sub(step), low, step * 2);
        }
        let range = low..high.min(self.blocks.len());
        let blocks = self.blocks.get(range)?;
        blocks.get(blocks.partition_point(is_at_or_before).checked_sub(1)?)
    }

    /// Estimates which block contains `index`, as if all had the same number of targets.
    ///
    /// Most sets with many blocks are lists of single targets, for which the estimate is exact, or of
    /// addresses that repeat a pattern, for which it is near. A binary search in them would miss the
    /// processor's caches at almost every step.
    fn estimated_block(&self, index: u128) -> Option<usize> {
        let blocks = u64::try_from(self.blocks.len()).ok()?;
        let [index, len] = [index, self.len].map(u64::try_from);
        usize::try_from(index.ok()?.checked_mul(blocks)?.checked_div(len.ok()?)?).ok()
    }

    /// Iterates over the first and last address of every range, in the order of adding.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        self.blocks
            .iter()
            .flat_map(|block| block.ranges(&self.hosts))
            .filter_map(|range| Some((range.get(0)?, range.get(range.len() - 1)?)))
    }

    /// Returns a hash of the targets and their order, without the labels.
    ///
    /// It is the same on every machine.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut fingerprint = Fingerprint::default();
        for block in &self.blocks {
            block.add_to(&mut fingerprint, &self.hosts, false);
        }
        fingerprint.sum()
    }

    /// Returns a hash of the targets, their order and their labels.
    ///
    /// It is the same on every machine.
    #[must_use]
    pub fn labelled_fingerprint(&self) -> u64 {
        let mut fingerprint = Fingerprint::default();
        for block in &self.blocks {
            block.add_to(&mut fingerprint, &self.hosts, true);
        }
        fingerprint.sum()
    }

    /// Returns whether any target has a label.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.blocks.iter().any(|block| block.label.is_some())
    }

    /// Frees the memory that only [`add`](Self::add) needs.
    pub(super) fn without_insertion_state(mut self) -> Self {
        (self.members, self.excludes) = (Members::default(), Arc::default());
        self.omitted = None;
        self.range_lists = RangeListInterner::default();
        self.hosts.freeze();
        self
    }

    fn add_range(&mut self, range: AddressRange, ports: &Ports, label: Option<&Arc<str>>) {
        match range {
            AddressRange::V4(address, last) if address == last => {
                self.add_v4_address(address, ports, label);
            }
            AddressRange::V4(first, last) => {
                self.add_v4_spans(&[Span { first, last, ports: ports.clone() }], label);
            }
            AddressRange::V6(address, last) if address == last => {
                self.add_v6_address(address, ports, label);
            }
            AddressRange::V6(first, last) => {
                self.add_v6_span(&Span { first, last, ports: ports.clone() }, label);
            }
        }
    }

    fn add_v4_address(&mut self, address: u32, ports: &Ports, label: Option<&Arc<str>>) {
        let mut ports = ports.clone();
        if let Some(excluded) = self.excludes.v4.ports_at(address) {
            let allowed = ports.without(excluded);
            if allowed.as_ref() != Some(&ports) {
                let omitted = self.omitted.get_or_insert_default();
                omitted.add_v4(address, &ports, excluded, &mut self.skipped);
            }
            let Some(allowed) = allowed else { return };
            ports = allowed;
        }
        let new = self.members.v4.insert(address, &ports);
        add_count(&mut self.skipped.duplicates, ports.len() - new.as_ref().map_or(0, Ports::len));
        if let Some(new) = new {
            if self.omitted.is_some() {
                self.take_back_v4(&[Span { first: address, last: address, ports: new.clone() }]);
            }
            self.push(BlockHosts::V4(address, address), new, label);
        }
    }

    fn add_v6_address(&mut self, address: u128, ports: &Ports, label: Option<&Arc<str>>) {
        let mut ports = ports.clone();
        if let Some(excluded) = self.excludes.v6.ports_at(address) {
            let allowed = ports.without(excluded);
            if allowed.as_ref() != Some(&ports) {
                let omitted = self.omitted.get_or_insert_default();
                omitted.add_v6(address, &ports, excluded, &mut self.skipped);
            }
            let Some(allowed) = allowed else { return };
            ports = allowed;
        }
        let new = self.members.v6.insert(address, &ports, &mut self.hosts);
        let new_count = new.as_ref().map_or(0, |(new, _)| new.len());
        add_count(&mut self.skipped.duplicates, ports.len() - new_count);
        let Some((new, position)) = new else { return };
        if self.omitted.is_some() {
            self.take_back_v6(&[Span { first: address, last: address, ports: new.clone() }]);
        }
        match position {
            Some(position) => self.push_v6_host(position, new, label),
            None => self.push(BlockHosts::V6(Box::new((address, address))), new, label),
        }
    }

    /// Counts new members that were counted as reserved before.
    fn take_back_v4(&mut self, new: &[Span<u32>]) {
        if let Some(omitted) = &self.omitted {
            let with_reserved = omitted.with_reserved_v4();
            take_back_reserved(new, with_reserved, &RESERVED.v4, &mut self.skipped);
        }
    }

    /// Counts new members that were counted as reserved before.
    fn take_back_v6(&mut self, new: &[Span<u128>]) {
        if let Some(omitted) = &self.omitted {
            let with_reserved = omitted.with_reserved_v6();
            take_back_reserved(new, with_reserved, &RESERVED.v6, &mut self.skipped);
        }
    }

    fn add_v6_span(&mut self, span: &Span<u128>, label: Option<&Arc<str>>) {
        let spans = std::slice::from_ref(span);
        let unwanted = Unwanted { excludes: &self.excludes.v6, reserved: &RESERVED.v6 };
        let omitted =
            unwanted.overlaps(spans).then(|| self.omitted.get_or_insert_default().v6(span));
        let omitted_before = omitted.as_ref().map(OmittedSpans::len);
        let members = self.members.v6.spans_near(span, &self.hosts);
        let new = insert_new(spans, unwanted, members, omitted, &mut self.skipped);
        self.separate_ranges += new.len().saturating_sub(1);
        if let (Some(before), Some(omitted)) = (omitted_before, &mut self.omitted) {
            self.separate_ranges += omitted.v6(span).len().saturating_sub(before + 1);
        }
        self.take_back_v6(&new);
        for Span { first, last, ports } in new {
            self.push(BlockHosts::V6(Box::new((first, last))), ports, label);
        }
    }

    /// Adds spans, which must be ascending and disjoint.
    fn add_v4_spans(&mut self, spans: &[Span<u32>], label: Option<&Arc<str>>) {
        let unwanted = Unwanted { excludes: &self.excludes.v4, reserved: &RESERVED.v4 };
        let omitted =
            unwanted.overlaps(spans).then(|| self.omitted.get_or_insert_default().v4(spans));
        let omitted_before = omitted.as_ref().map(OmittedSpans::len);
        let members = self.members.v4.spans_near(spans);
        let new = insert_new(spans, unwanted, members, omitted, &mut self.skipped);
        if let (Some(before), Some(omitted)) = (omitted_before, &mut self.omitted) {
            self.separate_ranges += omitted.v4(spans).len().saturating_sub(before + 1);
        }
        self.take_back_v4(&new);
        // An item that makes a single block does not count towards the limit.
        let is_split = new.len() > 1;
        for same_ports in new.chunk_by(|one, other| one.ports == other.ports) {
            let ports = same_ports[0].ports.clone();
            if same_ports.len() < RANGE_LIST_MIN {
                self.separate_ranges += if is_split { same_ports.len() } else { 0 };
                for span in same_ports {
                    self.push(BlockHosts::V4(span.first, span.last), ports.clone(), label);
                }
                continue;
            }
            let ranges = same_ports.iter().map(|span| (span.first, span.last));
            let (list, new_ranges) = self.range_lists.list(ranges);
            self.separate_ranges += new_ranges + 1;
            self.push(BlockHosts::Ranges(Box::new(list)), ports, label);
        }
    }

    fn add_name(&mut self, name: &Arc<str>, ports: &Ports, label: Option<&Arc<str>>) {
        let mut ports = ports.clone();
        let excluded_names = &self.excludes.names;
        if !excluded_names.is_empty()
            && let Some(excluded) = excluded_names.ports(&bare_name(name))
        {
            let kept = ports.without(excluded);
            let omitted = self.omitted.get_or_insert_default();
            omitted.add_name(name, &ports, excluded, &mut self.skipped);
            let Some(kept) = kept else { return };
            ports = kept;
        }
        let new = self.members.names.insert(normalized_name(name), &ports);
        let new_count = new.as_ref().map_or(0, Ports::len);
        add_count(&mut self.skipped.duplicates, ports.len() - new_count);
        if let Some(ports) = new {
            self.push(BlockHosts::Name(Arc::clone(name)), ports, label);
        }
    }

    /// Appends a block, or extends the last one if the new one continues it.
    fn push(&mut self, hosts: BlockHosts, ports: Ports, label: Option<&Arc<str>>) {
        let len_before = self.len;
        if let (Some(last), &BlockHosts::V4(first, end)) = (self.blocks.last_mut(), &hosts)
            && last.label.as_ref() == label
            && last.extend(first, end, &ports)
        {
            self.len = last.first.saturating_add(last.len());
            return;
        }
        self.compact_last(label);
        let block = Block { hosts, ports, label: label.cloned(), first: len_before };
        self.len = len_before.saturating_add(block.len());
        self.blocks.push(block);
    }

    /// Appends an IPv6 address that is the last of the list of hosts.
    fn push_v6_host(&mut self, position: usize, ports: Ports, label: Option<&Arc<str>>) {
        if let Some(last) = self.blocks.last_mut()
            && let BlockHosts::V6Hosts { start, count } = &mut last.hosts
            && *start + *count == position
            && last.ports.len() == ports.len()
            && last.label.as_ref() == label
        {
            *count += 1;
            self.len = last.first.saturating_add(last.len());
            return;
        }
        self.push(BlockHosts::V6Hosts { start: position, count: 1 }, ports, label);
    }

    /// Stores the last block compactly if it is a single IPv4 address: in the block before it, if that
    /// consists of such addresses, or in one that the next block may join if it has the same label.
    ///
    /// The last block itself is not compact, because the next item may extend it to a range.
    fn compact_last(&mut self, next_label: Option<&Arc<str>>) {
        let Some((last, others)) = self.blocks.split_last_mut() else { return };
        let BlockHosts::V4(address, end) = last.hosts else { return };
        if address != end {
            return;
        }
        if let Some(before) = others.last_mut()
            && let BlockHosts::V4Hosts { count, .. } = &mut before.hosts
            && before.ports.len() == last.ports.len()
            && before.label == last.label
            && self.hosts.push_v4(address, &last.ports).is_some()
        {
            *count += 1;
            self.blocks.pop();
        } else if last.label.as_ref() == next_label
            && let Some(start) = self.hosts.push_v4(address, &last.ports)
        {
            last.hosts = BlockHosts::V4Hosts { start, count: 1 };
        }
    }
}

impl FromStr for TargetSet {
    type Err = ItemError;

    /// Parses one item, as [`add`](Self::add) does. Without ports, they are 22 and 23.
    ///
    /// # Errors
    /// The item can't be parsed, or stands for more than 2^126 targets.
    fn from_str(item: &str) -> Result<Self, ItemError> {
        let mut set = Self::default();
        set.add(item, None, &Ports::ssh_and_telnet())?;
        if !set.can_be_indexed() {
            return Err(ItemError {
                column: 1,
                kind: ItemErrorKind::TooManyTargets(excerpt(item)),
            });
        }
        Ok(set)
    }
}

impl TryFrom<&str> for TargetSet {
    type Error = ItemError;

    /// Parses one item, as [`FromStr`] does.
    fn try_from(item: &str) -> Result<Self, ItemError> {
        item.parse()
    }
}

fn add_count(sum: &mut u128, count: usize) {
    *sum = sum.saturating_add(count as u128);
}
