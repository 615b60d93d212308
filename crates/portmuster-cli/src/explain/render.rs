//! Renders one outcome as text, step by step. Pure.
//!
//! Invariant: the limits below bound the length of the text, however much a server sends.

use std::{borrow::Cow, fmt::Display, time::Duration};

use portmuster::{
    Outcome, Verdict,
    config::Proxy,
    outcome::{
        KexInit, KeyExchange, NameList, Part, Rule, ServiceDetails, Software, TelnetDaemon,
        Weakness,
    },
    sink::{escape, escape_line, wrap},
};

use super::{bytes, host_keys};

/// The indent of what happened, after its time.
const STEP: &str = "              ";

/// What accepts a connection through a proxy.
const BY_PROXY: &str = "accepted, says the proxy";

/// The indent of the bytes of a conversation.
const CONVERSATION: &str = "                ";

/// The fewest columns of a text beside its indent.
const COLUMNS_MIN: usize = 20;

/// Width of the column of field names.
const NAME: usize = 13;

/// Maximum number of lines of conversation bytes: more than a screen, and than a usual login
/// notice.
const BYTES_LINES_MAX: usize = 256;

/// Maximum number of items of a list: real ssh servers offer fewer algorithms.
const ITEMS_MAX: usize = 64;

/// Maximum number of algorithms of a finding. The list of algorithms is complete.
const ALGORITHMS_MAX: usize = 8;

/// Maximum number of characters of an algorithm name: RFC 4251 §6 allows 64.
const NAME_MAX: usize = 80;

/// Renders the steps of a check, its verdict and the reasons.
///
/// `proxy` is the one that the connection went through; `None`: it went to the endpoint itself.
/// `after_pause`: the host rejected an earlier attempt for load, so this one followed a pause.
/// `columns` is the width of the terminal; `None`: it is none, and no line is broken.
pub(super) fn describe(
    outcome: &Outcome,
    proxy: Option<&Proxy>,
    after_pause: bool,
    columns: Option<usize>,
) -> String {
    let mut text = Rendering { text: String::new(), columns };
    text.attempts(outcome, after_pause);
    text.steps(outcome, proxy);
    text.verdict(outcome);
    text.text
}

struct Rendering {
    text: String,
    columns: Option<usize>,
}

impl Rendering {
    fn line(&mut self, text: impl Display) {
        self.indented("", &text.to_string());
    }

    /// Adds a text after `start`, and the lines into which it is broken below each other.
    fn indented(&mut self, start: &str, text: &str) {
        let room = self.room(start.len());
        for (index, line) in wrap(text, room).into_iter().enumerate() {
            let indent = if index == 0 { start } else { "" };
            let line = format!("{indent:0$}{line}", start.len());
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// Returns how many columns a line has after an indent.
    fn room(&self, indent: usize) -> usize {
        self.columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent).max(COLUMNS_MIN))
    }

    fn attempts(&mut self, outcome: &Outcome, after_pause: bool) {
        if after_pause {
            self.line("an attempt was refused: the host asked for fewer connections");
            self.line("the next attempt followed after a pause");
        }
        if outcome.attempts > 1 {
            self.line(format!("{} attempts; showing the one that decided", outcome.attempts));
        }
    }

