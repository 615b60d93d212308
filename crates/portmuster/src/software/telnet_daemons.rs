//! Tells telnet daemons apart by the order in which they name options.
//!
//! What a daemon sends first, and what it sends after each answer, differs by family, because each goes
//! through its list of options in its own order. The probe gives every server the same answers.

use std::sync::LazyLock;

use crate::outcome::{Outcome, Service, TelnetDaemon, TelnetOption, Verb};

/// Below this certainty a daemon is not named, in percent.
const CONFIDENCE_MIN: usize = 30;

/// The patterns.
static PATTERNS: LazyLock<Vec<DaemonPattern>> =
    LazyLock::new(|| parse(include_str!("../../fingerprints/telnet-daemons.txt")));

/// A pattern of a daemon.
#[derive(Debug)]
struct DaemonPattern {
    name: &'static str,
    options: Vec<TelnetOption>,
    /// Whether other options may follow.
    is_start: bool,
    /// A text that the server shows.
    text: Option<&'static str>,
    /// How certain the options are without the text, in percent.
    alone: usize,
    source: &'static str,
}

/// Iterates over the names of the families of telnet daemons that are told apart, each once.
///
/// ```
/// assert!(portmuster::software::known_telnet_daemons().any(|name| name == "gnu-inetutils"));
/// ```
pub fn known_telnet_daemons() -> impl Iterator<Item = &'static str> {
    let names = PATTERNS.iter().map(|pattern| pattern.name);
    let mut last = None;
    names.filter(move |&name| last.replace(name) != Some(name))
}

/// Returns which daemon a telnet server is; `None`: it is not known, or the server is none.
pub(super) fn identify(outcome: &Outcome) -> Option<TelnetDaemon> {
    if outcome.verdict.service != Some(Service::Telnet) {
        return None;
    }
    let details = outcome.verdict.details.as_deref()?;
    identify_options(&details.options, &outcome.verdict.banner)
}

fn identify_options(seen: &[TelnetOption], text: &[u8]) -> Option<TelnetDaemon> {
    let found = PATTERNS.iter().map(|pattern| (pattern.confidence(seen, text), pattern.name));
    // Of equals the first.
    let (confidence, name) = found.rev().max_by_key(|&(confidence, _)| confidence)?;
    let confidence_percent = u8::try_from(confidence).ok()?;
    (confidence >= CONFIDENCE_MIN).then_some(TelnetDaemon { name, confidence_percent })
}

impl DaemonPattern {
    /// Returns how certain it is that a server with these options and this text is this daemon, in percent.
    fn confidence(&self, seen: &[TelnetOption], text: &[u8]) -> usize {
        let common = self.options.iter().zip(seen).take_while(|(one, other)| one == other).count();
        let is_whole = common == self.options.len();
        if common < seen.len() && !(is_whole && self.is_start) {
            return 0;
        }
        let has_text = |wanted: &str| memchr::memmem::find(text, wanted.as_bytes()).is_some();
        let most = if self.text.is_some_and(has_text) { 100 } else { self.alone };
        most * common / self.options.len()
    }
}

/// Parses the table.
///
/// # Panics
/// It has a line without a known key or option. A test parses it.
fn parse(table: &'static str) -> Vec<DaemonPattern> {
    let paragraphs = table.split("\n\n").filter_map(|paragraph| {
        let mut lines = paragraph.lines().filter(|line| !line.starts_with('#'));
        let name = lines.next()?;
        let (options, is_start, text, source) = (Vec::new(), false, None, "");
        let pattern = DaemonPattern { name, options, is_start, text, alone: 100, source };
        Some(lines.fold(pattern, DaemonPattern::with_line))
    });
    paragraphs.collect()
}

impl DaemonPattern {
    fn with_line(mut self, line: &'static str) -> Self {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "options" | "begins" => {
                self.options =
                    value.split(", ").map(|it| option(it).expect("a known option")).collect();
                self.is_start = key == "begins";
            }
            "text" => self.text = Some(value),
            "alone" => self.alone = value.parse().expect("a number"),
            "source" => self.source = value,
            _ => panic!("{}: a pattern has no key {key:?}", self.name),
        }
        self
    }
}

/// Parses an option as a row has it, such as `do echo`; `None` if it is none.
fn option(text: &str) -> Option<TelnetOption> {
    let (verb, name) = text.split_once(' ')?;
    let verb: Verb = verb.parse().ok()?;
    let options = (0..=u8::MAX).map(|number| TelnetOption { verb, number });
    options.into_iter().find(|option| option.name() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(options: &str, text: &str) -> Option<(&'static str, u8)> {
        let options: Vec<_> = options.split(", ").filter_map(option).collect();
        let daemon = identify_options(&options, text.as_bytes())?;
        Some((daemon.name, daemon.confidence_percent))
    }

    #[test]
    fn every_pattern_has_a_source_and_is_found_by_itself() {
        for pattern in PATTERNS.iter() {
            assert!(!pattern.source.is_empty() && !pattern.options.is_empty(), "{}", pattern.name);
            let text = pattern.text.unwrap_or_default();
            let found = identify_options(&pattern.options, text.as_bytes());
            let name = found.map(|daemon| daemon.name);
            assert_eq!(name, Some(pattern.name), "{:?}", pattern.options);
        }
    }

    #[test]
    fn confidence_is_the_share_of_the_pattern_that_was_seen() {
        let all = "do echo, do window-size, will echo, will suppress-go-ahead";
        assert_eq!(named(all, ""), Some(("busybox", 100)));
        assert_eq!(named("do echo, do window-size, will echo", ""), Some(("busybox", 75)));
        assert_eq!(named("do new-environ", ""), None, "a little says nothing");
        assert_eq!(named("will echo", ""), None);
    }

    #[test]
    fn another_order_or_more_options_are_another_daemon() {
        assert_eq!(named("do window-size, do echo, will echo, will suppress-go-ahead", ""), None);
        let more = "do echo, do window-size, will echo, will suppress-go-ahead, do binary";
        assert_eq!(named(more, ""), None);
        let solaris = "do terminal-type, do window-size, do x-display-location, do new-environ, \
            do environ, will echo";
        assert_eq!(named(solaris, ""), Some(("solaris", 100)), "others may follow its start");
    }

    #[test]
    fn text_tells_daemons_with_the_same_options_apart() {
        let cisco = "will echo, will suppress-go-ahead, do terminal-type, do window-size";
        assert_eq!(named(cisco, "User Access Verification"), Some(("cisco", 100)));
        assert_eq!(named(cisco, "login:"), Some(("cisco", 60)));
        let netkit = "do terminal-type, do terminal-speed, do x-display-location, do new-environ, \
            will suppress-go-ahead, do echo, do window-size, will status, do remote-flow-control, \
            will echo";
        assert_eq!(named(netkit, "Login: "), Some(("netkit", 100)));
        // Equally certain: the pattern that needs a text must come first.
        assert_eq!(named(netkit, "MikroTik v6.42.6"), Some(("mikrotik", 100)));
    }

    #[test]
    fn names_are_listed_once() {
        let names: Vec<_> = known_telnet_daemons().collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
    }
}
