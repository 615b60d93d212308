//! Why an item can't be read, in words that say what to type instead.

use thiserror::Error;

use super::super::PortsError;

/// What can't be read in an item, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct ItemError {
    /// The character at which it can't be read, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ItemErrorKind,
}

/// Why an item can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ItemErrorKind {
    /// The item has no host.
    #[error("a host is missing")]
    NoHost,
    /// It ends in a number, so it is no name (RFC 1123 §2.1), but it is no IPv4 address either.
    #[error("{0:?} is not an IPv4 address: it wants four numbers from 0 to 255")]
    Ipv4(String),
    /// It has colons, but is no IPv6 address.
    #[error("{0:?} is not an IPv6 address; a port goes behind brackets: [2001:db8::1]:22")]
    Ipv6(String),
    /// A bracket is not closed.
    #[error("the bracket is not closed: an IPv6 address with a port is [2001:db8::1]:22")]
    Bracket,
    /// The brackets hold something other than an IPv6 address.
    #[error(
        "{0:?} is not an IPv6 address, and brackets take nothing else; an ansible inventory is \
         read with --input-format ansible"
    )]
    Bracketed(String),
    /// Something other than a port stands behind the brackets.
    #[error("behind the brackets comes nothing, or a colon and ports")]
    BehindBracket,
    /// Ports stand behind a second colon.
    #[error("{text:?} has two colons; ports stand behind one, with commas between them: {meant}")]
    TwoColons {
        /// What was written.
        text: String,
        /// What was probably meant.
        meant: String,
    },
    /// Several targets with commas or the like between them.
    #[error(
        "{text:?} are several targets; write each by itself: {meant} (on a line of its own, or \
         with --input-format list on the same line)"
    )]
    Several {
        /// What was written.
        text: String,
        /// What was probably meant.
        meant: String,
    },
    /// An address, one comma and a lone number, which may be an octet or a port.
    #[error(
        "{address},{number} may be the addresses {address} and {other} (write both), or a port \
         (write {address}:{number}), or a row of CSV (--input-format csv)"
    )]
    OctetOrPort {
        /// The address before the comma.
        address: String,
        /// The number behind it.
        number: String,
        /// The address of which the number would be the last octet.
        other: String,
    },
    /// An address, one comma and a number that is too high for an octet.
    #[error(
        "{number} is not the last number of an IPv4 address; for a port write {address}:{number}, \
         for CSV say --input-format csv"
    )]
    CommaPort {
        /// The address before the comma.
        address: String,
        /// The number behind it.
        number: String,
    },
    /// A character that separates the columns of a table.
    #[error(
        "{0:?} can't stand here: one target stands on a line (--input-format list reads several, \
         with white space between them), commas stand between ports (10.0.0.1:22,23) and between \
         the numbers of an IPv4 address (10.0.0.1,3,5), and CSV is read with --input-format csv"
    )]
    Separator(char),
    /// The length of a network's prefix can't be.
    #[error("/{prefix} is not a prefix length: it goes from 0 to {most} for {family}")]
    Prefix {
        /// What was written.
        prefix: String,
        /// The longest prefix.
        most: u8,
        /// IPv4 or IPv6.
        family: &'static str,
    },
    /// A network behind something that is no address.
    #[error("{0:?} is not an address, so it can't have a prefix length")]
    PrefixOfName(String),
    /// A range of addresses that is none.
    #[error(
        "{0:?} is not a range: 10.0.0.1-10.0.3.9, or 10.0.0-3.1-254 or 10.0.0.1,3,5 or 10.0.0.* \
         with parts from 0 to 255"
    )]
    Range(String),
    /// A range of addresses with a sign other than `-`.
    #[error("a range is written with '-': did you mean {0}?")]
    RangeSign(String),
    /// A range that ends before it starts.
    #[error("the range {0:?} ends before it starts")]
    Backwards(String),
    /// Parts that make more separate ranges than an item may stand for.
    #[error("{0:?} makes more than 65,536 separate ranges; write it as several items")]
    TooManyRanges(String),
    /// The set has as many ranges that stand apart as it may have.
    #[error(
        "with {0:?} the targets would make more than 4,194,304 separate ranges; write the ports of \
         the same addresses on one line (10.0-3.0.1:22,23), or check the list in parts"
    )]
    TooManyPieces(String),
    /// A URL of a scheme that is neither ssh nor telnet.
    #[error(
        "of URLs only ssh:// and telnet:// are read, not {scheme}://; for the host alone write \
         {meant}"
    )]
    Scheme {
        /// The scheme that was written.
        scheme: String,
        /// The host, with the port if there was one.
        meant: String,
    },
    /// A URL that says more than where.
    #[error("behind host and port of a URL comes nothing: write {0}")]
    UrlPath(String),
    /// A user's name before the host.
    #[error("a target has no user: write {0}")]
    User(String),
    /// The dash of a list in YAML.
    #[error(
        "the dash marks a list item in YAML and is no part of a target: remove it. For an ansible \
         inventory in YAML read what `ansible-inventory -i FILE --list` writes, with --input-format \
         ansible"
    )]
    YamlDash,
    /// A part of a name begins or ends with `-` (RFC 952, RFC 1123 §2.1).
    #[error("{0:?} is not a host name: no part of one begins or ends with '-'")]
    Hyphen(String),
    /// A character that no host name has.
    #[error("{0:?} can't be part of a host name (letters, digits, '-', '_' and '.')")]
    Character(char),
    /// A name beyond ASCII that has no xn-- form (UTS 46).
    #[error("{0:?} is not an international name: it has no xn-- form")]
    International(String),
    /// A name or a part of it is empty or too long (RFC 1035 §2.3.4).
    #[error("{0:?} is not a host name: its parts have 1 to 63 characters, in all at most 253")]
    Name(String),
    /// Nothing stands behind the colon of a name, as behind a key of YAML.
    #[error(
        "a port is missing behind {0:?}; for an ansible inventory in YAML read what \
         `ansible-inventory -i FILE --list` writes, with --input-format ansible"
    )]
    YamlKey(String),
    /// The ports can't be read.
    #[error(transparent)]
    Ports(#[from] PortsError),
}
