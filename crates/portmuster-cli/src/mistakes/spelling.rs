//! Targets that are written in another way than portmuster reads them.

use std::net::IpAddr;

use portmuster::targets::ItemErrorKind;

use super::{edit::Edit, ports, targets::error};
use crate::{command_line::CommandLine, input::describe_argument_kind};

/// Characters that are written between targets.
const SEPARATORS: [char; 5] = [',', ';', '|', ' ', '\t'];

/// Maximum number of targets that a pattern of a shell stands for here.
const PATTERN_MAX: usize = 16;

/// Finds a target in the notation of another program, or with a small mistake.
pub(super) fn other_notation(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let (index, word, kind, meant) = line.operands().find_map(|(index, word)| {
        let kind = error(word)?;
        let meant = meant(word, &kind)?;
        Some((index, word, kind, meant))
    })?;
    let reason = match meant[..] {
        [_] => format!("target {word:?}: {}", describe_argument_kind(&kind)),
        _ => format!("{word:?} contains several targets: separate them with spaces"),
    };
    Some(Edit::new(reason, line.replaced(index, 1, meant)))
}

/// Finds several entries to exclude in one value.
pub(super) fn joined_excludes(line: &CommandLine) -> Option<Edit> {
    let (value, text, parts) = line.values("exclude").find_map(|(value, text)| {
        let kind = error(text)?;
        Some((value, text, meant(text, &kind)?))
    })?;
    if let [part] = &parts[..] {
        let reason = format!("--exclude {text:?}: write {part}");
        return Some(Edit::new(reason, line.with_value(value, part)));
    }
    let options = parts.into_iter().flat_map(|part| ["--exclude".to_owned(), part]);
    let words = line.without_option(value, options.collect::<Vec<_>>());
    Some(Edit::new(format!("{text:?} is several entries: repeat --exclude for each"), words))
}

/// Finds an address and the size of its network, or the ends of a range, as separate words.
pub(super) fn separate_words(line: &CommandLine) -> Option<Edit> {
    line.command().filter(|_| line.has_targets())?;
    let operands: Vec<_> = line.operands().collect();
    let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
    let joined = |words: &[(usize, &str)]| {
        let (first, _) = *words.first()?;
        let are_neighbours = (first..).zip(words).all(|(index, (word, _))| index == *word);
        let meant = match *words {
            [(_, address), (_, size)] if size.starts_with('/') => format!("{address}{size}"),
            [(_, start), (_, sign), (_, end)] if is_sign(sign) && is_address(end) => {
                format!("{start}-{end}")
            }
            _ => return None,
        };
        let is_meant = are_neighbours && is_address(words[0].1) && error(&meant).is_none();
        is_meant.then_some((first, words.len(), meant))
    };
    let pairs = operands.windows(2).find_map(joined);
    let (first, count, meant) = pairs.or_else(|| operands.windows(3).find_map(joined))?;
    let typed = line.words()[first..first + count].join(" ");
    let reason = format!("{typed:?} is one target, which contains no spaces");
    Some(Edit::new(reason, line.replaced(first, count, [meant])))
}

/// Returns whether a word is written between the ends of a range.
fn is_sign(word: &str) -> bool {
    ["-", "to"].contains(&word) || ports::RANGE_SIGNS.contains(&word)
}

/// Returns the targets that a word with an error means; `None`: that is unknown.
fn meant(word: &str, kind: &ItemErrorKind) -> Option<Vec<String>> {
    let single = match kind {
        ItemErrorKind::Scheme { .. } => authority(word).map(|(_, host)| host.to_owned()),
        ItemErrorKind::UrlPath(_) => {
            authority(word).map(|(scheme, host)| format!("{scheme}://{host}"))
        }
        ItemErrorKind::User(_) if !word.contains(SEPARATORS) => {
            word.rsplit_once('@').map(|(_, host)| host.to_owned())
        }
        ItemErrorKind::TwoColons { .. } => ports_after_colons(word),
        ItemErrorKind::RangeSign(_) => with_plain_range(word),
        ItemErrorKind::Mask { mask, prefix } => {
            Some(word.replacen(&format!("/{mask}"), &format!("/{prefix}"), 1))
        }
        ItemErrorKind::CommaPort { address, number } => Some(format!("{address}:{number}")),
        ItemErrorKind::Bracketed(_) => Some(word.replace(['[', ']'], "")),
        ItemErrorKind::AfterBracket => {
            word.split_once(']').map(|(v6, rest)| format!("{v6}]:{rest}"))
        }
        ItemErrorKind::Ipv6(_) | ItemErrorKind::Prefix { .. } => port_after_address(word),
        ItemErrorKind::Ipv4(_) => {
            complete_network(word).or_else(|| word.strip_suffix('.').map(str::to_owned))
        }
        ItemErrorKind::YamlKey(_) => Some(word.trim_end_matches(':').to_owned()),
        ItemErrorKind::Ports(_) => with_other_ports(word),
        _ => None,
    };
    let quotes = || Some(vec![unquoted(word)?.to_owned()]);
    let meant = single.map(|meant| vec![meant]).filter(|meant| are_targets(meant));
    meant
        .or_else(|| several(word).filter(|meant| are_targets(meant)))
        .or_else(|| pattern(word).filter(|meant| are_targets(meant)))
        .or_else(|| quotes().filter(|meant| are_targets(meant)))
}

