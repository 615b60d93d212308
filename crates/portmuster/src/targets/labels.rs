//! Tells labels from text after a target that was probably meant as something else.
//!
//! Invariant: a word that looks like a port, a range, an option, a variable or another target is
//! never accepted as a label unless the user asks for it, because the run would then not check what
//! the word means.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::ipv4_mask_to_prefix;
use thiserror::Error;

use super::grammar::{self, ItemHosts, excerpt};

/// The text after a target that is not accepted as its label.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LabelErrorKind {
    /// The text begins with a port or a list of ports.
    #[error("{word:?} looks like a port: did you mean {meant}?")]
    Port {
        /// The text as written.
        word: String,
        /// The text that was probably meant.
        meant: String,
    },
    /// The text begins with a sign or a word between the ends of a range.
    #[error("{sign:?} looks like the sign of a range: did you mean {meant}?")]
    Range {
        /// The text as written.
        sign: String,
        /// The text that was probably meant.
        meant: String,
    },
    /// The text begins with the sign of a range, but does not make a valid range.
    #[error(
        "{sign:?} looks like the sign of a range, but a range is written 10.0.0.1-10.0.3.9; write one \
         target per line"
    )]
    NoRange {
        /// The text as written.
        sign: String,
    },
    /// The text begins with the prefix length or the mask of a network.
    #[error("{word:?} looks like the size of a network: did you mean {meant}?")]
    Network {
        /// The text as written.
        word: String,
        /// The text that was probably meant.
        meant: String,
    },
    /// The text begins with a command-line option.
    #[error(
        "{0:?} looks like an option, and lists have no options; write ports after a colon: \
         HOST:22,23"
    )]
    Option(String),
    /// The text contains a variable.
    #[error("{0:?} looks like a variable of an Ansible inventory")]
    Variable(String),
    /// The text contains another target.
    #[error("{0:?} looks like another target: write one target per line")]
    Target(String),
    /// The item is the name of a program, and the text its argument.
    #[error("{0:?} looks like a command; write a target: HOST:22, ssh://HOST or telnet://HOST")]
    Command(String),
    /// The line is one of nmap's normal output.
    #[error("this is nmap's normal output; use that of nmap -oX or nmap -oG")]
    NmapNormal,
}

/// Checks that the text after an item is a label.
///
/// # Errors
/// A word looks like something else. The error contains the word's index in the label, in
/// characters from 0.
pub(super) fn check(item: &str, label: &str) -> Result<(), (usize, LabelErrorKind)> {
    if matches!((item, label.get(..5)), ("Nmap", Some("scan ")) | ("Starting", Some("Nmap "))) {
        return Err((0, LabelErrorKind::NmapNormal));
    }
    if item.len() <= 6 && COMMANDS.iter().any(|command| item.eq_ignore_ascii_case(command)) {
        return Err((0, LabelErrorKind::Command(format!("{item} {}", excerpt(label)))));
    }
    if has_only_words(label) {
        return Ok(());
    }
    let mut words = words(label);
    if let Some((_, first)) = words.next() {
        let second = words.next().map(|(_, word)| word);
        check_first_word(item, first, second).map_err(|error| (0, error))?;
    }
    for (start, word) in self::words(label) {
        if let Some(error) = check_word(word) {
            return Err((label[..start].chars().count(), error));
        }
    }
    Ok(())
}

/// Programs that take a host as their first argument.
const COMMANDS: [&str; 5] = ["ssh", "telnet", "nc", "ncat", "netcat"];
/// Words that have a meaning as the first word of a label.
const KEYWORDS: [&str; 8] = ["ssh", "telnet", "port", "ports", "to", "through", "thru", "until"];

/// Returns whether the bytes of the label show that it is valid. Most labels are, as they are plain
/// words.
fn has_only_words(label: &str) -> bool {
    let first = label.split([' ', ',']).next().unwrap_or_default();
    let is_keyword = |keyword: &&str| first.eq_ignore_ascii_case(keyword);
    label.is_ascii()
        && first.starts_with(|first: char| first.is_ascii_alphabetic())
        && !label.bytes().any(|byte| b".:=[/;\t".contains(&byte))
        && !KEYWORDS.iter().any(is_keyword)
}

