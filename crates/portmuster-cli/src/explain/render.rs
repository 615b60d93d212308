//! One outcome, told step by step. Pure: what is written is a text.
//!
//! Invariant: however much a server says, its text is no longer than the limits below allow.

use std::{borrow::Cow, fmt::Display, time::Duration};

use portmuster::{
    KexInit, KeyExchange, NameList, Outcome, Part, Rule, ServiceDetails, Verdict, Weakness,
    sink::{escape, escape_line},
};

use super::bytes;

/// Columns of a field's name.
const NAME: usize = 13;

/// Lines of the conversation's bytes that are shown: more than a screen, and than any honest notice.
const BYTES_LINES_MAX: usize = 256;

/// Items of a list that are shown: honest offers have fewer names.
const ITEMS_MAX: usize = 64;

/// Algorithms that are shown of a finding; the list has them all.
const ALGORITHMS_MAX: usize = 8;

/// Letters that are shown of a name: no name is to have more than 64 (RFC 4251 §6).
const NAME_MAX: usize = 80;

/// What was done, what came of it, and why. `rested`: its host asked for fewer connections before.
pub(super) fn describe(outcome: &Outcome, rested: bool) -> String {
    let mut text = Rendering::default();
    text.attempts(outcome, rested);
    text.steps(outcome);
    text.verdict(outcome);
    text.0
}

#[derive(Default)]
struct Rendering(String);

impl Rendering {
    fn line(&mut self, text: impl Display) {
        let line = text.to_string();
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    fn attempts(&mut self, outcome: &Outcome, rested: bool) {
        if rested {
            self.line("an attempt was refused: the host asked for fewer connections");
            self.line("it rested before it was tried once more");
        }
        if outcome.attempts > 1 {
            self.line(format!("{} attempts; the one that decided is told", outcome.attempts));
        }
    }

    fn steps(&mut self, outcome: &Outcome) {
        let verdict = &outcome.verdict;
        let Some(endpoint) = outcome.endpoint else { return };
        self.step(Duration::ZERO, format!("connecting to {endpoint}"));
        if let Some(at) = verdict.times.connect {
            self.step(at, "accepted");
        }
        let evidence = verdict.details.as_ref().and_then(|details| details.evidence.as_ref());
        let mut room = BYTES_LINES_MAX;
        for part in evidence.iter().flat_map(|evidence| &evidence.parts) {
            room = self.part(part, room);
        }
        if let Some(left_out) = evidence.map(|evidence| evidence.left_out).filter(|&it| it > 0) {
            self.line(format!("{:>14}{left_out} bytes more, which are not kept", ""));
        }
        self.step(verdict.times.total, ending(verdict));
        self.line("");
    }

    fn step(&mut self, at: Duration, what: impl Display) {
        self.line(format!("{:>9.1} ms  {what}", at.as_secs_f64() * 1e3));
    }

    /// Tells of a part in no more lines than there is room for; the room that is left.
    fn part(&mut self, Part { at, side, bytes }: &Part, room: usize) -> usize {
        let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
        self.step(*at, format!("{} sends {} {unit}", side.name(), bytes.len()));
        let lines = bytes::lines(bytes);
        for line in lines.iter().take(room) {
            self.line(format!("{:>16}{line}", ""));
        }
        if let Some(more) = lines.len().checked_sub(room).filter(|&more| more > 0) {
            self.line(format!("{:>16}and {more} lines more", ""));
        }
        room.saturating_sub(lines.len())
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.line(format!("{name:<NAME$} {value}"));
    }

    /// The items below each other, and how many there are beyond those that are shown.
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
    }

    fn details(&mut self, details: &ServiceDetails) {
        if let Some(identification) = &details.identification {
            self.field("version", escape(identification.protocol.as_bytes()));
            self.field("software", escape(&identification.software));
            if let Some(comment) = &identification.comment {
                self.field("comment", escape(comment));
            }
        }
        match &details.key_exchange {
            KeyExchange::NotAsked => {}
            KeyExchange::Missing(reason) => self.field("offer", format!("none came: {reason}")),
            KeyExchange::Offered(offer) => self.offer(offer),
        }
        if let Some(protocol) = &details.protocol {
            self.field("protocol", protocol);
        }
        self.items("options", &details.options);
        for &weakness in &details.findings {
            self.finding(weakness, details.key_exchange.kex_init());
        }
    }

    fn offer(&mut self, offer: &KexInit) {
        self.list("kex", &offer.kex);
        self.list("host keys", &offer.host_keys);
        self.lists("ciphers", &offer.ciphers_client_to_server, &offer.ciphers_server_to_client);
        self.lists("macs", &offer.macs_client_to_server, &offer.macs_server_to_client);
        let compression =
            (&offer.compression_client_to_server, &offer.compression_server_to_client);
        self.lists("compression", compression.0, compression.1);
    }

