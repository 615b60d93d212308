//! Errors of an item. Each message says what to type instead.

use thiserror::Error;

use super::quote::excerpt;
use crate::targets::ports::PortsErrorKind;

/// An item that can't be parsed: the problem and its column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {kind}")]
pub struct ItemError {
    pub(in crate::targets) column: usize,
    pub(in crate::targets) kind: ItemErrorKind,
}

/// The problem of an item that can't be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ItemErrorKind {
    /// The item has no host.
    #[error("a host is missing")]
    NoHost,
    /// The host ends in a number, so it can't be a name (RFC 1123 §2.1), and is not an IPv4
    /// address.
    #[error("{0:?} is not an IPv4 address: write four numbers from 0 to 255")]
    Ipv4(String),
    /// The host contains colons and is not an IPv6 address.
    #[error("{0:?} is not an IPv6 address; to add a port, use brackets: [2001:db8::1]:22")]
    Ipv6(String),
    /// An IPv6 address whose last group may be meant as a port.
    #[error(
        "{address}:{port} is ambiguous: for port {port} of {address}, write [{address}]:{port}; for the \
             address, [{address}:{port}]"
    )]
    AddressOrPort {
        /// The address before the last colon.
        address: String,
        /// The group after it.
        port: String,
    },
    /// A bracket is not closed.
    #[error("the bracket is not closed: write an IPv6 address with a port as [2001:db8::1]:22")]
    UnclosedBracket,
    /// The brackets contain something other than an IPv6 address.
    #[error("{0:?} is not an IPv6 address, and only an IPv6 address may be in brackets")]
    Bracketed(String),
    /// The closing bracket is followed by something other than ports.
    #[error("only a colon and ports may come after the closing bracket: [2001:db8::1]:22")]
    AfterBracket,
    /// Ports follow a second colon.
    #[error("{text:?} has two colons; separate ports with commas: {meant}")]
    TwoColons {
        /// The text as written.
        text: String,
        /// The text that was probably meant.
        meant: String,
    },
    /// The item consists of several targets, separated by commas or similar characters.
    #[error("{text:?} contains several targets: separate them with spaces, as in {meant}")]
    Several {
        /// The text as written.
        text: String,
        /// The text that was probably meant.
        meant: String,
    },
    /// An address, one comma and a number, which may be an octet or a port.
    #[error(
        "{address},{number} is ambiguous: for the addresses, write {address} and {other}; for a \
         port, {address}:{number}"
    )]
    OctetOrPort {
        /// The address before the comma.
        address: String,
        /// The number after it.
        number: String,
        /// The address whose last octet would be the number.
        other: String,
    },
    /// An address, one comma and a number that is too large for an octet.
    #[error("{number} is too large for an IPv4 address; for a port, write {address}:{number}")]
    CommaPort {
        /// The address before the comma.
        address: String,
        /// The number after it.
        number: String,
    },
    /// A character that separates targets or the columns of a table.
    #[error(
        "{0:?} is not allowed here: write one target per line; commas separate ports \
         (10.0.0.1:22,23) and the numbers of an IPv4 address (10.0.0.1,3,5)"
    )]
    Separator(char),
    /// The prefix length of a network is not a number, or it is too large.
    #[error("/{prefix} is not a prefix length: {family} allows 0 to {max}")]
    Prefix {
        /// The text as written.
        prefix: String,
        /// The greatest prefix length of the family.
        max: u8,
        /// `IPv4` or `IPv6`.
        family: &'static str,
    },
    /// A mask follows the address of a network in the place of the prefix length.
    #[error("the size of a network is written as its prefix length: /{prefix} instead of /{mask}")]
    Mask {
        /// The mask as written.
        mask: String,
        /// The prefix length that it stands for.
        prefix: u8,
    },
    /// A prefix length follows something other than an address.
    #[error("{0:?} is not an address, so it can't have a prefix length")]
    PrefixOfName(String),
    /// The range is not valid.
    #[error(
        "{0:?} is not a range: write 10.0.0.1-10.0.3.9, 10.0.0-3.1-254, 10.0.0.1,3,5 or 10.0.0.*, \
         with numbers from 0 to 255"
    )]
    Range(String),
    /// The range is written with a sign other than `-`.
    #[error("a range is written with '-': did you mean {0}?")]
    RangeSign(String),
    /// The range ends before it starts.
    #[error("the range {0:?} ends before it starts")]
    Backwards(String),
    /// The item stands for too many separate ranges.
    #[error("{0:?} stands for more than 65,536 separate ranges; split it into several items")]
    TooManyRanges(String),
    /// The set has as many separate ranges as it may have.
    #[error(
        "adding {0:?} would split the targets into more than 4,194,304 separate ranges; write the \
         ports of the same addresses on one line (10.0-3.0.1:22,23), or check the list in parts"
    )]
    TooManySetRanges(String),
    /// The item stands for more targets than a set can index.
    #[error("{0:?} stands for more than 2^126 targets; name a smaller network")]
    TooManyTargets(String),
    /// A single target has no port.
    #[error("a port is missing: write HOST:PORT, such as db.example:22 or [2001:db8::1]:22")]
    NoPort,
    /// A single target is wanted, and the item stands for several or none.
    #[error("{0:?} is not a single target: write one host and one port, HOST:PORT")]
    NotSingle(String),
    /// The scheme of the URL is neither ssh nor telnet.
    #[error(
        "only ssh:// and telnet:// URLs are supported, not {scheme}://; for the host alone, write \
         {meant}"
    )]
    Scheme {
        /// The scheme that was written.
        scheme: String,
        /// The host, with the port if there was one.
        meant: String,
    },
    /// The URL has a path, a query or a fragment.
    #[error("a URL must end after the host and port: write {0}")]
    UrlPath(String),
    /// A user name precedes the host.
    #[error("a target has no user name: write {0}")]
    User(String),
    /// The item is the dash of a YAML list.
    #[error(
        "the dash marks a list item of YAML and is not part of a target: remove it. For an Ansible \
         inventory in YAML, use the output of `ansible-inventory -i FILE --list`"
    )]
    YamlDash,
    /// A label of a name begins or ends with `-` (RFC 952, RFC 1123 §2.1).
    #[error("{0:?} is not a host name: no part of a name begins or ends with '-'")]
    Hyphen(String),
    /// A character that no host name contains.
    #[error("{0:?} is not allowed in a host name: use letters, digits, '-', '_' and '.'")]
    Character(char),
    /// An international name that has no ASCII form (UTS 46).
    #[error("{0:?} is not a valid international name: it has no xn-- form")]
    International(String),
    /// A name or one of its labels is empty or too long (RFC 1035 §2.3.4).
    #[error(
        "{0:?} is not a host name: each part must have 1 to 63 characters, the name at most 253"
    )]
    Name(String),
    /// Nothing follows the colon of a name, as after a key of YAML.
    #[error(
        "a port is missing after {0:?}; for an Ansible inventory in YAML, use the output of \
         `ansible-inventory -i FILE --list`"
    )]
    YamlKey(String),
    /// The ports can't be parsed.
    #[error(transparent)]
    Ports(#[from] PortsErrorKind),
}

impl ItemError {
    /// Returns the column of the problem, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns the problem.
    #[must_use]
    pub fn kind(&self) -> &ItemErrorKind {
        &self.kind
    }

    /// Returns the problem, without its column.
    #[must_use]
    pub fn into_kind(self) -> ItemErrorKind {
        self.kind
    }

    /// The error of an item that a set with too many separate ranges refuses.
    pub(in crate::targets) fn too_many_set_ranges(item: &str) -> Self {
        Self { column: 1, kind: ItemErrorKind::TooManySetRanges(excerpt(item)) }
    }
}
