//! Entry points for the fuzz targets in `fuzz/`: whole attempts that receive arbitrary bytes. Feature
//! `__fuzzing`, which semantic versioning does not cover.
//!
//! Each function asserts the properties that hold for any input, and panics if one does not.
//! [`lists`] does the same for lists of targets. How the bytes are split, how fast they arrive and
//! how the connection ends is derived from the bytes themselves, so the input alone reproduces a
//! failure.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use fastrand::Rng;

use crate::{
    attempt::{Attempt, Event, Rules, Step},
    clock::Instant,
    config::{HostKeyProbing, defaults},
    fingerprint::Fingerprint,
    outcome::{
        Conclusion, Evidence, KeyExchange, KeyProof, Outcome, Rule, Service, ServiceDetails, Side,
        Verdict,
    },
    probe::{self, WRITTEN_MAX},
    sink::{Beginning, Csv, Jsonl, Paint, Sink, Table, Xml},
    targets::Target,
};

pub mod lists;
#[cfg(test)]
mod mutations;

/// The maximum number of bytes that an attempt may keep from one server: an ssh packet, twice while
/// its buffer grows, and 8 KiB for everything else.
const KEPT_MAX: usize = 2 * 35_004 + 8 * 1024;
/// The maximum number of deadlines that may pass in one attempt: that of the active step, those of
/// pauses in bytes that no rule recognises, and that of the whole attempt.
const DEADLINES_MAX: usize = 8;

/// Runs attempts on the bytes of a server that may speak ssh.
///
/// The bytes come first as the whole reply, then after an identification line.
///
/// # Panics
/// An attempt violates one of the asserted properties.
pub fn ssh(input: &[u8]) {
    run_attempt(input);
    run_attempt(&[b"SSH-2.0-x\r\n", input].concat());
}

/// Runs an attempt that asks for a host key, on the bytes of a server after its offer. The first byte chooses
/// the method.
///
/// # Panics
/// An attempt violates one of the asserted properties, or proves a key: the input can't contain a signature
/// over the random numbers of the attempt.
#[cfg(feature = "host-keys")]
pub fn host_key(input: &[u8]) {
    const METHODS: [&str; 3] =
        ["curve25519-sha256", "ecdh-sha2-nistp256", "diffie-hellman-group-exchange-sha256"];

    let (&first, rest) = input.split_first().unwrap_or((&0, input));
    let method = METHODS[usize::from(first) % METHODS.len()];
    let offer = probe::sample_offer(method, first / 3);
    run_attempt(&[b"SSH-2.0-x\r\n", &offer[..], rest].concat());
}

/// Runs attempts on the bytes of a server that may speak telnet.
///
/// The bytes come first as the whole reply, then after a telnet command.
///
/// # Panics
/// An attempt violates one of the asserted properties.
pub fn telnet(input: &[u8]) {
    run_attempt(input);
    run_attempt(&[b"\xff\xfb\x01", input].concat());
}

/// Parses the payload of an ssh `SSH_MSG_KEXINIT` packet (RFC 4253 §7.1).
///
/// # Panics
/// The parsed lists differ from those in the payload.
pub fn kexinit(payload: &[u8]) {
    probe::check_kex_init(payload);
}

/// Random choices that are derived from the input, so that the same input repeats them.
struct Choices(Rng);

impl Choices {
    /// Creates the choices for an input.
    fn from_input(input: &[u8]) -> Self {
        Self(Rng::with_seed(Fingerprint::of(input)))
    }

    /// Returns a number from 0 to `max`.
    fn up_to(&mut self, max: usize) -> usize {
        self.0.usize(..=max)
    }

    /// Returns one of the values, which must not be empty.
    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.up_to(values.len() - 1)]
    }
}

/// An attempt with a clock that the input drives.
struct FuzzedAttempt {
    attempt: Attempt,
    rules: Rules,
    now: Instant,
    /// Bytes that the attempt has written.
    written: usize,
    /// Deadlines that have passed.
    deadlines: usize,
}

/// Runs an attempt whose server sends these bytes, and asserts what must hold for any bytes.
fn run_attempt(input: &[u8]) {
    let mut choices = Choices::from_input(input);
    let endpoint = SocketAddr::from(([192, 0, 2, 1], 22));
    let host_keys = HostKeyProbing::First;
    let rules = Rules { evidence: true, host_keys, ..Rules::default() };
    let mut attempt = FuzzedAttempt {
        attempt: Attempt::new(endpoint, Instant::START),
        rules,
        now: Instant::START,
        written: 0,
        deadlines: 0,
    };
    let verdict = attempt.run(input, &mut choices);
    assert!(attempt.written < WRITTEN_MAX, "the attempt wrote {} bytes", attempt.written);
    assert!(
        verdict.times.total <= defaults::DEADLINE,
        "the attempt took {:?}",
        verdict.times.total
    );
    assert_proven(&verdict, input);
    assert_harmless(verdict, endpoint);
}

