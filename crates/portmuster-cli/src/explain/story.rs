//! One outcome, told step by step. Pure: what is written is a text.

use std::{fmt::Display, time::Duration};

use portmuster::{
    Facts, KeyExchange, NameList, Offer, Outcome, Part, Rule, Verdict, Weakness,
    sink::{escaped, spelled},
};

use super::bytes;

/// Columns of a field's name.
const NAME: usize = 13;

/// What was done, what came of it, and why.
pub(super) fn told(outcome: &Outcome) -> String {
    let mut story = Story::default();
    story.steps(outcome);
    story.verdict(outcome);
    story.0
}

#[derive(Default)]
struct Story(String);

impl Story {
    fn line(&mut self, text: impl Display) {
        let line = text.to_string();
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }

    fn steps(&mut self, outcome: &Outcome) {
        let verdict = &outcome.verdict;
        let Some(endpoint) = outcome.endpoint else { return };
        if outcome.attempts > 1 {
            self.line(format!("attempt {} of {0}; those before are not told", outcome.attempts));
        }
        self.step(Duration::ZERO, format!("connecting to {endpoint}"));
        if let Some(at) = verdict.times.connect {
            self.step(at, "accepted");
        }
        let evidence = verdict.facts.as_ref().and_then(|facts| facts.evidence.as_ref());
        for part in evidence.iter().flat_map(|evidence| &evidence.parts) {
            self.part(part);
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

    fn part(&mut self, Part { at, side, bytes }: &Part) {
        let unit = if bytes.len() == 1 { "byte" } else { "bytes" };
        self.step(*at, format!("{} sends {} {unit}", side.name(), bytes.len()));
        for line in bytes::lines(bytes) {
            self.line(format!("{:>16}{line}", ""));
        }
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.line(format!("{name:<NAME$} {value}"));
    }

    fn verdict(&mut self, outcome: &Outcome) {
        let verdict = &outcome.verdict;
        self.field("state", format!("{} ({})", verdict.state, verdict.reason));
        if let Some(service) = verdict.service {
            self.field("service", service);
        }
        if let Some(rule) = verdict.rule {
            self.field("rule", format!("{rule}: {}", Rule::told(rule)));
        }
        if !verdict.banner.is_empty() {
            self.field("banner", escaped(&verdict.banner));
        }
        if let Some(facts) = &verdict.facts {
            self.facts(facts);
        }
    }

    fn facts(&mut self, facts: &Facts) {
        if let Some(identification) = &facts.identification {
            self.field("version", spelled(identification.protocol.as_bytes()));
            self.field("software", spelled(identification.software.as_bytes()));
            if let Some(comment) = &identification.comment {
                self.field("comment", spelled(comment.as_bytes()));
            }
        }
        match &facts.key_exchange {
            KeyExchange::NotAsked => {}
            KeyExchange::Missing(reason) => self.field("offer", format!("none came: {reason}")),
            KeyExchange::Offered(offer) => self.offer(offer),
        }
        if let Some(protocol) = &facts.protocol {
            self.field("protocol", protocol);
        }
        for (nth, option) in facts.options.iter().enumerate() {
            self.field(if nth == 0 { "options" } else { "" }, option);
        }
        for &weakness in &facts.findings {
            self.finding(weakness, facts.key_exchange.offer());
        }
    }

    fn offer(&mut self, offer: &Offer) {
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
        let names: Vec<_> = list.iter().collect();
        for (nth, name_and_next) in names.iter().enumerate() {
            self.field(if nth == 0 { name } else { "" }, name_and_next);
        }
        if names.is_empty() {
            self.field(name, "(none)");
        }
    }

    fn finding(&mut self, weakness: Weakness, offer: Option<&Offer>) {
        let algorithms = offer.map(|offer| weakness.algorithms(offer)).unwrap_or_default();
        self.field("finding", format!("{weakness} {}", algorithms.join(" ")));
        self.field("", weakness.why());
        self.field("", weakness.source());
    }
}

/// How the attempt ended, beside its verdict.
fn ending(verdict: &Verdict) -> String {
    match (verdict.service, verdict.rule) {
        (Some(service), Some(rule)) => format!("judged {service}, by the rule {rule}"),
        _ => format!("{}: {}", verdict.state, verdict.reason),
    }
}
