//! Text that fits into the columns of a terminal.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The fewest columns of a greeting beside its findings.
const GREETING_MIN: usize = 12;

/// Returns how many columns of a terminal the text takes.
pub(crate) fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Shortens visible text to so many columns of a terminal. The last one is then an ellipsis.
///
/// ```
/// assert_eq!(portmuster::sink::shorten("SSH-2.0-OpenSSH_9.2p1", 12), "SSH-2.0-Ope…");
/// assert_eq!(portmuster::sink::shorten("SSH-2.0-x", 12), "SSH-2.0-x");
/// ```
#[must_use]
pub fn shorten(text: &str, columns: usize) -> Cow<'_, str> {
    if self::columns(text) <= columns {
        return Cow::Borrowed(text);
    }
    match columns.checked_sub(1) {
        None => Cow::Borrowed(""),
        Some(left) => Cow::Owned(format!("{}…", start(text, left))),
    }
}

/// Breaks visible text into lines of at most so many columns, at spaces where that is possible. There is
/// at least one line.
///
/// ```
/// assert_eq!(portmuster::sink::wrap("weak host keys", 9), ["weak host", "keys"]);
/// assert_eq!(portmuster::sink::wrap("curve25519-sha256", 10), ["curve25519", "-sha256"]);
/// ```
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while self::columns(rest) > columns {
        // A line has at least one character, however few columns there are.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let most = start(rest, columns).len().max(first);
        let is_at_end = rest[most..].starts_with(' ');
        let end = if is_at_end { most } else { rest[..most].rfind(' ').unwrap_or(most) };
        let end = if rest[..end].trim().is_empty() { most } else { end };
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    if lines.is_empty() || !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Shortens a target to so many columns: first its name, then the address behind it. Its port stays.
pub(crate) fn shorten_target(target: &str, columns: usize) -> Cow<'_, str> {
    let (host, address) = target.split_at(target.find(" (").unwrap_or(target.len()));
    let (host, port) = host.split_at(host.rfind(':').unwrap_or(host.len()));
    let tail = match self::columns(port) + self::columns(address) {
        width if width <= columns / 2 => format!("{port}{address}"),
        _ if address.is_empty() => port.to_owned(),
        _ => format!("{port} (…)"),
    };
    match columns.checked_sub(self::columns(&tail)) {
        _ if self::columns(target) <= columns => Cow::Borrowed(target),
        Some(left @ 1..) => Cow::Owned(format!("{}{tail}", shorten(host, left))),
        _ => shorten(target, columns),
    }
}

/// Pads a text with spaces up to so many columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(self::columns(text));
    format!("{text}{:missing$}", "")
}

/// Describes a server by its greeting and findings in so many columns. Findings matter more, so the
/// greeting is shortened first; `what` is what several findings are, as "weak".
pub(crate) fn describe(
    greeting: &str,
    findings: &[impl AsRef<str>],
    what: &str,
    columns: usize,
) -> String {
    if findings.is_empty() {
        return shorten(greeting, columns).into_owned();
    }
    let least = self::columns(greeting).min(GREETING_MIN) + 1;
    let all = list(findings, findings.len(), what);
    let shown = (0..findings.len()).rev().map(|shown| list(findings, shown, what));
    let fits = |list: &String| self::columns(list) + least <= columns;
    let list = [all].into_iter().chain(shown).find(fits);
    let list = list.unwrap_or_else(|| list_alone(findings, what, columns));
    let left = columns.saturating_sub(self::columns(&list) + 1);
    let greeting = shorten(greeting, left);
    if greeting.is_empty() { list } else { format!("{greeting} {list}") }
}

/// Lists findings without a greeting.
fn list_alone(findings: &[impl AsRef<str>], what: &str, columns: usize) -> String {
    shorten(&list(findings, 0, what), columns).into_owned()
}

/// Lists the first findings, and says how many there are if these are not all.
fn list(findings: &[impl AsRef<str>], shown: usize, what: &str) -> String {
    let names: Vec<_> = findings.iter().take(shown).map(AsRef::as_ref).collect();
    let names = names.join(", ");
    match (findings.len(), shown) {
        (all, shown) if all == shown => format!("[{names}]"),
        (all, 0) => format!("[{all} {what}]"),
        (all, _) => format!("[{all} {what}: {names}, …]"),
    }
}

/// Returns the start of the text, of at most so many columns.
fn start(text: &str, columns: usize) -> &str {
    let mut width = 0;
    for (index, letter) in text.char_indices() {
        width += letter.width().unwrap_or(0);
        if width > columns {
            return &text[..index];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEAK: [&str; 4] = ["group1-sha1", "ssh-dss", "rc4", "md5"];

    #[test]
    fn greeting_shrinks_before_its_findings() {
        let greeting = "SSH-2.0-OpenSSH_5.3 Debian";
        for (columns, text) in [
            (80, "SSH-2.0-OpenSSH_5.3 Debian [group1-sha1, ssh-dss, rc4, md5]"),
            (50, "SSH-2.0-OpenSSH_… [group1-sha1, ssh-dss, rc4, md5]"),
            (40, "SSH-2.0-OpenSS… [4 weak: group1-sha1, …]"),
            (25, "SSH-2.0-OpenSSH… [4 weak]"),
            (12, "SS… [4 weak]"),
            (8, "[4 weak]"),
            (5, "[4 w…"),
        ] {
            let described = describe(greeting, &WEAK, "weak", columns);
            assert!(self::columns(&described) <= columns, "{described}");
            assert_eq!(described, text);
        }
        assert_eq!(describe("220 mail", &WEAK[..0], "weak", 80), "220 mail");
    }

    #[test]
    fn no_width_is_exceeded() {
        let texts = ["", "x", "SSH-2.0-x", "日本語のバナー", "e\u{301}e\u{301}e\u{301}", "a…b"];
        for text in texts {
            for most in 0..30 {
                assert!(columns(&shorten(text, most)) <= most, "{text} {most}");
                assert!(columns(&shorten_target(text, most)) <= most, "{text} {most}");
                if most >= 2 {
                    assert!(
                        wrap(text, most).iter().all(|line| columns(line) <= most),
                        "{text} {most}"
                    );
                }
                for findings in 0..WEAK.len() {
                    let described = describe(text, &WEAK[..findings], "weak", most);
                    assert!(columns(&described) <= most, "{described} {most}");
                }
            }
        }
        assert_eq!(columns(&pad("日本", 6)), 6);
    }

    #[test]
    fn wrapped_text_loses_nothing_but_spaces() {
        let text = "a sample of  its silent targets-that-are-silent, 日本語 and e\u{301} ends";
        for columns in 1..80 {
            let joined = wrap(text, columns).concat().replace(' ', "");
            assert_eq!(joined, text.replace(' ', ""), "{columns}");
        }
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("  indented", 6), ["  inde", "nted"]);
        assert_eq!(wrap("one two ", 7), ["one two"]);
    }

    #[test]
    fn port_of_a_long_target_stays() {
        let target = "a-very-long-name.of-a-host.in-some.example.com:2222";
        assert_eq!(shorten_target(target, 30), "a-very-long-name.of-a-ho…:2222");
        assert_eq!(shorten_target(target, 60), target);
        let target = &format!("{target} (10.0.0.5)");
        assert_eq!(shorten_target(target, 40), "a-very-long-name.of-a-h…:2222 (10.0.0.5)");
        assert_eq!(shorten_target(target, 20), "a-very-lon…:2222 (…)");
        assert_eq!(shorten_target(target, 3), "a-…");
    }
}
