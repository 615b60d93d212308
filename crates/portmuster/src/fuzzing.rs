//! Runs hostile bytes through whole attempts, and holds these to what must be true whatever comes;
//! [`lists`] does the same with lists of targets. For the fuzz targets in `fuzz/`, and for tests.
//!
//! Each function panics when something is not true. How bytes are split, how fast they come and
//! how they end follows from the bytes themselves, so that an input is all that a failure needs.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use crate::{
    attempt::{Attempt, Event, Rules, Step},
    clock::Instant,
    config::defaults,
    outcome::{
        Conclusion, Evidence, KeyExchange, Outcome, Rule, Service, ServiceDetails, Side, Verdict,
    },
    probe::{self, WRITTEN_MAX},
    sink::{Beginning, Csv, Jsonl, Paint, Sink, Table, Xml},
    targets::Target,
};

pub mod lists;
#[cfg(test)]
mod mutations;

/// Bytes that an attempt may hold of one server: a packet of ssh, twice while its buffer grows,
/// and all the rest.
const HELD_MAX: usize = 2 * 35_004 + 8 * 1024;
/// Deadlines that may pass in one conversation: the active step, a pause in what no rule
/// recognises, after which it may go on, and the end.
const DEADLINES_MAX: usize = 8;

/// What a server says that may be ssh, from its first byte and behind an identification.
pub fn ssh(input: &[u8]) {
    converse(input);
    converse(&[b"SSH-2.0-x\r\n", input].concat());
}

/// What a server says that may be telnet, from its first byte and behind a command.
pub fn telnet(input: &[u8]) {
    converse(input);
    converse(&[b"\xff\xfb\x01", input].concat());
}

/// The payload of an offer for the key exchange.
pub fn kexinit(payload: &[u8]) {
    probe::check_kex_init(payload);
}

/// Numbers that follow from the bytes (FNV-1a).
struct Choices(u64);

impl Choices {
    fn of(input: &[u8]) -> Self {
        let add = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(input.iter().fold(0xcbf2_9ce4_8422_2325, add))
    }

    /// A number up to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        usize::try_from(self.0 >> 33).unwrap_or_default() % (most + 1)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.up_to(of.len() - 1)]
    }
}

/// One attempt under way.
struct Conversation {
    attempt: Attempt,
    rules: Rules,
    now: Instant,
    written: usize,
    deadlines: usize,
}

/// Lets a server say these bytes, and holds the attempt to what must be true.
fn converse(input: &[u8]) {
    let mut choices = Choices::of(input);
    let endpoint = SocketAddr::from(([192, 0, 2, 1], 22));
    let rules = Rules { evidence: true, ..Rules::default() };
    let mut conversation = Conversation {
        attempt: Attempt::new(endpoint, Instant::START),
        rules,
        now: Instant::START,
        written: 0,
        deadlines: 0,
    };
    let verdict = conversation.run(input, &mut choices);
    assert!(conversation.written < WRITTEN_MAX, "{} bytes were written", conversation.written);
    assert!(verdict.times.total <= defaults::DEADLINE, "it took {:?}", verdict.times.total);
    assert_proven(&verdict, input);
    assert_harmless(verdict, endpoint);
}