fn are_targets(words: &[String]) -> bool {
    !words.is_empty() && words.iter().all(|word| error(word).is_none())
}

/// Returns the scheme of a URL, and its host with the port.
fn authority(word: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = word.split_once("://")?;
    let with_user = rest.split(['/', '?', '#']).next()?;
    let host = with_user.rsplit_once('@').map_or(with_user, |(_, host)| host);
    Some((scheme, host))
}

/// Returns the parts of a word that contains several targets, each without a user name.
fn several(word: &str) -> Option<Vec<String>> {
    let parts = word.split(SEPARATORS);
    let parts = parts.map(str::trim).filter(|part| !part.is_empty());
    let is_url = |part: &str| part.contains("://");
    let without_user = |part: &str| match part.rsplit_once('@') {
        Some((_, host)) if !is_url(part) => host.to_owned(),
        _ => part.to_owned(),
    };
    let parts: Vec<_> = parts.map(without_user).collect();
    // Numbers alone are ports or octets.
    let is_host = |part: &String| {
        part.contains(|it: char| it.is_ascii_alphabetic() || it == '.' || it == ':')
    };
    parts.iter().all(is_host).then_some(parts)
}

/// Returns a range of addresses with `-` in the place of another sign.
fn with_plain_range(word: &str) -> Option<String> {
    let sign = ports::RANGE_SIGNS.iter().find(|sign| word.contains(**sign))?;
    Some(word.replacen(sign, "-", 1))
}

/// Returns the host and the ports of `host:22:23`.
fn ports_after_colons(word: &str) -> Option<String> {
    let (host, rest) = word.split_once(':')?;
    Some(format!("{host}:{}", rest.trim_matches(':').replace(':', ",")))
}

/// Returns an IPv6 address that a port follows, with brackets.
fn port_after_address(word: &str) -> Option<String> {
    if word.contains(']') {
        return Some(format!("[{word}"));
    }
    let (address, port) = word.rsplit_once(':')?;
    Some(format!("[{address}]:{port}"))
}

/// Returns a network whose address lacks octets, which must all be zero.
fn complete_network(word: &str) -> Option<String> {
    let (address, prefix) = word.split_once('/')?;
    let octets = address.trim_end_matches('.').split('.').count();
    let length: usize = prefix.parse().ok()?;
    let missing = ".0".repeat(4_usize.checked_sub(octets)?);
    (length <= 8 * octets).then(|| format!("{}{missing}/{prefix}", address.trim_end_matches('.')))
}

/// Returns a target whose ports are in another notation.
fn with_other_ports(word: &str) -> Option<String> {
    let (host, list) = word.rsplit_once(':')?;
    Some(format!("{host}:{}", ports::meant(list)?.list))
}

/// Returns the targets of a pattern of a shell, such as `10.0.0.[1-3]`, `10.0.0.{1,2}` or
/// `10.0.0.{1..3}`.
fn pattern(word: &str) -> Option<Vec<String>> {
    let is_v6 = word.starts_with('[') || word.matches(':').count() > 1;
    if !word.contains(['[', '{']) || is_v6 {
        return None;
    }
    let braces = word.split_once('{').and_then(|(start, rest)| {
        let (list, end) = rest.split_once('}')?;
        Some((start, list, end))
    });
    let is_numeric = |byte: u8| byte.is_ascii_digit() || b".,-:[]{}".contains(&byte);
    let targets: Vec<_> = match braces.filter(|(_, list, _)| list.contains(',')) {
        Some((start, list, end)) => list
            .split(',')
            .map(|part| format!("{start}{part}{end}"))
            .take(PATTERN_MAX + 1)
            .collect(),
        None if word.bytes().all(is_numeric) => {
            vec![word.replace(['[', ']', '{', '}'], "").replace("..", "-")]
        }
        None => numbered(word)?,
    };
    (targets.len() <= PATTERN_MAX).then_some(targets)
}