    /// The lists of both directions, once where they are the same.
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

/// The name, or its beginning.
fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_MAX) {
        None => Cow::Borrowed(name),
        Some(_) => Cow::Owned(name.chars().take(NAME_MAX - 1).chain(['…']).collect()),
    }
}

/// How the attempt ended, beside its verdict.
fn ending(verdict: &Verdict) -> String {
    match (verdict.service, verdict.rule) {
        (Some(service), Some(rule)) => format!("judged {service}, by the rule {rule}"),
        _ => format!("{}: {}", verdict.state, verdict.reason),
    }
}

#[cfg(test)]
mod tests {
    use std::{iter::repeat_n, time::SystemTime};

    use portmuster::{Evidence, Host, PortState, Reason, Side, Target, Times};

    use super::*;

    fn outcome(details: ServiceDetails) -> Outcome {
        let verdict = Verdict {
            state: PortState::Open,
            reason: Reason::Accepted,
            service: None,
            rule: None,
            banner: Vec::new(),
            details: Some(Box::new(details)),
            times: Times::default(),
        };
        Outcome {
            target: Target { host: Host::Name("db.example".into()), port: 22, label: None },
            endpoint: Some(([127, 0, 0, 1], 22).into()),
            verdict,
            attempts: 1,
            position: 0,
            time: SystemTime::UNIX_EPOCH,
        }
    }

    fn list(names: impl Iterator<Item = String>) -> NameList {
        let names = names.collect::<Vec<_>>().join(",");
        serde_json::from_value(names.into()).expect("a list is a text")
    }

    /// Lines of the text that say this.
    fn count(text: &str, what: &str) -> usize {
        text.lines().filter(|line| line.contains(what)).count()
    }

    #[test]
    fn an_offer_without_end_is_told_with_one() {
        let ciphers = list((0..3000).map(|nth| format!("arcfour{nth}")));
        let offer = KexInit {
            ciphers_client_to_server: ciphers.clone(),
            ciphers_server_to_client: ciphers,
            macs_client_to_server: list(repeat_n("m".repeat(NAME_MAX), 1)),
            macs_server_to_client: list(repeat_n("m".repeat(30_000), 1)),
            ..KexInit::default()
        };
        let details = ServiceDetails {
            key_exchange: KeyExchange::Offered(Box::new(offer)),
            findings: vec![Weakness::Rc4],
            ..ServiceDetails::default()
        };
        let text = describe(&outcome(details), false);
        assert_eq!(count(&text, "arcfour"), ITEMS_MAX + 1, "{text}");
        assert_eq!(count(&text, "and 2936 more"), 1, "{text}");
        let finding = "finding       rc4 arcfour0 arcfour1 arcfour2 arcfour3 arcfour4 arcfour5 \
                       arcfour6 arcfour7\n              and 2992 more\n";
        assert!(text.contains(finding), "{text}");
        let whole = format!("macs          {}\n", "m".repeat(NAME_MAX));
        let cut = format!("  to client   {}…\n", "m".repeat(NAME_MAX - 1));
        assert!(text.contains(&whole) && text.contains(&cut), "{text}");
    }

    #[test]
    fn options_without_end_are_told_with_one() {
        let option = serde_json::json!({ "verb": "will", "number": 1 });
        let option = serde_json::from_value(option).expect("it is an option");
        let details = ServiceDetails { options: vec![option; 200], ..ServiceDetails::default() };
        let text = describe(&outcome(details), false);
        assert_eq!(count(&text, "will echo"), ITEMS_MAX, "{text}");
        assert_eq!(count(&text, "and 136 more"), 1, "{text}");
    }

    #[test]
    fn lines_without_end_are_told_with_one() {
        let part = Part { at: Duration::ZERO, side: Side::Server, bytes: vec![b'\n'; 200] };
        let evidence = Evidence { parts: vec![part; 3], left_out: 0 };
        let text = describe(
            &outcome(ServiceDetails { evidence: Some(evidence), ..ServiceDetails::default() }),
            false,
        );
        assert_eq!(count(&text, r"\n"), BYTES_LINES_MAX, "{text}");
        assert_eq!(count(&text, "server sends 200 bytes"), 3, "{text}");
        assert_eq!(count(&text, "and 144 lines more"), 1, "{text}");
        assert_eq!(count(&text, "and 200 lines more"), 1, "{text}");
    }

    #[test]
    fn attempts_before_are_told() {
        let twice = Outcome { attempts: 2, ..outcome(ServiceDetails::default()) };
        assert_eq!(count(&describe(&outcome(ServiceDetails::default()), false), "attempt"), 0);
        assert!(describe(&twice, false).starts_with("2 attempts; the one that decided is told\n"));
        let rested = describe(&twice, true);
        assert_eq!(count(&rested, "the host asked for fewer connections"), 1, "{rested}");
    }
}