/// Iterates over the words of a text, each with its index in bytes.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

/// Checks the first word of a label, which may continue the item.
fn check_first_word(item: &str, first: &str, second: Option<&str>) -> Result<(), LabelErrorKind> {
    let word = excerpt(first);
    let bare = first.trim_matches(['(', ')', ',', ';', '"', '\'']);
    if let Some(list) = port_list(bare) {
        return Err(LabelErrorKind::Port { word, meant: with_ports(item, list) });
    }
    if matches!(first.to_ascii_lowercase().as_str(), "port" | "ports" | "port:" | "ports:")
        && let Some(list) = second.and_then(port_list)
    {
        let word = excerpt(&format!("{first} {list}"));
        return Err(LabelErrorKind::Port { word, meant: with_ports(item, list) });
    }
    if is_range_sign(first) {
        return Err(range_error(item, word, second));
    }
    if first.starts_with('-') {
        return Err(LabelErrorKind::Option(word));
    }
    if let Some(prefix) = prefix_length(item, first) {
        return Err(LabelErrorKind::Network { word, meant: excerpt(&format!("{item}/{prefix}")) });
    }
    Ok(())
}

/// Returns the list of ports in a word such as `22`, `22,23`, `22-25`, `:22`, `22/tcp`, `tcp/22` or
/// `ssh`.
fn port_list(word: &str) -> Option<&str> {
    let lower = |text: &str| text.to_ascii_lowercase();
    let is_protocol = |text: &str| matches!(lower(text).as_str(), "tcp" | "udp" | "ssh" | "telnet");
    let word = word.strip_prefix(':').unwrap_or(word);
    let list = match word.split_once(['/', ':']) {
        Some((list, after)) if is_protocol(after) => list,
        Some((before, list)) if is_protocol(before) => list,
        Some(_) => return None,
        None => word,
    };
    let is_number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number with more digits than a port has is something else.
        digits && text.trim_start_matches('0').len() <= 5
    };
    let is_port = |text: &str| match text.split_once('-') {
        Some((low, high)) => is_number(low) && is_number(high),
        None => is_number(text) || matches!(lower(text).as_str(), "ssh" | "telnet"),
    };
    list.split(',').all(is_port).then_some(list)
}

/// Returns the item with these ports added.
fn with_ports(item: &str, list: &str) -> String {
    let parsed = grammar::parse(item);
    let has_ports = parsed.is_ok_and(|parsed| parsed.ports.is_some());
    let list = list.to_ascii_lowercase();
    if has_ports {
        return excerpt(&format!("{item},{list}"));
    }
    if item.contains(':') && !item.starts_with('[') {
        return excerpt(&format!("[{item}]:{list}"));
    }
    excerpt(&format!("{item}:{list}"))
}

fn is_range_sign(word: &str) -> bool {
    let signs =
        ["-", "--", "->", "\u{2013}", "\u{2014}", "\u{2212}", "\u{2192}", "\u{2026}", "..", "..."];
    let words = ["to", "through", "thru", "until"];
    signs.contains(&word) || words.iter().any(|sign| word.eq_ignore_ascii_case(sign))
}

/// Returns the error for the sign of a range after an item.
fn range_error(item: &str, sign: String, last: Option<&str>) -> LabelErrorKind {
    let meant = format!("{item}-{}", last.unwrap_or_default());
    let is_range = grammar::parse(&meant)
        .is_ok_and(|parsed| matches!(parsed.hosts, ItemHosts::Range(_) | ItemHosts::Ranges(_)));
    if is_range {
        return LabelErrorKind::Range { sign, meant: excerpt(&meant) };
    }
    LabelErrorKind::NoRange { sign }
}

/// Returns the prefix length of `/24` or `255.255.255.0` if the item is an address.
fn prefix_length(item: &str, word: &str) -> Option<u8> {
    let address: IpAddr = item.parse().ok()?;
    if let Some(prefix) = word.strip_prefix('/') {
        let max = if address.is_ipv4() { 32 } else { 128 };
        return prefix.parse().ok().filter(|prefix| *prefix <= max);
    }
    let mask: Ipv4Addr = word.parse().ok()?;
    let prefix = ipv4_mask_to_prefix(mask).ok()?;
    (address.is_ipv4() && prefix > 0).then_some(prefix)
}