impl FuzzedAttempt {
    /// Sends the input to the attempt, in parts and with pauses, and returns the verdict.
    fn run(&mut self, input: &[u8], choices: &mut Choices) -> Verdict {
        self.attempt.connection_pending();
        self.handle(Event::Accepted);
        let length_max = choices.one_of(&[0, 1, 6, 100, input.len()]);
        let pauses = choices.one_of(&[[0, 0], [0, 1], [1, 30], [30, 1500]]);
        let mut rest = input;
        while !rest.is_empty() {
            let length = 1 + choices.up_to(length_max);
            let (part, remaining) = rest.split_at(length.min(rest.len()));
            rest = remaining;
            let arrival = self.now.after(Duration::from_millis(choices.one_of(&pauses)));
            while self.deadline() <= arrival {
                if let Some(verdict) = self.deadline_passes() {
                    return verdict;
                }
            }
            self.now = arrival;
            if let Some(verdict) = self.handle(Event::Bytes(part)) {
                return verdict;
            }
        }
        if choices.up_to(1) == 0 {
            return self.handle(Event::Closed).expect("an attempt ends when its connection closes");
        }
        loop {
            if let Some(verdict) = self.deadline_passes() {
                return verdict;
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.attempt.deadline(&self.rules).1
    }

    fn deadline_passes(&mut self) -> Option<Verdict> {
        self.now = self.deadline();
        self.deadlines += 1;
        assert!(self.deadlines <= DEADLINES_MAX, "the attempt does not end");
        self.handle(Event::DeadlinePassed)
    }

    fn handle(&mut self, event: Event<'_>) -> Option<Verdict> {
        let step = self.attempt.handle(&self.rules, event, self.now);
        let kept = self.attempt.held();
        assert!(kept <= KEPT_MAX, "the attempt keeps {kept} bytes");
        match step {
            Step::Write(bytes) => self.written += bytes.len(),
            Step::Done(Conclusion::Verdict(verdict)) => return Some(verdict),
            Step::Done(Conclusion::Fault(fault)) => {
                panic!("a server's bytes caused the fault {fault}")
            }
            Step::Read => {}
        }
        None
    }
}

/// Asserts that the input proves the verdict.
fn assert_proven(verdict: &Verdict, input: &[u8]) {
    let service = verdict.service.expect("an open port has a service");
    let rule = verdict.rule.expect("an open port was judged by a rule");
    let input_contains = |part: &[u8]| input.windows(part.len()).any(|window| window == part);
    let details = verdict.details.as_deref().expect("an attempt with evidence has details");
    let is_proven = match (service, rule) {
        (Service::Ssh, Rule::Identification | Rule::IdentificationCutOff) => {
            verdict.banner.starts_with(b"SSH-") && details.identification.is_some()
        }
        (Service::SshThrottled, Rule::SshdRefusal) | (Service::SshBroken, Rule::SshdBroken) => {
            input_contains(&verdict.banner[..12])
        }
        (Service::Telnet, Rule::TelnetCommands) => input_contains(b"\xff"),
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

/// Asserts that the evidence is a bounded prefix of what the server sent.
fn assert_evidence(details: &ServiceDetails, input: &[u8]) {
    let has_key_exchange = details.key_exchange != KeyExchange::NotAsked;
    assert!(
        !has_key_exchange || details.identification.is_some(),
        "a key exchange needs an identification"
    );
    let keys = &details.host_keys.keys;
    assert!(
        keys.iter().all(|key| key.proof != KeyProof::Proven),
        "the server can't sign: {keys:?}"
    );
    let evidence = details.evidence.as_ref().expect("the rules ask for evidence");
    let server_parts = evidence.parts.iter().filter(|part| part.side == Side::Server);
    let sent: Vec<_> = server_parts.flat_map(|part| part.bytes.iter().copied()).collect();
    assert!(input.starts_with(&sent), "the evidence has bytes that the server did not send");
    assert!(sent.len() <= Evidence::BYTES_MAX && evidence.parts.len() <= Evidence::PARTS_MAX);
}

/// Asserts that no sink writes a control character of the server's bytes.
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
    Table::new(&mut table, Paint::Plain)
        .write(&outcome)
        .expect("writing to a vector does not fail");
    Jsonl::new(&mut lines).write(&outcome).expect("writing to a vector does not fail");
    Csv::without_header(&mut csv).write(&outcome).expect("writing to a vector does not fail");
    let beginning = Beginning::new(SystemTime::UNIX_EPOCH, "");
    let mut document = Xml::new(&mut xml, &beginning);
    document
        .write(&outcome)
        .and_then(|()| document.flush())
        .expect("writing to a vector does not fail");
    for text in [table, lines, csv, xml] {
        let text = String::from_utf8(text).expect("sinks write UTF-8");
        assert!(text.lines().all(|line| !line.contains(char::is_control)), "{text:?}");
    }
}