    fn steps(&mut self, outcome: &Outcome, proxy: Option<&Proxy>) {
        let verdict = &outcome.verdict;
        let (place, accepted) = match (outcome.endpoint, proxy) {
            (Some(endpoint), None) => (endpoint.to_string(), "accepted"),
            (Some(endpoint), Some(proxy)) => (format!("{endpoint} through {proxy}"), BY_PROXY),
            (None, Some(proxy)) if outcome.attempts > 0 => {
                let target = outcome.target.to_string();
                (format!("{} through {proxy}", escape_line(target.as_bytes())), BY_PROXY)
            }
            (None, _) => return,
        };
        self.step(Duration::ZERO, format!("connecting to {place}"));
        if let Some(at) = verdict.times.connect {
            self.step(at, accepted);
        }
        let evidence = verdict.details.as_ref().and_then(|details| details.evidence.as_ref());
        let mut lines_left = BYTES_LINES_MAX;
        for part in evidence.iter().flat_map(|evidence| &evidence.parts) {
            lines_left = self.part(part, lines_left);
        }
        let omitted = evidence.map_or(0, |evidence| evidence.left_out);
        if omitted > 0 {
            let are = if omitted == 1 { "byte, which is" } else { "bytes, which are" };
            self.indented(STEP, &format!("{omitted} more {are} not stored"));
        }
        self.step(verdict.times.total, ending(verdict));
        self.line("");
    }

    fn step(&mut self, at: Duration, what: impl Display) {
        let time = format!("{:>9.1} ms  ", at.as_secs_f64() * 1e3);
        self.indented(&time, &what.to_string());
    }

    /// Renders a part of the conversation in at most `lines_left` lines; returns how many remain.
    fn part(&mut self, Part { at, side, bytes, .. }: &Part, lines_left: usize) -> usize {
        let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
        self.step(*at, format!("{} sends {} {unit}", side.name(), bytes.len()));
        let lines = bytes::lines(bytes, self.room(CONVERSATION.len()));
        for line in lines.iter().take(lines_left) {
            self.indented(CONVERSATION, line);
        }
        if let Some(more) = lines.len().checked_sub(lines_left).filter(|&more| more > 0) {
            let lines = if more == 1 { "line" } else { "lines" };
            self.indented(CONVERSATION, &format!("and {more} more {lines}"));
        }
        lines_left.saturating_sub(lines.len())
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.indented(&format!("{name:<NAME$} "), &value.to_string());
    }