/// Returns the names of a pattern such as `web[1-3]` or `web{1..3}`.
fn numbered(word: &str) -> Option<Vec<String>> {
    let (start, rest) = word.split_once(['[', '{'])?;
    let (range, end) = rest.split_once([']', '}'])?;
    let (first, last) = range.split_once("..").or_else(|| range.split_once('-'))?;
    let is_number = |text: &str| !text.starts_with('0') && text.len() <= 4;
    let (first, last) = Some((first, last)).filter(|(a, b)| is_number(a) && is_number(b))?;
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    Some(
        (first..=last)
            .map(|number| format!("{start}{number}{end}"))
            .take(PATTERN_MAX + 1)
            .collect(),
    )
}

/// Returns a word without quotation marks and brackets around it; `None`: it has none.
fn unquoted(word: &str) -> Option<&str> {
    let marks =
        ['"', '\'', '`', '<', '>', '(', ')', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    let bare = word.trim_matches(marks).trim();
    (bare != word).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_notations_are_understood() {
        for (word, expected) in [
            ("http://10.0.0.1:22/", "10.0.0.1:22"),
            ("ssh://10.0.0.1:22/home", "ssh://10.0.0.1:22"),
            ("sftp://root@a.example/x", "a.example"),
            ("user@10.0.0.1:22", "10.0.0.1:22"),
            ("user@::1", "::1"),
            ("10.0.0.1:22:23", "10.0.0.1:22,23"),
            ("10.0.0.1,10.0.0.2", "10.0.0.1 10.0.0.2"),
            ("10.0.0.1:22 10.0.0.2:22", "10.0.0.1:22 10.0.0.2:22"),
            ("127.0.0.1, ::1", "127.0.0.1 ::1"),
            ("127.0.0.1,", "127.0.0.1"),
            ("a@10.0.0.1,b@10.0.0.2", "10.0.0.1 10.0.0.2"),
            ("10.0.0.1,2222", "10.0.0.1:2222"),
            ("10.0.0.0/255.255.255.0", "10.0.0.0/24"),
            ("10.0.0/24", "10.0.0.0/24"),
            ("10/8", "10.0.0.0/8"),
            ("10.0.0.[1-3]", "10.0.0.1-3"),
            ("10.0.0.{1,2}", "10.0.0.1 10.0.0.2"),
            ("10.0.0.{1,2}:22", "10.0.0.1:22 10.0.0.2:22"),
            ("10.0.0.{1..3}", "10.0.0.1-3"),
            ("[10.0.0.1]:22", "10.0.0.1:22"),
            ("[::1]22", "[::1]:22"),
            ("fe80::1%eth0:22", "[fe80::1%eth0]:22"),
            ("10.0.0.1:22/tcp", "10.0.0.1:22"),
            ("10.0.0.1:22-", "10.0.0.1:22-65535"),
            ("web[1-3]", "web1 web2 web3"),
            ("web{9..10}.example:22", "web9.example:22 web10.example:22"),
            ("::1]:22", "[::1]:22"),
            ("2001:db8::/120:22", "[2001:db8::/120]:22"),
            ("db:", "db"),
            ("10.0.0.1:22:", "10.0.0.1:22"),
            ("10.0.0.1.", "10.0.0.1"),
            ("\u{201c}10.0.0.1\u{201d}", "10.0.0.1"),
        ] {
            let kind = error(word).unwrap_or_else(|| panic!("{word} has an error"));
            let meant = meant(word, &kind).unwrap_or_default();
            assert_eq!(meant.join(" "), expected, "{word}");
        }
    }

    #[test]
    fn ambiguous_targets_are_left_alone() {
        for word in [
            "web[1-99]",
            "web[a-c]",
            "web[1-",
            "10.0.0.1,22",
            "::1:22",
            "10.0/24",
            "10.0.0.300",
            "-",
            "a..b",
            "[::1",
            "10.0.0.1:0",
        ] {
            let kind = error(word).unwrap_or_else(|| panic!("{word} has an error"));
            assert_eq!(meant(word, &kind), None, "{word}");
        }
    }
}