/// Returns the error for a word that is a variable or a target.
fn check_word(word: &str) -> Option<LabelErrorKind> {
    let bare = without_marks(word);
    if is_variable(bare) {
        return Some(LabelErrorKind::Variable(excerpt(bare)));
    }
    is_target(bare).then(|| LabelErrorKind::Target(excerpt(bare)))
}

/// Returns a word without the punctuation of any script around it, but for what a target begins or ends
/// with.
fn without_marks(word: &str) -> &str {
    let is_mark = |mark: char| !mark.is_alphanumeric() && !"[]:.-*/_".contains(mark);
    let bare = word.trim_matches(is_mark);
    match (bare.contains('['), bare.contains(']')) {
        (true, false) => bare.trim_start_matches('['),
        (false, true) => bare.trim_end_matches(']'),
        _ => bare,
    }
}

fn is_variable(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| {
        key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    })
}

fn is_target(word: &str) -> bool {
    if word.contains("://") {
        return true;
    }
    if let Some((inner, rest)) = word.strip_prefix('[').and_then(|word| word.split_once(']')) {
        return rest.starts_with(':') || inner.parse::<Ipv6Addr>().is_ok();
    }
    // An e-mail address is a label, but the host of an e-mail address is never an IP address.
    if let Some((_, host)) = word.rsplit_once('@')
        && is_numeric(host.split(':').next().unwrap_or(host))
    {
        return true;
    }
    if let Some((host, ports)) = word.rsplit_once(':')
        && !host.contains(':')
    {
        let has_ports = !ports.is_empty() && !ports.starts_with(':') && port_list(ports).is_some();
        return has_ports && grammar::parse(host).is_ok();
    }
    if word.contains(':') {
        let address = word.split(['/', '%', '-']).next().unwrap_or(word);
        let has_digits = address.bytes().any(|byte| byte.is_ascii_hexdigit());
        return has_digits && address.parse::<Ipv6Addr>().is_ok();
    }
    is_numeric(word) || is_dotted_name(word)
}

/// Returns whether a word can only be meant as an IPv4 address, a network or a range, valid or not.
fn is_numeric(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || b".-,*/".contains(&byte);
    let dots = word.bytes().filter(|byte| *byte == b'.').count();
    dots >= 3 && word.starts_with(|first: char| first.is_ascii_digit()) && word.bytes().all(is_part)
}