impl Conversation {
    fn run(&mut self, input: &[u8], choices: &mut Choices) -> Verdict {
        self.attempt.under_way();
        self.handle(Event::Accepted);
        let most = choices.one_of(&[0, 1, 6, 100, input.len()]);
        let pauses = choices.one_of(&[[0, 0], [0, 1], [1, 30], [30, 1500]]);
        let mut rest = input;
        while !rest.is_empty() {
            let length = 1 + choices.up_to(most);
            let (part, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            let comes_at = self.now.after(Duration::from_millis(choices.one_of(&pauses)));
            while self.deadline() <= comes_at {
                if let Some(verdict) = self.deadline_passes() {
                    return verdict;
                }
            }
            self.now = comes_at;
            if let Some(verdict) = self.handle(Event::Bytes(part)) {
                return verdict;
            }
        }
        if choices.up_to(1) == 0 {
            return self.handle(Event::Closed).expect("a server that hung up says no more");
        }
        loop {
            if let Some(verdict) = self.deadline_passes() {
                return verdict;
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.attempt.deadline(&self.rules.limits).1
    }

    fn deadline_passes(&mut self) -> Option<Verdict> {
        self.now = self.deadline();
        self.deadlines += 1;
        assert!(self.deadlines <= DEADLINES_MAX, "it does not end");
        self.handle(Event::DeadlinePassed)
    }

    fn handle(&mut self, event: Event<'_>) -> Option<Verdict> {
        let step = self.attempt.handle(&self.rules, event, self.now);
        let held = self.attempt.held();
        assert!(held <= HELD_MAX, "{held} bytes are held");
        match step {
            Step::Write(bytes) => self.written += bytes.len(),
            Step::Done(Conclusion::Verdict(verdict)) => return Some(verdict),
            Step::Done(Conclusion::Fault(fault)) => panic!("{fault} is no server's doing"),
            Step::Read => {}
        }
        None
    }
}

/// Whether the verdict is one that these bytes can prove, and has them.
fn assert_proven(verdict: &Verdict, input: &[u8]) {
    let service = verdict.service.expect("an open port has a service");
    let rule = verdict.rule.expect("an open port was judged by a rule");
    let has = |part: &[u8]| input.windows(part.len()).any(|window| window == part);
    let details = verdict.details.as_deref().expect("its evidence was asked for");
    let is_proven = match (service, rule) {
        (Service::Ssh, Rule::Identification | Rule::IdentificationCutOff) => {
            verdict.banner.starts_with(b"SSH-") && details.identification.is_some()
        }
        (Service::SshThrottled, Rule::SshdRefusal) | (Service::SshBroken, Rule::SshdBroken) => {
            has(&verdict.banner[..12])
        }
        (Service::Telnet, Rule::TelnetCommands) => has(b"\xff"),
        (
            Service::TelnetLikely,
            Rule::LoginPrompt
            | Rule::ShellPrompt
            | Rule::Menu
            | Rule::NamesTelnet
            | Rule::NamesLogin,
        ) => !verdict.banner.is_empty() && details.protocol.is_none(),
        (Service::Other, Rule::KnownProtocol) => details.protocol.is_some(),
        (Service::Unknown, Rule::UnknownBytes) => !input.is_empty() && details.protocol.is_none(),
        (Service::Tarpit, Rule::TooManyBytes) => input.len() >= probe::BYTES_MAX,
        (Service::Tarpit, Rule::TooManyLines) => input.len() >= probe::LINES_MAX,
        (Service::Tarpit, Rule::StillTalking) => verdict.times.total > Duration::from_secs(2),
        (Service::Silent, Rule::Silence) | (Service::ClosedEarly, Rule::HungUp) => {
            verdict.banner.is_empty() && verdict.times.first_byte.is_none()
        }
        _ => false,
    };
    assert!(is_proven, "{service} by {rule} has no proof: {verdict:?}");
    assert!(verdict.banner.len() <= probe::BANNER_MAX);
    assert_evidence(details, input);
}

fn assert_evidence(details: &ServiceDetails, input: &[u8]) {
    let has_offer = details.key_exchange != KeyExchange::NotAsked;
    assert!(!has_offer || details.identification.is_some(), "an offer without an identification");
    let evidence = details.evidence.as_ref().expect("it was asked for");
    let of_server = evidence.parts.iter().filter(|part| part.side == Side::Server);
    let said: Vec<_> = of_server.flat_map(|part| part.bytes.iter().copied()).collect();
    assert!(input.starts_with(&said), "what is kept was not said");
    assert!(said.len() <= Evidence::BYTES_MAX && evidence.parts.len() <= Evidence::PARTS_MAX);
}

/// Nothing that a server says may do anything to a terminal.
fn assert_harmless(verdict: Verdict, endpoint: SocketAddr) {
    let outcome = Outcome {
        target: Target::from(endpoint),
        endpoint: Some(endpoint),
        verdict,
        attempts: 1,
        position: 0,
        time: SystemTime::UNIX_EPOCH,
    };
    let [mut table, mut lines, mut csv, mut xml] = [const { Vec::new() }; 4];
    Table::begin(&mut table, Paint::Plain).write(&outcome).expect("a vector takes everything");
    Jsonl::new(&mut lines).write(&outcome).expect("a vector takes everything");
    Csv::resume(&mut csv).write(&outcome).expect("a vector takes everything");
    let beginning = Beginning { time: SystemTime::UNIX_EPOCH, arguments: String::new() };
    Xml::begin(&mut xml, &beginning)
        .and_then(|mut xml| xml.write(&outcome).and_then(|()| xml.flush()))
        .expect("a vector takes everything");
    for text in [table, lines, csv, xml] {
        let text = String::from_utf8(text).expect("it is text");
        assert!(text.lines().all(|line| !line.contains(char::is_control)), "{text:?}");
    }
}
