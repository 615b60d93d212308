//! Limits on lists of targets and on sets of them.

/// The maximum number of bytes of a line in a list. The longest item, a name with many ports, is
/// far shorter.
pub(super) const LINE_MAX: usize = 4096;

/// The maximum number of separate ranges of a set that come from items with several ranges, or from
/// ranges that other items split. Each takes up to 100 bytes.
pub(super) const SET_RANGES_MAX: usize = 1 << 22;

/// The maximum number of ports with which a set keeps a single address apart from its spans.
pub(super) const APART_PORTS_MAX: usize = 8;