    /// Renders up to [`ITEMS_MAX`] items, one per line, and the number of the others.
    fn items<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        let mut items = items.into_iter();
        for (nth, item) in items.by_ref().take(ITEMS_MAX).enumerate() {
            self.field(if nth == 0 { name } else { "" }, item);
        }
        let more = items.count();
        if more > 0 {
            self.field("", format!("and {more} more"));
        }
    }

    fn verdict(&mut self, outcome: &Outcome) {
        let verdict = &outcome.verdict;
        self.field("state", format!("{} ({})", verdict.state, verdict.reason));
        if let Some(service) = verdict.service {
            self.field("service", service);
        }
        if let Some(rule) = verdict.rule {
            self.field("rule", format!("{rule}: {}", Rule::describe(rule)));
        }
        if !verdict.banner.is_empty() {
            self.field("banner", escape_line(&verdict.banner));
        }
        if let Some(details) = &verdict.details {
            self.details(details);
        }
        if let Some(encryption) = verdict.telnet_encryption() {
            self.field("encryption", encryption);
        }
    }

    fn details(&mut self, details: &ServiceDetails) {
        if let Some(identification) = &details.identification {
            self.field("version", escape(identification.protocol.as_bytes()));
            self.field("software", escape(&identification.software));
            if let Some(comment) = &identification.comment {
                self.field("comment", escape(comment));
            }
        }
        if let Some(software) = &details.software {
            self.software(software);
        }
        match &details.key_exchange {
            KeyExchange::NotAsked => {}
            KeyExchange::Missing(reason) => {
                self.field("algorithms", format!("not received: {reason}"));
            }
            KeyExchange::Offered(offer) => self.kex_init(offer),
        }
        self.items("host key", host_keys::lines(&details.host_keys));
        if let Some(protocol) = &details.protocol {
            self.field("protocol", protocol);
        }
        self.items("options", &details.options);
        if let Some(daemon) = details.telnet_daemon {
            let TelnetDaemon { name, confidence_percent, .. } = daemon;
            self.field("daemon", format!("{name} ({confidence_percent} %), by its options"));
        }
        for &weakness in &details.findings {
            self.finding(weakness, details.key_exchange.kex_init());
        }
    }

    /// Renders what a fingerprint says of the software, and its name.
    fn software(&mut self, software: &Software) {
        let Software { vendor, product, version, os, device, cpe, fingerprint, .. } = software;
        let facts = [
            ("vendor", vendor),
            ("product", product),
            ("release", version),
            ("system", os),
            ("device", device),
            ("cpe", cpe),
        ];
        for (name, fact) in facts {
            if let Some(fact) = fact {
                self.field(name, escape_line(fact.as_bytes()));
            }
        }
        self.field("fingerprint", escape_line(fingerprint.as_bytes()));
    }

    /// Renders the algorithms that a server offers.
    fn kex_init(&mut self, offer: &KexInit) {
        self.list("kex", &offer.kex);
        self.list("host keys", &offer.host_keys);
        self.lists("ciphers", &offer.ciphers_client_to_server, &offer.ciphers_server_to_client);
        self.lists("macs", &offer.macs_client_to_server, &offer.macs_server_to_client);
        let compression =
            (&offer.compression_client_to_server, &offer.compression_server_to_client);
        self.lists("compression", compression.0, compression.1);
    }

    /// Renders the lists of both directions, or one list if they are equal.
    fn lists(&mut self, name: &str, to_server: &NameList, to_client: &NameList) {
        self.list(name, to_server);
        if to_server != to_client {
            self.list("  to client", to_client);
        }
    }

    fn list(&mut self, name: &str, list: &NameList) {
        self.items(name, list.iter().map(shortened));
        if list.iter().next().is_none() {
            self.field(name, "(none)");
        }
    }

    fn finding(&mut self, weakness: Weakness, offer: Option<&KexInit>) {
        let algorithms = offer.map(|offer| weakness.algorithms(offer)).unwrap_or_default();
        let shown: Vec<_> =
            algorithms.iter().take(ALGORITHMS_MAX).map(|name| shortened(name)).collect();
        self.field("finding", format!("{weakness} {}", shown.join(" ")));
        if algorithms.len() > shown.len() {
            self.field("", format!("and {} more", algorithms.len() - shown.len()));
        }
        self.field("", weakness.why());
        self.field("", weakness.source());
    }
}

/// Returns the name, shortened to [`NAME_MAX`] characters.
fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_MAX) {
        None => Cow::Borrowed(name),
        Some(_) => Cow::Owned(name.chars().take(NAME_MAX - 1).chain(['…']).collect()),
    }
}