/// Returns whether a word is a host name with a domain whose last part has at least two characters and
/// begins with a letter.
fn is_dotted_name(word: &str) -> bool {
    let name = word.trim_end_matches('.');
    let Some((_, last)) = name.rsplit_once('.') else { return false };
    let is_name =
        || matches!(grammar::parse(name), Ok(item) if matches!(item.hosts, ItemHosts::Name(_)));
    last.starts_with(char::is_alphabetic) && last.chars().count() > 1 && is_name()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_a_label() {
        for label in [
            "core sw 1",
            "core-sw1",
            "rack 12, unit 22",
            "printer",
            "2nd floor",
            "v1.2",
            "(see e.g. etc.)",
            "ops@b.example",
            "[prod]",
            "aa:bb:cc:dd:ee:ff",
            "12:30 asset 4711",
            "4711235",
            "1.0-rc1",
            "note: old",
            "b",
        ] {
            assert_eq!(check("10.0.0.5", label), Ok(()), "{label}");
        }
    }

    proptest! {
        #[test]
        fn labels_with_only_words_pass_every_check(
            label in "(ssh|To|port|[a-z0-9.:=/-]{1,6}|[a-zA-Z0-9]{1,6})([ ,;\t]|, ){1}[a-z0-9 .:=,/\\[\\]-]{0,12}",
        ) {
            if has_only_words(&label) {
                let mut words = words(&label).map(|(_, word)| word);
                let (first, second) = (words.next().unwrap_or_default(), words.next());
                prop_assert_eq!(check_first_word("a", first, second), Ok(()));
                prop_assert!(self::words(&label).all(|(_, word)| check_word(word).is_none()));
            }
        }
    }

    #[test]
    fn text_with_another_meaning_is_refused_with_a_suggestion() {
        for (item, label, expected_index, part) in [
            ("127.0.9.1", "2222", 0, "did you mean 127.0.9.1:2222?"),
            ("127.0.9.1", "22,23 core", 0, "did you mean 127.0.9.1:22,23?"),
            ("127.0.9.1", "22-25", 0, "did you mean 127.0.9.1:22-25?"),
            ("127.0.9.1", ":22", 0, "did you mean 127.0.9.1:22?"),
            ("127.0.9.1", "22/tcp open", 0, "did you mean 127.0.9.1:22?"),
            ("127.0.9.1", "tcp/22", 0, "did you mean 127.0.9.1:22?"),
            ("127.0.9.1", "ssh", 0, "did you mean 127.0.9.1:ssh?"),
            ("127.0.9.1", "Telnet,ssh", 0, "did you mean 127.0.9.1:telnet,ssh?"),
            (
                "127.0.9.1",
                "port 22",
                0,
                "\"port 22\" looks like a port: did you mean 127.0.9.1:22?",
            ),
            ("127.0.9.1:22", "23", 0, "did you mean 127.0.9.1:22,23?"),
            ("2001:db8::1", "22", 0, "did you mean [2001:db8::1]:22?"),
            ("127.0.9.1", "- 127.0.9.5", 0, "did you mean 127.0.9.1-127.0.9.5?"),
            ("127.0.9.1", "to 127.0.9.5", 0, "did you mean 127.0.9.1-127.0.9.5?"),
            ("127.0.9.1", "\u{2013} 127.0.9.5", 0, "did you mean 127.0.9.1-127.0.9.5?"),
            ("127.0.9.1", ".. 5", 0, "did you mean 127.0.9.1-5?"),
            ("a", "- b", 0, "write one target per line"),
            ("a", "to b", 0, "write one target per line"),
            ("10.0.0.0", "255.255.255.0", 0, "did you mean 10.0.0.0/24?"),
            ("10.0.0.0", "/24", 0, "did you mean 10.0.0.0/24?"),
            ("a", "-p 22", 0, "looks like an option"),
            ("a", "--ports=22", 0, "looks like an option"),
            ("inst1", "ansible_host=127.0.9.1", 0, "a variable of an Ansible inventory"),
            ("open", "tcp 22 127.0.9.1 1700000000", 7, "write one target per line"),
            ("Nmap", "scan report for 127.0.9.1", 0, "use that of nmap -oX or nmap -oG"),
            ("Starting", "Nmap 7.93 ( https://nmap.org )", 0, "use that of nmap -oX or nmap -oG"),
            ("a:22", "b:23", 0, "looks like another target: write one target per line"),
            ("a", "core b.example", 5, "\"b.example\" looks like another target"),
            ("a", "core b.example.", 5, "looks like another target"),
            ("a", "[10.9.0.77;", 0, "\"10.9.0.77\" looks like another target"),
            ("a", "\u{ff0c}[fd00:9::77]:23", 0, "looks like another target"),
            ("a", "\u{205f}\u{201c}10.9.0.1]\u{201d}", 1, "looks like another target"),
            ("a", "b.rack1", 0, "looks like another target"),
            ("a", "(10.0.0.0/24)", 0, "looks like another target"),
            ("a", "10.0.0.1-5,", 0, "looks like another target"),
            ("a", "x 10.0.0.300", 2, "looks like another target"),
            ("a", "x 10.0.0.1,22", 2, "looks like another target"),
            ("a", "2001:db8::1", 0, "looks like another target"),
            ("a", "x [2001:db8::1]:22", 2, "looks like another target"),
            ("a", "x [b]:22", 2, "looks like another target"),
            ("a", "(22)", 0, "did you mean a:22?"),
            ("ssh", "root@a.example", 0, "\"ssh root@a.example\" looks like a command"),
            ("telnet", "a 23", 0, "looks like a command"),
            ("x", "root@10.0.0.1:22", 0, "looks like another target"),
            ("a", "http://wiki", 0, "looks like another target"),
            ("a", "\u{fc}ber \u{fc}.example", 5, "looks like another target"),
        ] {
            let (index, error) = check(item, label).expect_err(label);
            assert!(error.to_string().contains(part), "{item} {label}: {error}");
            assert_eq!(index, expected_index, "{item} {label}: {error}");
        }
    }
}