/// Describes the end of the attempt.
fn ending(verdict: &Verdict) -> String {
    match (verdict.service, verdict.rule) {
        (Some(service), Some(rule)) => format!("judged {service}, by the rule {rule}"),
        _ => format!("{}: {}", verdict.state, verdict.reason),
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use portmuster::{
        PortState, Reason, Target,
        outcome::{Evidence, Side},
    };

    use super::*;

    fn outcome(details: ServiceDetails) -> Outcome {
        let mut verdict = Verdict::new(PortState::Open, Reason::Accepted);
        verdict.details = Some(Box::new(details));
        let mut outcome = Outcome::new(Target::new("db.example", 22), verdict);
        outcome.endpoint = Some(([127, 0, 0, 1], 22).into());
        outcome.attempts = 1;
        outcome
    }

    fn list(names: impl Iterator<Item = String>) -> NameList {
        let names = names.collect::<Vec<_>>().join(",");
        serde_json::from_value(names.into()).expect("a list is a string")
    }

    /// Returns the number of lines that contain `what`.
    fn count(text: &str, what: &str) -> usize {
        text.lines().filter(|line| line.contains(what)).count()
    }

    #[test]
    fn long_algorithm_lists_are_limited() {
        let ciphers = list((0..3000).map(|nth| format!("arcfour{nth}")));
        let mut offer = KexInit::default();
        offer.ciphers_client_to_server.clone_from(&ciphers);
        offer.ciphers_server_to_client = ciphers;
        offer.macs_client_to_server = list(repeat_n("m".repeat(NAME_MAX), 1));
        offer.macs_server_to_client = list(repeat_n("m".repeat(30_000), 1));
        let mut details = ServiceDetails::default();
        details.key_exchange = KeyExchange::Offered(Box::new(offer));
        details.findings = vec![Weakness::Rc4];
        let text = describe(&outcome(details), None, false, None);
        assert_eq!(count(&text, "arcfour"), ITEMS_MAX + 1, "{text}");
        assert_eq!(count(&text, "and 2936 more"), 1, "{text}");
        let finding = "finding       rc4 arcfour0 arcfour1 arcfour2 arcfour3 arcfour4 arcfour5 \
                       arcfour6 arcfour7\n              and 2992 more\n";
        assert!(text.contains(finding), "{text}");
        let full_name = format!("macs          {}\n", "m".repeat(NAME_MAX));
        let shortened_name = format!("  to client   {}…\n", "m".repeat(NAME_MAX - 1));
        assert!(text.contains(&full_name) && text.contains(&shortened_name), "{text}");
    }

    #[test]
    fn telnet_options_are_limited() {
        let option = serde_json::json!({ "verb": "will", "number": 1 });
        let option = serde_json::from_value(option).expect("the option is valid");
        let mut details = ServiceDetails::default();
        details.options = vec![option; 200];
        let text = describe(&outcome(details), None, false, None);
        assert_eq!(count(&text, "will echo"), ITEMS_MAX, "{text}");
        assert_eq!(count(&text, "and 136 more"), 1, "{text}");
    }

    #[test]
    fn conversation_lines_are_limited() {
        let part = Part::new(Duration::ZERO, Side::Server, vec![b'\n'; 200]);
        let mut evidence = Evidence::default();
        evidence.parts = vec![part; 3];
        let mut details = ServiceDetails::default();
        details.evidence = Some(evidence);
        let text = describe(&outcome(details), None, false, None);
        assert_eq!(count(&text, r"\n"), BYTES_LINES_MAX, "{text}");
        assert_eq!(count(&text, "server sends 200 bytes"), 3, "{text}");
        assert_eq!(count(&text, "and 144 more lines"), 1, "{text}");
        assert_eq!(count(&text, "and 200 more lines"), 1, "{text}");
    }

    #[test]
    fn lines_fit_the_terminal() {
        let binary = Part::new(Duration::ZERO, Side::Server, vec![0; 100]);
        let text = Part::new(Duration::ZERO, Side::Server, "some words ".repeat(30).into_bytes());
        let mut evidence = Evidence::default();
        evidence.parts = vec![binary, text];
        let mut offer = KexInit::default();
        offer.kex = list(repeat_n("m".repeat(NAME_MAX), 1));
        let mut details = ServiceDetails::default();
        details.evidence = Some(evidence);
        details.key_exchange = KeyExchange::Offered(Box::new(offer));
        details.findings = vec![Weakness::Rc4, Weakness::Terrapin];
        let outcome = outcome(details);
        let whole = describe(&outcome, None, true, None);
        assert!(whole.lines().any(|line| line.len() > 100));
        for columns in 50..200 {
            let text = describe(&outcome, None, true, Some(columns));
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}: {text}");
        }
        assert_eq!(describe(&outcome, None, true, Some(1000)), whole);
    }

    #[test]
    fn earlier_attempts_are_mentioned() {
        let mut twice = outcome(ServiceDetails::default());
        twice.attempts = 2;
        assert_eq!(
            count(&describe(&outcome(ServiceDetails::default()), None, false, None), "attempt"),
            0
        );
        assert!(
            describe(&twice, None, false, None)
                .starts_with("2 attempts; showing the one that decided\n")
        );
        let after_pause = describe(&twice, None, true, None);
        assert_eq!(count(&after_pause, "the host asked for fewer connections"), 1, "{after_pause}");
    }
}
